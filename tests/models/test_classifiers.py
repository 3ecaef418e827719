import math
from typing import get_args

import pytest
import torch
from torch import nn

from lt_lightning.models.classifiers import (
    CLASSIFIERS,
    ClassifierName,
    CosineClassifier,
    ScaledClassifier,
    TauNormalised,
    linear_classifier,
)


def test_the_names_for_the_command_are_the_names_of_the_table() -> None:
    assert set(get_args(ClassifierName)) == set(CLASSIFIERS)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_shapes(name: str) -> None:
    assert CLASSIFIERS[name](8, 5)(torch.randn(3, 8)).shape == (3, 5)


def test_cosine_is_the_scaled_cosine() -> None:
    classifier, features = CosineClassifier(8, 5, scale=7.0), torch.randn(3, 8)
    expected = [[7 * torch.cosine_similarity(f, w, dim=0).item() for w in classifier.weight] for f in features]
    torch.testing.assert_close(classifier(features), torch.tensor(expected))


def test_cosine_ignores_lengths() -> None:
    classifier, features = CosineClassifier(8, 5), torch.randn(3, 8)
    logits = classifier(features)
    with torch.no_grad():
        classifier.weight *= torch.rand(5, 1) + 0.1
    torch.testing.assert_close(classifier(1000 * features), logits)


def test_cosine_starts_with_random_directions() -> None:
    torch.manual_seed(0)
    weight = CosineClassifier(64, 1000).weight
    torch.testing.assert_close(weight.norm(dim=1), torch.ones(1000))
    assert weight.mean().abs() < 0.001
    cosines = (weight @ weight.T).fill_diagonal_(0)
    assert cosines.square().mean().item() == pytest.approx(1 / 64, rel=0.02)  # of independent directions


def test_zero_features_give_zero_logits_and_finite_gradients() -> None:
    classifier, features = CosineClassifier(8, 5), torch.zeros(3, 8, requires_grad=True)
    logits = classifier(features)
    logits.logsumexp(1).sum().backward()
    assert not logits.any()
    assert features.grad is not None
    assert features.grad.abs().max() <= 3e5
    assert classifier.weight.grad is not None
    assert classifier.weight.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_cosines_are_float32_under_autocast(dtype: torch.dtype) -> None:
    classifier, features = CosineClassifier(64, 5), torch.randn(3, 64).to(dtype)
    expected = classifier(features.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = classifier(features)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, expected, atol=0, rtol=0)


def test_linear_starts_with_variance_two_over_features_and_no_bias() -> None:
    classifier = linear_classifier(100, 1000)
    assert classifier.weight.std().item() == pytest.approx((2 / 100) ** 0.5, rel=0.02)
    assert not classifier.bias.any()


def test_scales_multiply_logits_and_begin_as_one() -> None:
    linear, features = linear_classifier(5, 3).requires_grad_(False), torch.randn(4, 5)
    nn.init.normal_(linear.bias)
    scaled = ScaledClassifier(linear, 3)
    assert torch.equal(scaled(features), linear(features))
    scaled.scale.data = torch.tensor([2.0, 0.5, -1.0])
    expected = [
        [s * (sum(f * w for f, w in zip(image, row, strict=True)) + b) for s, row, b in zip(*rows, strict=True)]
        for rows in [(scaled.scale.tolist(), linear.weight.tolist(), linear.bias.tolist())]
        for image in features.tolist()
    ]
    torch.testing.assert_close(scaled(features), torch.tensor(expected))
    assert [name for name, parameter in scaled.named_parameters() if parameter.requires_grad] == ["scale"]
    cosine = CosineClassifier(5, 3)
    torch.testing.assert_close(ScaledClassifier(cosine, 3)(features), cosine(features))


@pytest.mark.parametrize("tau", [-0.5, 0.0, 0.7, 1.0, 2.0])
def test_tau_normalisation_is_the_papers_up_to_one_common_factor(tau: float) -> None:
    linear, features = linear_classifier(5, 3).double(), torch.randn(64, 5).double()
    linear.weight.data *= torch.tensor([[9.0], [1.0], [0.1]])
    normalised = TauNormalised(linear).double()
    normalised.tau.data.fill_(tau)
    lengths = [math.sqrt(sum(w * w for w in row)) for row in linear.weight.tolist()]
    papers = [
        [
            sum(f * w / length**tau for f, w in zip(image, row, strict=True))
            for row, length in zip(linear.weight.tolist(), lengths, strict=True)
        ]
        for image in features.tolist()
    ]
    logits = normalised(features)
    factor = math.prod(lengths) ** (tau / 3)
    torch.testing.assert_close(logits, factor * torch.tensor(papers).double())
    assert torch.equal(logits.argmax(1), torch.tensor(papers).argmax(1))


def test_a_power_of_one_makes_vectors_equally_long_and_of_zero_drops_the_bias_alone() -> None:
    linear = linear_classifier(5, 3)
    nn.init.normal_(linear.bias)
    normalised = TauNormalised(linear)
    torch.testing.assert_close(normalised(torch.eye(5)), linear.weight.T)
    normalised.tau.data.fill_(1.0)
    lengths = normalised(torch.eye(5)).norm(dim=0)
    torch.testing.assert_close(lengths, lengths.mean().expand(3))


def test_tau_learns_and_a_vector_of_no_length_does_no_harm() -> None:
    linear = linear_classifier(5, 3)
    nn.init.zeros_(linear.weight[1])
    normalised = TauNormalised(linear.requires_grad_(False))
    (gradient,) = torch.autograd.grad(normalised(torch.randn(8, 5)).square().sum(), normalised.tau)
    assert gradient.isfinite()
    assert gradient != 0


def test_lengths_play_no_part_in_a_cosine_classifier() -> None:
    with pytest.raises(ValueError, match="needs a linear classifier"):
        TauNormalised(CosineClassifier(5, 3))
