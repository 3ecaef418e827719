"""Every loss and its gradient, of inputs of every precision, against its formula in float64.

The formula gets the rounded inputs, so what is left is the error of float32 arithmetic. Rounding a number of size
``size`` errs by ``size / 2^24``; the loss errs by what its gradient makes of that, and by as much again for each number
of that size inside, times the loss's own ``weight``. ``ROUNDINGS`` says how many such errors may add up.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import oracles
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_finite import LEVELS, LOSSES, TERMS, concrete
from torch import Tensor, nn

from lt_lightning import losses
from lt_lightning.losses import (
    Aligned,
    BalancedContrast,
    ContrastiveTerm,
    EnsembleDistillation,
    ExpertViews,
    FamilyDistillation,
    Focal,
    LogitAdjustment,
    MeanLogits,
    MeanProbabilities,
    MemberDistillation,
    ParametricContrast,
    PriorCorrected,
    ProbabilisticContrast,
    Raw,
    SharedSupSiam,
    SupCon,
    SupSiam,
)
from lt_lightning.losses.heads import SHORTEST

C, E = 5, 3
ROUNDINGS = 16
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
QUICK = settings(max_examples=25, deadline=None, derandomize=True, database=None)
LONG = settings(
    max_examples=500, deadline=None, database=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
examples = pytest.mark.parametrize(
    "examples", [pytest.param(QUICK, id="quick"), pytest.param(LONG, id="long", marks=pytest.mark.soak)]
)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


class Situation(NamedTuple):
    """A batch, and what is known of its classes."""

    counts: list[float]
    label: list[int]
    soft: bool
    scale: float
    spikes: float  # share of numbers that are +-1e4
    num_views: int
    autocast: bool
    seed: int

    @property
    def target(self) -> Tensor:
        rows = torch.eye(C)
        share = 0.001 + 0.3 * (self.seed % 3)
        return (
            (1 - share) * rows[self.label] + share * rows[self.label[::-1]] if self.soft else torch.tensor(self.label)
        )

    def numbers(self, *shape: int, seed: int = 0) -> Tensor:
        generator = torch.Generator().manual_seed(7 * self.seed + seed)
        values = self.scale * torch.randn(shape, generator=generator)
        spike = torch.rand(shape, generator=generator) < self.spikes
        return torch.where(spike, 1e4 * values.sign(), values).clamp(-1e4, 1e4)

    def features(self, *shape: int, seed: int = 0) -> Tensor:
        """Vectors along the last dimension, some of them zero."""
        zero = torch.rand(shape[:-1], generator=torch.Generator().manual_seed(self.seed)) < self.spikes
        return self.numbers(*shape, seed=seed).masked_fill(zero.unsqueeze(-1), 0.0)


SITUATIONS = st.builds(
    Situation,
    counts=st.lists(st.sampled_from([0.0, 1.0, 3.0, 40.0, 500.0, 1e6]), min_size=C, max_size=C).filter(any),
    label=st.lists(st.integers(0, C - 1), min_size=1, max_size=6)
    | st.builds(lambda c, size: [c] * size, st.integers(0, C - 1), st.integers(1, 6)),
    soft=st.booleans(),
    scale=st.sampled_from([0.0, 1e-6, 0.1, 1.0, 10.0, 1e3, 1e4]),
    spikes=st.sampled_from([0.0, 0.2]),
    num_views=st.integers(1, 3),
    autocast=st.booleans(),
    seed=st.integers(0, 10**6),
)


def compare(
    loss: Callable[..., Tensor],
    oracle: Callable[..., Tensor],
    inputs: list[Tensor],
    *,
    size: float,
    weight: float = 1.0,
    steep: list[Tensor | float] | None = None,
    autocast: bool,
) -> None:
    """See that a loss and its gradient are the oracle's.

    Args:
        loss: Of the inputs.
        oracle: Of the inputs in float64.
        inputs: What has a gradient, in the precision to be tested.
        size: The largest number inside.
        weight: What the loss multiplies its logarithms with.
        steep: How steep that number is in each input.
        autocast: Whether the loss is computed under autocast.
    """
    dtype = inputs[0].dtype
    ours = [x.clone().requires_grad_() for x in inputs]
    theirs = [x.double().requires_grad_() for x in inputs]
    with torch.autocast("cpu", dtype if dtype != torch.float32 else torch.bfloat16, enabled=autocast):
        value = loss(*ours)
    value.backward()
    oracles.INSIDE.clear()
    truth = oracle(*theirs)
    gradients = torch.autograd.grad(truth, theirs, retain_graph=True)
    inside = torch.autograd.grad(truth, oracles.INSIDE) if oracles.INSIDE else ()
    assert value.dtype == torch.float32
    rounding = ROUNDINGS * size * 2**-24
    steep = steep or [1.0] * len(inputs)
    reach = sum(float((g.abs() / s).sum()) for g, s in zip(gradients, steep, strict=True))
    reach += sum(float(g.abs().sum()) for g in inside)
    torch.testing.assert_close(
        value.double(), truth, rtol=ROUNDINGS * 2**-24, atol=rounding * (reach + weight), check_dtype=False
    )
    half = torch.finfo(dtype)
    for own, true, slope in zip(ours, gradients, steep, strict=True):
        assert own.grad is not None
        assert own.grad.dtype == dtype
        largest = (true / slope).abs().max()
        allowed = rounding * slope * (largest + weight) + half.eps * true.abs() + half.smallest_normal * half.eps
        error = (own.grad.double() - true).abs()
        assert (error <= allowed).all(), f"{(error / allowed).max():.3g} of what is allowed"


def explore(check: Callable[[Situation], None], how: settings) -> None:
    how(given(situation=SITUATIONS)(lambda situation: check(situation)))()


# ---------------------------------------------------------------------------------------------- one expert's loss


def cross_entropy(situation: Situation, offset: Tensor, weight: Tensor | None = None) -> Callable[[Tensor], Tensor]:
    return lambda z: oracles.cross_entropy(z, situation.target, offset, weight)


def of_class(name: str) -> Callable[[Situation], Callable[[Tensor], Tensor]]:
    """The formula of a loss with its default arguments."""

    def oracle(s: Situation) -> Callable[[Tensor], Tensor]:
        prior = oracles.log_prior(s.counts)
        return {
            "CrossEntropy": lambda: cross_entropy(s, torch.zeros(C)),
            "BalancedSoftmax": lambda: cross_entropy(s, prior),
            "LogitAdjustment": lambda: cross_entropy(s, prior),
            "InverseSoftmax": lambda: cross_entropy(s, prior - 2 * oracles.log_reversed_prior(s.counts)),
            "ClassBalanced": lambda: cross_entropy(s, torch.zeros(C), oracles.effective_weights(s.counts, 0.9999)),
            "Focal": lambda: lambda z: oracles.focal(z, s.target, 1.0),
            "LabelAwareSmoothing": lambda: lambda z: oracles.smoothing(z, s.target, s.counts, 0.4, 0.1),
            "LDAM": lambda: lambda z: oracles.ldam(z, s.target, s.counts, 0.5, 30.0),
        }[name]()

    return oracle


OF_ONE: dict[str, tuple[Callable[[Tensor], nn.Module], Callable[[Situation], Callable[[Tensor], Tensor]]]] = {
    **{build.__name__: (build, of_class(build.__name__)) for build in LOSSES},
    "LogitAdjustment(2.5)": (
        partial(LogitAdjustment, tau=2.5),
        lambda s: cross_entropy(s, 2.5 * oracles.log_prior(s.counts)),
    ),
    "Focal(0.5)": (partial(Focal, gamma=0.5), lambda s: lambda z: oracles.focal(z, s.target, 0.5)),
    "Focal(3)": (partial(Focal, gamma=3.0), lambda s: lambda z: oracles.focal(z, s.target, 3.0)),
}


@examples
@every_dtype
@pytest.mark.parametrize("name", OF_ONE)
def test_losses_are_their_formula(name: str, dtype: torch.dtype, examples: settings) -> None:
    build, oracle = OF_ONE[name]

    def check(s: Situation) -> None:
        loss, logits = build(torch.tensor(s.counts)), s.numbers(len(s.label), C).to(dtype)
        size = 50 + logits.abs().max().item()  # 50: offsets and margins
        target = s.target
        weight = 1.0 if loss.class_weight is None else float(loss.class_weight.max())
        compare(lambda z: loss(z, target), oracle(s), [logits], size=size, weight=weight, autocast=s.autocast)

    explore(check, examples)


# ---------------------------------------------------------------------------------------------- several experts


def skills(prior: Tensor) -> Tensor:
    """Offsets ``(E, C)`` of three different losses."""
    return torch.stack([0 * prior, prior, 2 * prior])


OF_ALL: dict[str, Callable[..., Tensor]] = {
    "DistributionAwareDiversity": lambda z, b, s: oracles.diversity(z, s.counts, -0.45, 1.0, 0.05),
    "HardNegatives": lambda z, b, s: oracles.hard_negatives(z, s.target, 10.0),
    "MutualDistillation": lambda z, b, s: oracles.mutual(z) / C,
    "NestedCollaboration": lambda z, b, s: oracles.ncl(z, b, s.target, s.counts, 3, 0.6),
}
ARGUMENTS = {"NestedCollaboration": {"num_hardest": 3}}


@examples
@every_dtype
@pytest.mark.parametrize("build", TERMS)
def test_terms_are_their_formula(build: type[Any], dtype: torch.dtype, examples: settings) -> None:
    oracle = OF_ALL[build.__name__]

    def check(s: Situation) -> None:
        term = build(torch.tensor(s.counts), **ARGUMENTS.get(build.__name__, {}))
        logits, prior = s.numbers(E, len(s.label), C).to(dtype), oracles.log_prior(s.counts)
        offset = skills(prior)
        target = s.target
        size = 50 + logits.abs().max().item()
        compare(
            lambda z: term(z, offset.float(), target),
            lambda z: oracle(z, offset.float().double(), s),
            [logits],
            size=size,
            weight=E * (E - 1),
            autocast=s.autocast,
        )

    explore(check, examples)


SHARES = {MemberDistillation: (0, 1, 0), EnsembleDistillation: (1, 0, 0), FamilyDistillation: (1, 0, -0.3)}
"""Of KL(teacher || ensemble), KL(teacher || student) and KL(ensemble || student)."""


@examples
@every_dtype
@pytest.mark.parametrize("space", [Aligned, Raw])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("level", LEVELS)
def test_distillation_is_its_formula(
    level: type[Any], temperature: float, space: type[Any], dtype: torch.dtype, examples: settings
) -> None:
    def check(s: Situation) -> None:
        extra = (SHARES[level][2],) if level is FamilyDistillation else ()
        loss = level(*extra, temperature, space())
        student, teacher = s.numbers(E, len(s.label), C).to(dtype), s.numbers(len(s.label), C, seed=1).to(dtype)
        prior = oracles.log_prior(s.counts)
        offset = skills(prior)
        own, taught = (offset.unsqueeze(1), prior) if space is Aligned else (0.0, 0.0)
        size = 50 + max(student.abs().max().item(), teacher.abs().max().item())
        compare(
            lambda z: loss(z, offset.float(), teacher, prior.float()),
            lambda z: oracles.distillation(z + own, teacher.double() + taught, temperature, *SHARES[level]),
            [student],
            size=size,
            weight=E * temperature,
            autocast=s.autocast,
        )

    explore(check, examples)


# ---------------------------------------------------------------------------------------------- contrast

P = 16


class Shift(nn.Module):
    """A head without parameters, which gives a zero vector a direction."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.linspace(-0.5, 0.5, P)


def bare(term: Any) -> Any:
    """The term without what its heads learn: then it is a function of its inputs."""
    for name in ("projectors", "predictors", "prototypes"):
        if hasattr(term, name):
            head = Shift if isinstance(term, SupSiam) and name == "projectors" else nn.Identity
            setattr(term, name, nn.ModuleList(head() for _ in getattr(term, name)))
    return term


def unit(x: Tensor) -> Tensor:
    return oracles.unit(x, SHORTEST)


def supcon(term: Any, s: Situation, past: tuple[Tensor, Tensor], views: ExpertViews) -> Tensor:
    z = unit(views.features).flatten(1, 2)
    label = s.label * s.num_views
    prototypes = unit(views.class_vectors) if isinstance(term, BalancedContrast) else [None] * len(z)
    vectors, of = past
    return sum(
        oracles.contrast(z[e], label, vectors[e].double(), of.tolist(), term.temperature, prototypes[e])
        for e in range(len(z))
    )


def supsiam(term: Any, s: Situation, past: tuple[Tensor, Tensor], views: ExpertViews) -> Tensor:
    p, (vectors, of) = unit(Shift()(unit(views.features))), past
    z, label = p.detach(), torch.tensor(s.label)
    drawn = term.draw(label, torch.cat([label, of]), len(p), views.seed)
    experts = range(len(p))
    sup = sum(oracles.attraction(p[e, 0], z[e, 0], vectors[e].double(), drawn[e]) for e in experts)
    return 1 + sup + sum(oracles.own_attraction(p[e], z[e]) for e in experts) / len(p)


def paco(term: Any, s: Situation, past: tuple[Tensor, Tensor], views: ExpertViews) -> Tensor:
    z, (vectors, of) = unit(views.features), past
    logits = (views.logits[:, 0] + oracles.log_prior(s.counts)) / term.centre_temperature
    keys = torch.cat([z[:, 1:].detach().flatten(1, 2), vectors.double()], 1)
    labels = s.label * (s.num_views - 1) + of.tolist()
    return sum(
        oracles.paco(logits[e], z[e, 0], keys[e], s.label, labels, term.alpha, term.temperature) for e in range(len(z))
    )


def proco(term: Any, s: Situation, past: Tensor, views: ExpertViews) -> Tensor:
    z, label = unit(views.features).flatten(1, 2), s.label * s.num_views
    prior = oracles.log_prior(s.counts)
    mean = term.means().double()  # of the batch, too, which has been seen by now
    return sum(oracles.proco(z[e], label, mean[e], prior, term.temperature) for e in range(len(z)))


class Contrast(NamedTuple):
    build: Callable[..., ContrastiveTerm]
    oracle: Callable[..., Tensor]
    past: Callable[[Any], Any]  # what the term remembers before the step


def recall(term: Any) -> tuple[Tensor, Tensor]:
    return term.memory.recall()  # type: ignore[no-any-return]


CONTRASTS = {
    "SupCon": Contrast(partial(SupCon, dim=P), supcon, recall),
    "SupCon memory": Contrast(partial(SupCon, dim=P, memory=2), supcon, recall),
    "BalancedContrast": Contrast(partial(BalancedContrast, dim=P), supcon, recall),
    "BalancedContrast memory": Contrast(partial(BalancedContrast, dim=P, memory=2), supcon, recall),
    "SupSiam": Contrast(partial(SupSiam, hidden=8, dim=P, positives=2), supsiam, recall),
    "SupSiam memory": Contrast(partial(SupSiam, hidden=8, dim=P, memory=2), supsiam, recall),
    "SharedSupSiam": Contrast(partial(SharedSupSiam, hidden=8, dim=P), supsiam, recall),
    "ParametricContrast": Contrast(
        partial(ParametricContrast, dim=P, queue=5),
        paco,
        lambda term: (term.queue.vectors.clone(), term.queue.label.clone()),
    ),
    "ParametricContrast(alpha=1)": Contrast(
        partial(ParametricContrast, dim=P, alpha=1.0, queue=0),
        paco,
        lambda term: (term.queue.vectors.clone(), term.queue.label.clone()),
    ),
    "ProbabilisticContrast": Contrast(partial(ProbabilisticContrast, dim=P), proco, lambda term: None),
}


def test_every_contrast_is_here() -> None:
    here = {x.build.func for x in CONTRASTS.values()}  # type: ignore[attr-defined]
    assert here == set(concrete(ContrastiveTerm)) | {BalancedContrast, SharedSupSiam}
    assert {build.__name__ for build in TERMS} == set(OF_ALL)
    assert set(LEVELS) == set(SHARES)
    known = {*LOSSES, *TERMS, *LEVELS, *here, *COMBINATIONS, Aligned, Raw}
    rest = {name for name in losses.__all__ if vars(losses)[name] not in known}
    assert rest == {  # what losses are made of, and of what kind they are
        *("CombinationFactory", "ContrastFactory", "ContrastiveTerm", "Distillation", "EnsembleTerm", "ExpertViews"),
        *("LongTailLoss", "LossFactory", "Space", "TermFactory"),
    }


@examples
@every_dtype
@pytest.mark.parametrize("name", CONTRASTS)
def test_contrast_is_its_formula(name: str, dtype: torch.dtype, examples: settings) -> None:
    """Of the second step, so that a memory holds the first; heads are left out, as batch norm needs two images."""
    build, oracle, past = CONTRASTS[name]

    def check(s: Situation) -> None:
        term = bare(build(torch.tensor(s.counts), 2, P))
        label, size = torch.tensor(s.label), (2, s.num_views, len(s.label))
        vectors = torch.randn(2, C, P, generator=torch.Generator().manual_seed(s.seed))
        first = s.features(*size, P, seed=1)
        term(ExpertViews(first, first[..., :C], vectors, label.flip(0), s.seed))
        features, logits = s.features(*size, P).to(dtype), s.numbers(*size, C).to(dtype)
        remembered = past(term)
        slope = 1 / features.double().norm(dim=-1, keepdim=True).clamp(min=SHORTEST)
        t = getattr(term, "temperature", 1.0)
        compared = 1 + 1 / t + (logits.abs().max().item() + 50 if isinstance(term, ParametricContrast) else 0.0)
        compare(
            lambda f, z: term(ExpertViews(f, z, vectors, label, s.seed)) + 0 * z.float().sum(),
            lambda f, z: oracle(term, s, remembered, ExpertViews(f, z, vectors.double(), label, s.seed)) + 0 * z.sum(),
            [features, logits],
            size=compared,
            weight=2,
            steep=[slope / t, 1.0],
            autocast=s.autocast,
        )

    explore(check, examples)


# ---------------------------------------------------------------------------------------------- combination

COMBINATIONS = {
    MeanLogits: lambda z, prior: z.mean(0),
    MeanProbabilities: lambda z, prior: z.log_softmax(-1).logsumexp(0) - math.log(len(z)),
    PriorCorrected: lambda z, prior: (z + skills(prior).unsqueeze(1)).mean(0) - prior,
}


@examples
@every_dtype
@pytest.mark.parametrize("build", COMBINATIONS)
def test_combinations_are_their_formula(build: type[MeanLogits], dtype: torch.dtype, examples: settings) -> None:
    """Up to a constant, which no prediction depends on: the logits are centred before they are compared."""

    def check(s: Situation) -> None:
        combination, logits = build(torch.tensor(s.counts)), s.numbers(E, len(s.label), C).to(dtype)
        prior = oracles.log_prior(s.counts)
        direction = torch.randn(len(s.label), C, generator=torch.Generator().manual_seed(s.seed)).double()
        direction -= direction.mean(-1, keepdim=True)
        compare(
            lambda z: (combination(z, skills(prior).float()) * direction.float()).sum(),
            lambda z: (COMBINATIONS[build](z, prior) * direction).sum(),
            [logits],
            size=50 + logits.abs().max().item(),
            weight=float(direction.abs().sum()),
            autocast=s.autocast,
        )

    explore(check, examples)
