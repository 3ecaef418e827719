import math

import pytest
import torch

from lt_lightning.metrics import CalibrationError


def test_certain_and_nearly_certain_images_share_a_bin() -> None:
    """Right with confidence 1, wrong with 0.99: on average 0.995 sure and right in half of the cases."""
    logits = torch.stack([torch.tensor([200.0, 0.0]), torch.tensor([0.99, 0.01]).log()])
    error = CalibrationError()
    error.update(logits, torch.tensor([0, 1]))
    assert error.compute().item() == pytest.approx(0.495)


def test_bins_are_weighed_by_their_images() -> None:
    probability = torch.tensor([0.6, 0.6, 0.6, 0.9])
    logits = torch.stack([probability, 1 - probability], -1).log()
    error = CalibrationError(num_bins=10)
    error.update(logits[:2], torch.tensor([0, 1]))
    error.update(logits[2:], torch.tensor([1, 0]))
    # 0.6 sure and right once in three, 0.9 sure and right
    assert error.compute().item() == pytest.approx(3 / 4 * abs(0.6 - 1 / 3) + 1 / 4 * 0.1)


def test_a_process_may_have_no_image() -> None:
    error = CalibrationError()
    error.update(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))
    error.update(torch.zeros(1, 3), torch.tensor([0]))
    assert error.compute().item() == pytest.approx(2 / 3)


def test_what_is_not_a_number_makes_no_number() -> None:
    error = CalibrationError()
    error.update(torch.full((2, 3), math.nan), torch.tensor([0, 1]))
    assert error.compute().isnan()
