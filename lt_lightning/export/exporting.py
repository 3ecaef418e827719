"""From a checkpoint alone to one file that other programs run."""

from collections import Counter
from copy import deepcopy
from pathlib import Path

from torch import Tensor, nn

from lt_lightning.calibration import (
    Temperatures,
    measured_temperatures,
    read_out,
    say_what_is_doubtful,
    target_log_prior,
)
from lt_lightning.checkpoints import read_checkpoint
from lt_lightning.export import facts
from lt_lightning.export.checked import BATCHES, write_checked
from lt_lightning.export.classifier import Classifier, tensors
from lt_lightning.export.formats import FORMATS
from lt_lightning.export.trained import read_trained


def export(path: str, form: str, target: Path, calibrated: bool, target_prior: str | None) -> str:
    """Write a checkpoint's model.

    Args:
        path: The checkpoint.
        form: Name of the format.
        target: The file to write; its folder is made.
        calibrated: Whether logits are divided by the temperature that was measured in validation.
        target_prior: Prior of the images, as :func:`~lt_lightning.calibration.target_log_prior` takes it.

    Returns:
        What was written, in a few lines.

    Raises:
        LtError: The checkpoint is none, or the file cannot be written or computes something else than the model.
    """
    module, data, names = read_trained(path)
    temperatures = measured_temperatures(path) if calibrated else Temperatures()
    prior = None if target_prior is None else target_log_prior(target_prior, names, module.class_counts)
    say_what_is_doubtful(module, temperatures, prior)
    classifier = Classifier(module.net, read_out(module, temperatures, prior), data)
    is_as_trained = not calibrated and prior is None  # then the file must do what the module itself does
    model = module if is_as_trained else nn.Sequential(module.net, classifier.read_out)

    in_float64 = deepcopy(model).double()

    def logits(image: Tensor) -> Tensor:
        computed: Tensor = model(data.normalise(image))
        return computed

    def exact(image: Tensor) -> Tensor:
        computed: Tensor = in_float64(data.normalise(image).double())
        return computed

    described = {
        "labels": names,
        "class_counts": module.class_counts,
        "preprocessing": facts.preprocessing(data),
        "calibration": facts.calibration(temperatures, target_prior),
        "method": facts.method(path, module, data),
        "figures": facts.figures(path),
        "origin": facts.origin(path),
        "licence": facts.licence(data),
    }
    target.parent.mkdir(exist_ok=True)
    difference = write_checked(FORMATS[form], classifier, facts.as_text(described), logits, exact, data.size, target)
    one, five = BATCHES
    return "\n".join(
        [
            f"written   {target}, {target.stat().st_size / 2**20:.1f} MiB",
            f"in        image: uint8 (B, {data.size}, {data.size}, 3), RGB, any B",
            f"out       logits, probabilities: float32 (B, {len(names)})",
            f"left out  {left_out(read_checkpoint(path)['state_dict'], classifier)}",
            f"parity    {difference:.1e}, the largest difference of a logit in batches of {one} and {five}",
        ]
    )


def left_out(state: dict[str, Tensor], classifier: Classifier) -> str:
    """Parts of a checkpoint's weights that the model does without, each with how many numbers it has."""
    kept = {name.removeprefix("read_out.") for name, _ in tensors(classifier)}
    parts = Counter[str]()
    for name in state.keys() - kept:
        parts[name.partition(".")[0]] += state[name].numel()
    return ", ".join(f"{name} ({count:,} numbers)" for name, count in sorted(parts.items())) or "nothing"
