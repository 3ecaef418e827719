"""From the logits of a checkpoint's experts to probabilities, calibrated and corrected for a prior if asked.

A network's logits carry a prior: what it would say of an image that shows nothing. Where images have another prior that
is known, it is taken away and theirs is put in its place: ``softmax(balanced / T + log prior)``. Otherwise
probabilities are ``softmax(combined / T)``. T is 1, or the temperature that was measured on validation images.

- [Guo et al., 2017] On Calibration of Modern Neural Networks. https://arxiv.org/abs/1706.04599
- [Menon et al., 2021] Long-tail learning via logit adjustment. https://arxiv.org/abs/2007.07314
"""

import csv
import json
import math
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import torch
from torch import Tensor, nn

from lt_lightning.checkpoints import read_checkpoint
from lt_lightning.errors import LtError
from lt_lightning.losses.priors import log_prior
from lt_lightning.regular import check_regular

STATE = "Calibration"
"""Key under which Lightning stores what the callback of this name measured."""


class Temperatures(NamedTuple):
    """By what logits are divided.

    Attributes:
        combined: What the model predicts.
        balanced: Logits that carry a uniform prior, before another one is added.
        measured_on: ``validation``, or ``test`` where validation images are the test images.
    """

    combined: float = 1.0
    balanced: float = 1.0
    measured_on: str = ""


class AsTrained(nn.Module):
    """What the model predicts, divided by a temperature.

    Args:
        module: A :class:`~lt_lightning.modules.LongTailModule`, whose ``combination`` and ``offset`` are taken.
        temperature: T.
    """

    offset: Tensor

    def __init__(self, module: nn.Module, temperature: float) -> None:
        super().__init__()
        self.combination, self.temperature = module.get_submodule("combination"), temperature
        self.register_buffer("offset", module.get_buffer("offset"), persistent=False)

    def forward(self, expert_logits: Tensor) -> Tensor:
        """Logits ``(E, B, C)`` to logits ``(B, C)``, whose softmax is the probabilities."""
        combined: Tensor = self.combination(expert_logits, self.offset)
        return combined / self.temperature


class ForPrior(AsTrained):
    """The mean of logits that carry a uniform prior, divided by a temperature, and the prior of the images.

    Args:
        module: As for :class:`AsTrained`; its ``prior_corrected`` takes the training prior away.
        temperature: T.
        log_prior: Of the images, ``(C,)``.
    """

    log_prior: Tensor

    def __init__(self, module: nn.Module, temperature: float, log_prior: Tensor) -> None:
        super().__init__(module, temperature)
        self.combination = module.get_submodule("prior_corrected")
        self.register_buffer("log_prior", log_prior, persistent=False)

    def forward(self, expert_logits: Tensor) -> Tensor:
        """As :meth:`AsTrained.forward`."""
        return super().forward(expert_logits) + self.log_prior


def read_out(module: nn.Module, temperatures: Temperatures, target: Tensor | None) -> AsTrained:
    """What makes predictions of the logits ``(E, B, C)`` of a module's experts: logits ``(B, C)``, before softmax.

    Args:
        module: A :class:`~lt_lightning.modules.LongTailModule`; what is returned is on its device.
        temperatures: :func:`measured_temperatures`, or ``Temperatures()`` for none.
        target: Logarithm of the prior of the images, ``(C,)``, as :func:`target_log_prior` reads it; None leaves
            predictions as the model makes them.
    """
    if target is None:
        return AsTrained(module, temperatures.combined)
    return ForPrior(module, temperatures.balanced, target.to(module.get_buffer("offset")))


def say_what_is_doubtful(module: nn.Module, temperatures: Temperatures, target: Tensor | None) -> None:
    """Print what a user should know of predictions that :func:`read_out` makes of the same."""
    if temperatures.measured_on == "test":
        print("lt: the temperature was measured on test images, as this set has no others for validation")
    inexact = sorted({type(loss).__name__ for loss in module.losses if not loss.is_exact})  # type: ignore[union-attr]
    if target is not None and inexact:
        print(f"lt: which prior logits carry is known only roughly under {', '.join(inexact)}: so is the correction")


def beside(checkpoint: str) -> str:
    """Name of the file in which ``lt validate`` leaves the temperatures of a checkpoint."""
    return f"{Path(checkpoint).stem}.temperature.json"


def measured_temperatures(checkpoint: str) -> Temperatures:
    """The temperatures of a checkpoint's weights: it has them itself, or ``lt validate`` left them beside it.

    Raises:
        LtError: Neither is so, or they were measured of other weights.
    """
    content, file = read_checkpoint(checkpoint), Path(checkpoint).with_name(beside(checkpoint))
    states = content.get("callbacks")
    for state in (states.get(STATE) if isinstance(states, dict) else None, _read(file)):
        if isinstance(state, dict) and state.get("step") == content.get("global_step") and state:
            combined, balanced = state.get("temperature"), state.get("temperature_balanced")
            if not _is_positive(combined) or not _is_positive(balanced):
                what = f"its temperatures are no positive numbers: {combined} and {balanced}"[:100]
                raise LtError(what, checkpoint, f"measure them: lt validate --ckpt_path {checkpoint}")
            return Temperatures(combined, balanced, str(state.get("measured_on")))
    what = "no temperature was measured of this checkpoint's weights"
    raise LtError(what, checkpoint, f"measure it first: lt validate --ckpt_path {checkpoint}")


def _is_positive(value: object) -> TypeGuard[float]:
    return isinstance(value, float) and 0 < value < math.inf


def _read(file: Path) -> Any:
    check_regular(file)
    try:
        return json.loads(file.read_text()) if file.is_file() else None
    except (ValueError, RecursionError) as error:
        raise LtError(f"this file is damaged ({error})", str(file), "remove it, and `lt validate` anew") from error


def target_log_prior(given: str, class_names: list[str], class_counts: list[int]) -> Tensor:
    """Logarithm of the prior of images, ``(C,)``, in the order of the classes.

    Args:
        given: ``uniform``, ``train``, or a file: JSON ``{"otter": 3, ...}``, or CSV with columns ``class`` and
            ``prior``. Numbers in it are relative: counts will do.
        class_names: Of all classes.
        class_counts: Training images of each.

    Raises:
        LtError: There is no such file, a class is missing, unknown or twice in it, or a number is not positive.
    """
    if given == "uniform":
        return log_prior(torch.ones(len(class_counts)))
    if given == "train":
        return log_prior(torch.tensor(class_counts, dtype=torch.float32))
    weights = _prior_file(Path(given))
    fix = "name each class of the checkpoint once, with a positive number"
    for one, other, what in (
        (class_names, weights, "this prior lacks {} of the {} classes, such as {!r}"),
        (weights, class_names, "of this prior's classes the checkpoint knows {} of {} not, such as {!r}"),
    ):
        if missing := sorted(set(one) - set(other)):
            raise LtError(what.format(len(missing), len(one), missing[0]), given, fix)
    values = [weights[name] for name in class_names]
    if wrong := [name for name, value in zip(class_names, values, strict=True) if not 0 < value < math.inf]:
        raise LtError(f"the prior of {wrong[0]!r} is {weights[wrong[0]]}, which is no positive number", given, fix)
    return torch.tensor(values, dtype=torch.float64).log().log_softmax(0).float()  # their sum may be no finite number


def _prior_file(file: Path) -> dict[str, float]:
    fix = 'write CSV with columns class and prior, or JSON: {"otter": 3, ...}; or say uniform or train'
    check_regular(file)
    try:
        text = file.read_text(encoding="utf-8-sig")
        if file.suffix.lower() == ".json":
            content = json.loads(text, object_pairs_hook=_once)
            return {str(name): float(value) for name, value in content.items()}
        rows = list(csv.DictReader(text.splitlines(), strict=True))
        return _once([(row["class"].strip(), float(row["prior"])) for row in rows])
    except FileNotFoundError as error:
        raise LtError("expected uniform, train or a file, and there is no such file", str(file), fix) from error
    except Exception as error:  # readers of JSON, of CSV and of numbers raise many kinds
        what = f"this prior cannot be read ({type(error).__name__}: {error})"[:200]
        raise LtError(what, str(file), fix) from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Values by name.

    Raises:
        ValueError: A name stands twice.
    """
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} stands twice")
        found[name] = value
    return found
