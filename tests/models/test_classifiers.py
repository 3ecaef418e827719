from typing import get_args

import pytest
import torch

from lt_lightning.models.classifiers import CLASSIFIERS, ClassifierName, CosineClassifier, linear_classifier


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
