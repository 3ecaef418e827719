"""What a checkpoint alone says: no file of its data is read."""

from typing import Any, NamedTuple

from lt_lightning.checkpoints import CLASS_NAMES, load_module, read_facts, stored_config
from lt_lightning.data import LongTailDataModule
from lt_lightning.errors import LtError
from lt_lightning.modules import LongTailModule
from lt_lightning.parser import Parser


class Trained(NamedTuple):
    """A model, and what goes with it.

    Attributes:
        module: The model, in evaluation mode.
        data: The data of its configuration, unread.
        names: Of the classes, in label order.
    """

    module: LongTailModule
    data: LongTailDataModule
    names: list[str]


def read_trained(path: str) -> Trained:
    """Rebuild what a checkpoint holds.

    Raises:
        LtError: The file is no checkpoint of the command, or a damaged one.
    """
    fix = "name a checkpoint that `lt fit` wrote"
    if (config := stored_config(path)) is None:
        raise LtError("this checkpoint carries no configuration", path, fix)
    names: list[str] = read_facts(path).get(CLASS_NAMES, [])
    module = load_module(path, names)
    if not isinstance(module, LongTailModule) or len(module.class_counts) != len(names):
        raise LtError(f"this checkpoint names {len(names)} classes, its model has others", path, fix)
    parser = Parser()
    parser.add_subclass_arguments(LongTailDataModule, "data")
    data: Any = parser.instantiate(parser.parse_object({"data": config["data"]})).data
    module.eval()
    return Trained(module, data, names)
