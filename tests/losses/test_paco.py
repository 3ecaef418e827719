import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lt_lightning.losses.contrastive import ExpertViews
from lt_lightning.losses.heads import directions
from lt_lightning.losses.memory import EMPTY
from lt_lightning.losses.paco import ParametricContrast, ProjectionQueue
from lt_lightning.losses.softmax import BalancedSoftmax

COUNTS = torch.tensor([50.0, 9.0, 3.0, 0.0])
E, D, C = 2, 5, 4
LABEL = torch.tensor([0, 1, 0, 0, 1, 2])


def see(label: Tensor = LABEL, num_views: int = 2, seed: int = 0, scale: float = 1.0, experts: int = E) -> ExpertViews:
    """Random views of images of these classes."""
    generator = torch.Generator().manual_seed(seed)
    shape = experts, num_views, len(label)
    features, logits = (scale * torch.randn(*shape, n, generator=generator) for n in (D, C))
    vectors = torch.randn(experts, C, D, generator=generator)
    return ExpertViews(features.requires_grad_(), logits.requires_grad_(), vectors, label, seed)


def build(seed: int = 0, experts: int = E, **kwargs: float) -> ParametricContrast:
    torch.manual_seed(seed)
    return ParametricContrast(COUNTS, experts, D, **{"alpha": 0.3, "dim": 8, "queue": 4, **kwargs})  # type: ignore[arg-type]


def slow_paco(term: ParametricContrast, views: ExpertViews, past: list[list[tuple[list[float], int]]]) -> float:
    """One anchor at a time; ``past`` is what each expert has in its queue, and what this call puts there."""
    label, total = views.target.tolist(), 0.0
    for e in range(len(term.projectors)):
        z = [directions(term.projectors[e](view)).tolist() for view in views.features[e]]
        keys = [(row, c) for view in z[1:] for row, c in zip(view, label, strict=True)] + past[e]
        for i, own in enumerate(label):
            others = [(row, c) for k, (row, c) in enumerate(zip(z[0], label, strict=True)) if k != i] + keys
            raw = views.logits[e, 0, i].tolist()
            adjusted = [v + math.log(n / 62 + 1e-9) for v, n in zip(raw, COUNTS.tolist(), strict=True)]
            scores = [(v / term.centre_temperature, c == own, 1.0) for c, v in enumerate(adjusted)]
            for row, c in others:
                cosine = sum(a * b for a, b in zip(z[0][i], row, strict=True))
                scores.append((cosine / term.temperature, c == own, term.alpha))
            normaliser = math.log(sum(math.exp(s) for s, _, _ in scores))
            weights = sum(w for _, positive, w in scores if positive)
            total += sum(w * (normaliser - s) for s, positive, w in scores if positive) / weights / len(label)
        past[e] = (past[e] + list(zip(z[-1], label, strict=True)))[-len(term.queue.label) :]
    return total


@pytest.mark.parametrize("num_views", [1, 2, 3])
@pytest.mark.parametrize(
    "kwargs", [{}, {"queue": 20}, {"alpha": 0.0}, {"temperature": 0.7, "centre_temperature": 2.0}], ids=str
)
def test_it_is_the_double_loop_step_after_step(num_views: int, kwargs: dict[str, float]) -> None:
    term, past = build(**kwargs).double(), [[] for _ in range(E)]
    for seed in range(4):
        views = see(LABEL.roll(seed), num_views, seed)
        views = views._replace(features=views.features.double())
        assert term(views).item() == pytest.approx(slow_paco(term, views, past), rel=1e-6)


def test_a_lone_image_without_a_queue_is_classified_under_balanced_softmax() -> None:
    term, views = build(queue=0, experts=1).eval(), see(torch.tensor([1]), num_views=1, experts=1)
    torch.testing.assert_close(term(views), BalancedSoftmax(COUNTS)(views.logits[0, 0], views.target))


def test_without_positives_the_centres_alone_attract() -> None:
    """Other classes' images are negatives: they only raise the denominator."""
    label = torch.tensor([0, 1, 2])
    loss = build(queue=0)(see(label, num_views=1))
    assert torch.equal(loss, build(queue=0, alpha=7.0)(see(label, num_views=1)))
    alone = BalancedSoftmax(COUNTS)
    assert loss > sum(alone(logits, label) for logits in see(label, num_views=1).logits[:, 0])


def test_images_of_a_class_attract_as_far_as_alpha_weighs_more_than_their_probability() -> None:
    """With logits of 0 the centres have a mass of 1, so has an image at a right angle: its probability is one half."""

    def pull(alpha: float) -> float:
        """How much the loss of two images at a right angle falls as one moves towards the other."""
        term = build(alpha=alpha, experts=1, queue=0, temperature=1.0, dim=D)
        term.projectors = torch.nn.ModuleList([torch.nn.Identity()])
        features = torch.eye(2, D)[None, None].requires_grad_()
        term(ExpertViews(features, torch.zeros(1, 1, 2, C), torch.zeros(1, C, D), torch.tensor([0, 0]), 0)).backward()
        return -features.grad[0, 0, 0, 1].item()

    assert pull(0.0) == pytest.approx(-0.5, abs=1e-6)  # without a weight it is a negative like any other
    assert pull(1.0) == pytest.approx(0.0, abs=1e-6)
    assert pull(3.0) == pytest.approx(0.25, abs=1e-6)


def test_further_views_and_the_queue_get_no_gradient() -> None:
    term, views = build(), see(num_views=3)
    term(views).backward()
    assert not views.features.grad[:, 1:].any()
    assert all(views.features.grad[e, 0].any() for e in range(E))
    assert not views.logits.grad[:, 1:].any()
    assert all(views.logits.grad[e, 0].any() for e in range(E))
    assert not term.queue.vectors.requires_grad
    assert all(parameter.grad is not None for parameter in term.parameters())


def test_what_is_pushed_later_changes_no_gradient() -> None:
    term, views = build(), see()
    term(see(seed=1))
    loss = term(views)
    term(see(seed=2))
    loss.backward()
    again, copy = build(), see()
    again(see(seed=1))
    again(copy).backward()
    assert torch.equal(views.features.grad, copy.features.grad)


def test_the_queue_keeps_the_last_in_order() -> None:
    queue, seen = ProjectionQueue(1, 3, 1), []
    assert queue.label.tolist() == [EMPTY] * 3
    for count in (1, 1, 2, 5, 1):
        new = torch.arange(len(seen), len(seen) + count)
        queue.push(new.float().view(1, -1, 1), new % 4)
        seen += new.tolist()
        expected = seen[-3:]
        assert queue.label.tolist() == [EMPTY] * (3 - len(expected)) + [value % 4 for value in expected]
        assert queue.vectors[0, 3 - len(expected) :, 0].tolist() == expected


def test_a_run_resumes_with_its_queue() -> None:
    term, other = build(), build(seed=1)
    term(see(seed=1))
    other.load_state_dict(term.state_dict())
    assert torch.equal(term(see()), other(see()))


def test_experts_do_not_see_each_other() -> None:
    views = see()
    together = build()(views)
    swapped = build()
    swapped.projectors = torch.nn.ModuleList(reversed(swapped.projectors))
    reverse = views._replace(features=views.features.flip(0), logits=views.logits.flip(0))
    torch.testing.assert_close(swapped(reverse), together)


@settings(deadline=None, max_examples=40)
@given(
    label=st.lists(st.integers(0, C - 1), min_size=1, max_size=7),
    num_views=st.integers(1, 3),
    scale=st.sampled_from([0.0, 1e-6, 1.0, 1e4]),
    alpha=st.sampled_from([0.0, 0.05, 1e3]),
    queue=st.sampled_from([0, 1, 9]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
)
def test_loss_and_gradient_are_finite(label, num_views, scale, alpha, queue, dtype) -> None:
    """Also of classes without training images, and for a batch of one (evaluation mode: batch norm needs two)."""
    term, views = build(alpha=alpha, queue=queue), see(torch.tensor(label), num_views, scale=scale)
    term.train(len(label) > 1)
    features, logits = (x.detach().to(dtype).requires_grad_() for x in (views.features, views.logits))
    for _ in range(2):  # the second time with a queue
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            loss = term(views._replace(features=features, logits=logits))
        loss.backward()
        assert loss.dtype == torch.float32
        assert loss.isfinite()
        assert loss > 0 or scale == 1e4  # where a logit of 1e4 decides, the loss may vanish
        assert features.grad.isfinite().all()
        assert logits.grad.isfinite().all()
        assert all(p.grad.isfinite().all() for p in term.parameters())


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"temperature": 0.0}, "temperatures must be positive"),
        ({"centre_temperature": -1.0}, "temperatures must be positive"),
        ({"alpha": -0.1}, "alpha must not be negative"),
        ({"queue": -1}, "queue must not be negative"),
    ],
)
def test_bad_numbers_are_errors(kwargs: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**kwargs)
