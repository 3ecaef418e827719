import math

import mpmath  # comes with torch
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lt_lightning.losses.contrastive import ExpertViews
from lt_lightning.losses.heads import directions
from lt_lightning.losses.proco import EpochMeans, ProbabilisticContrast
from lt_lightning.losses.von_mises_fisher import concentration, log_normaliser_ratio

COUNTS = torch.tensor([50.0, 9.0, 3.0, 0.0])
E, D, C, P = 2, 5, 4, 16
LABEL = torch.tensor([0, 1, 0, 0, 1, 2])
KAPPAS = [0.0, 1e-6, 1e-2, 1.0, 7.0, 63.0, 606.0, 1e4, 1e5]


def see(label: Tensor = LABEL, num_views: int = 2, seed: int = 0, scale: float = 1.0) -> ExpertViews:
    """Random views of images of these classes."""
    generator = torch.Generator().manual_seed(seed)
    features, logits = (scale * torch.randn(E, num_views, len(label), n, generator=generator) for n in (D, C))
    return ExpertViews(features.requires_grad_(), logits, torch.randn(E, C, D, generator=generator), label, seed)


def build(seed: int = 0, **kwargs: float) -> ProbabilisticContrast:
    torch.manual_seed(seed)
    return ProbabilisticContrast(COUNTS, E, D, **{"dim": P, **kwargs})  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------- the distribution


def log_normaliser(dim: int, kappa: float) -> float:
    """Logarithm of C_p(kappa), by Bessel functions of 40 digits."""
    nu = mpmath.mpf(dim) / 2 - 1
    with mpmath.workdps(40):
        if kappa == 0:
            value = nu * mpmath.log(2) + mpmath.loggamma(nu + 1)
        else:
            value = nu * mpmath.log(kappa) - mpmath.log(mpmath.besseli(nu, kappa, maxprec=10**6))
        return value - dim * mpmath.log(2 * mpmath.pi) / 2


@pytest.mark.parametrize("dim", [16, 17, 32, 128, 1024])
@pytest.mark.parametrize("kappa", KAPPAS)
def test_ratios_of_normalisers_are_exact(dim: int, kappa: float) -> None:
    for cosine in (-1.0, -0.3, 0.0, 1.0):
        for length in (0.1, 1.0, 10.0, 20.0):
            growth = max(2 * kappa * cosine * length + length**2, -(kappa**2))
            with mpmath.workdps(40):
                exact = log_normaliser(dim, kappa) - log_normaliser(dim, mpmath.sqrt(mpmath.mpf(kappa) ** 2 + growth))
            ratio = log_normaliser_ratio(torch.tensor(kappa).square(), torch.tensor(growth), dim).item()
            assert ratio == pytest.approx(float(exact), rel=3e-6, abs=3e-6)


@pytest.mark.parametrize("dim", [16, 128])
@pytest.mark.parametrize("kappa", KAPPAS[2:])
def test_the_gradient_is_the_mean_length(dim: int, kappa: float) -> None:
    """d/d kappa of -log C_p is A_p(kappa) = I_(p/2) / I_(p/2-1), which is how long the mean of directions is."""
    new = torch.tensor(kappa, requires_grad=True)
    log_normaliser_ratio(torch.zeros(()), new.square(), dim).backward()
    nu = mpmath.mpf(dim) / 2 - 1
    with mpmath.workdps(40):
        length = mpmath.besseli(nu + 1, kappa, maxprec=10**6) / mpmath.besseli(nu, kappa, maxprec=10**6)
    assert new.grad.item() == pytest.approx(float(length), rel=1e-5)


@pytest.mark.parametrize("dim", [16, 128])
@pytest.mark.parametrize("length", [0.01, 0.2, 0.5, 0.9, 0.99])
def test_concentrations_have_means_of_that_length(dim: int, length: float) -> None:
    mean = torch.nn.functional.normalize(torch.randn(3, dim), dim=-1) * length
    for kappa in concentration(mean).tolist():
        new = torch.tensor(kappa, requires_grad=True)
        log_normaliser_ratio(torch.zeros(()), new.square(), dim).backward()
        assert new.grad.item() == pytest.approx(length, rel=1e-2)  # the estimate is an approximation


def test_concentrations_span_from_nothing_known_to_one_direction() -> None:
    mean = torch.stack([torch.zeros(P), torch.eye(P)[0], 1.0000001 * torch.eye(P)[0]])
    assert concentration(mean).tolist() == [0.0, 1e5, 1e5]


# ---------------------------------------------------------------------------------------------- the means


def test_means_are_over_the_last_epoch_and_the_present_one() -> None:
    """Two views of 10 images an epoch; an epoch is three batches."""
    counts = torch.tensor([6.0, 3.0, 1.0, 0.0])
    means = EpochMeans(E, counts, P).double()
    generator = torch.Generator().manual_seed(0)
    epochs: list[list[tuple[Tensor, int]]] = [[]]
    for _ in range(4):
        order = torch.tensor([0] * 6 + [1] * 3 + [2])[torch.randperm(10, generator=generator)]
        for batch in order.split(4):
            label = batch.repeat(2)
            projection = torch.randn(E, len(label), P, generator=generator).double()
            means.include(projection, label, len(batch))
            epochs[-1] += list(zip(projection.unbind(1), label.tolist(), strict=True))
            seen = [row for epoch in epochs[-2:] for row in epoch]
            for c in range(C):
                own = [z for z, y in seen if y == c]
                expected = sum(own) / len(own) if own else torch.zeros(E, P)
                torch.testing.assert_close(means()[:, c], expected, check_dtype=False)
        epochs.append([])


def test_the_beginning_of_an_epoch_does_not_drift_where_images_are_left_out() -> None:
    means, starts = EpochMeans(1, torch.tensor([10.0]), P), []
    for batch in range(300):
        before = means.count[1].item()
        means.include(torch.ones(1, 3, P), torch.zeros(3, dtype=torch.int64), 3)
        if means.count[1].item() <= before:
            starts.append(batch)
    assert len(starts) in (89, 90)  # 900 images in epochs of 10


def test_an_epoch_counts_images_and_not_their_views() -> None:
    term = build()
    for _ in range(2):
        term(see(num_views=3))
    assert term.means.seen == 2 * len(LABEL)
    assert term.means.count.sum() == 6 * len(LABEL)


def test_a_run_resumes_with_its_means() -> None:
    term, other = build(), build(seed=1)
    for seed in range(12):
        term(see(seed=seed))
    other.load_state_dict(term.state_dict())
    for seed in range(12):
        assert torch.equal(term(see(seed=seed)), other(see(seed=seed)))


# ---------------------------------------------------------------------------------------------- the loss


def slow_proco(term: ProbabilisticContrast, views: ExpertViews, past: list[list[tuple[list[float], int]]]) -> float:
    """One image and one class at a time; ``past`` is what each expert has seen, to which this call adds."""
    label, total, t = views.target.tolist(), 0.0, term.temperature
    for e in range(E):
        rows = [row for view in views.features[e] for row in directions(term.projectors[e](view)).tolist()]
        labels = label * views.features.shape[1]
        past[e] += zip(rows, labels, strict=True)
        for z, y in zip(rows, labels, strict=True):
            logits = []
            for c, count in enumerate(COUNTS.tolist()):
                own = [row for row, other in past[e] if other == c]
                mean = [sum(column) / len(own) for column in zip(*own, strict=True)] if own else [0.0] * P
                length = math.sqrt(sum(m * m for m in mean))
                kappa = min(length * (P - length**2) / max(1 - length**2, 1e-12), 1e5)
                tilted = [kappa * m / (length or 1) + x / t for m, x in zip(mean, z, strict=True)]
                new = math.sqrt(sum(x * x for x in tilted))
                ratio = float(log_normaliser(P, kappa) - log_normaliser(P, new))
                logits.append(math.log(count / 62 + 1e-9) + ratio)
            total += (math.log(sum(math.exp(v) for v in logits)) - logits[y]) / len(labels)
    return total


@pytest.mark.parametrize("num_views", [1, 2])
@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_it_is_the_double_loop_step_after_step(num_views: int, temperature: float) -> None:
    term, past = build(temperature=temperature).double(), [[] for _ in range(E)]
    for seed in range(2):
        views = see(LABEL.roll(seed), num_views, seed)
        views = views._replace(features=views.features.double())
        assert term(views).item() == pytest.approx(slow_proco(term, views, past), rel=1e-6)


def test_classes_without_concentration_leave_the_prior() -> None:
    """Opposite images have a mean of zero: each class is uniform, and only its prior tells it from others."""
    term = ProbabilisticContrast(COUNTS[:3], 1, P, dim=P)
    term.projectors = torch.nn.ModuleList([torch.nn.Identity()])
    z = torch.randn(3, P)
    label = torch.tensor([0, 1, 2, 0, 1, 2])
    features = torch.cat([z, -z])[None, None]
    loss = term(ExpertViews(features, features[..., :3], torch.zeros(1, 3, P), label, 0))
    expected = sum(-math.log(n / 62) for n in (50, 9, 3)) / 3
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_without_a_temperature_that_tells_the_loss_is_that_of_the_prior() -> None:
    expected = E * sum(-math.log(COUNTS[y] / 62) for y in LABEL) / len(LABEL)
    assert build(temperature=1e6)(see()).item() == pytest.approx(expected, rel=1e-4)


def test_tight_classes_are_their_centres() -> None:
    """With infinite concentration the ratio is mu z / t: a softmax over centres."""
    term = build()
    mean = directions(torch.randn(E, C, P))
    z = directions(torch.randn(E, 7, P))
    torch.testing.assert_close(term.log_ratio(z, mean), z @ mean.mT / term.temperature, atol=2e-3, rtol=0)


def test_images_are_drawn_to_their_class() -> None:
    torch.manual_seed(0)
    term = ProbabilisticContrast(torch.tensor([5.0, 5.0]), 1, P, temperature=1.0, dim=P)
    term.projectors = torch.nn.ModuleList([torch.nn.Identity()])
    centre = directions(torch.randn(2, P))
    label = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    features = (centre[label] + 0.1 * torch.randn(10, P))[None, None].requires_grad_()
    term(ExpertViews(features, features[..., :2], torch.zeros(1, 2, P), label, 0)).backward()
    step = -features.grad[0, 0]
    assert ((step * centre[label]).sum(1) > (step * centre[1 - label]).sum(1)).all()


def test_every_parameter_and_view_has_a_gradient_and_the_means_none() -> None:
    term, views = build(), see(num_views=3)
    term(views).backward()
    assert all(parameter.grad is not None for parameter in term.parameters())
    assert views.features.grad.flatten(2).any(2).all()
    assert not term.means().requires_grad


@settings(deadline=None, max_examples=40)
@given(
    label=st.lists(st.integers(0, C - 1), min_size=1, max_size=7),
    num_views=st.integers(1, 3),
    scale=st.sampled_from([0.0, 1e-6, 1.0, 1e4]),
    temperature=st.sampled_from([0.01, 0.1, 10.0]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
)
def test_loss_and_gradient_are_finite(label, num_views, scale, temperature, dtype) -> None:
    """Also of classes without training images, and for a batch of one (evaluation mode: batch norm needs two)."""
    term, views = build(temperature=temperature), see(torch.tensor(label), num_views, scale=scale)
    term.train(len(label) > 1)
    features = views.features.detach().to(dtype).requires_grad_()
    for _ in range(2):
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            loss = term(views._replace(features=features))
        loss.backward()
        assert loss.dtype == torch.float32
        assert loss.isfinite()
        assert features.grad.isfinite().all()
        assert all(p.grad.isfinite().all() for p in term.parameters())


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [({"temperature": 0.0}, "temperature must be positive"), ({"dim": 8}, "dim must be at least")],
)
def test_bad_numbers_are_errors(kwargs: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**kwargs)
