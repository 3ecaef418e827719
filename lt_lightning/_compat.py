"""Makes torchvision importable beside a torch build that its compiled operators were not made for.

The registry's torchvision is compiled against CUDA. Beside a CPU build of torch its library cannot load, two operators
stay undeclared, and ``import torchvision`` fails; so do torchmetrics and lightning, which import it
(https://github.com/pytorch/vision/issues/9085). Declaring the schemas is enough for everything written in Python.
"""

import importlib
import importlib.util
import sys

import torch

_KEEP: list[torch.library.Library] = []  # a Library's declarations vanish with the object


def declare_torchvision_ops() -> None:
    """Import torchvision, declaring the schemas of ``nms`` and ``qnms`` first where its own library cannot load.

    Raises:
        RuntimeError: torchvision fails to import for any other reason.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
        _KEEP.append(library)
        importlib.import_module("torchvision")
