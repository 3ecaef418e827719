"""Files that appear only if they compute what the model does."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from lt_lightning.errors import LtError
from lt_lightning.export.classifier import Classifier
from lt_lightning.export.formats import Format, Run
from lt_lightning.whole_files import whole_file

LIMIT = 1e-4
"""Largest difference of a logit, in nats."""
ROUNDINGS = 10
"""How many times as far from the model as the model is from itself in float64, where that is more: a deep network that
is hardly trained rounds by more than the limit, and by as much if only the layout of its input is another."""
BATCHES = 1, 5
"""Sizes of batches that are compared: neither is the one that was traced."""


def write_checked(
    form: Format, classifier: Classifier, facts: Mapping[str, str], model: Run, exact: Run, size: int, target: Path
) -> float:
    """Write a file, run it again, and let it take its name.

    Args:
        form: Its format.
        classifier: What it is to hold.
        facts: What it is to say of the model.
        model: What it is to compute.
        exact: The same in float64.
        size: Side of the images.
        target: Its name.

    Returns:
        The largest difference of a logit.

    Raises:
        LtError: It computes something else; what was there before still is.
    """
    with whole_file(target) as file:
        form.write(classifier, torch.zeros(2, size, size, 3, dtype=torch.uint8), facts, file)
        file.flush()
        found, expected, accurate = compare([form.open(Path(file.name), classifier), model, exact], size)
        difference, rounding = ((expected - other).abs().max().item() for other in (found, accurate))
        if not difference <= max(LIMIT, ROUNDINGS * rounding):  # NaN is not
            what = f"the file computes something else than the model: logits differ by up to {difference:.1e}"
            fix = "nothing was written; see that the weights are finite, or try another format"
            raise LtError(what, str(target), fix)
    return difference


def compare(runs: Sequence[Run], size: int) -> list[Tensor]:
    """Logits ``(sum of BATCHES, C)`` of the same random images by each."""
    draw = torch.Generator().manual_seed(0)
    images = [torch.randint(256, (batch, size, size, 3), dtype=torch.uint8, generator=draw) for batch in BATCHES]
    with torch.no_grad():
        return [torch.cat([run(image) for image in images]) for run in runs]
