import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lt_lightning.losses import BalancedContrast, ExpertViews, SharedSupSiam, SupCon, SupSiam
from lt_lightning.losses.heads import directions, each
from lt_lightning.losses.memory import EMPTY, ClassMemory
from lt_lightning.losses.supsiam import draw_positives

COUNTS = torch.tensor([50.0, 9.0, 3.0, 0.0])
E, V, B, D, C = 2, 2, 6, 5, 4
LABEL = torch.tensor([0, 1, 0, 0, 1, 2])
TERMS = {
    "supsiam": lambda: SupSiam(COUNTS, E, D, hidden=8, dim=8),
    "supsiam-memory": lambda: SupSiam(COUNTS, E, D, hidden=8, dim=8, memory=2),
    "supcon": lambda: SupCon(COUNTS, E, D, dim=8),
    "supcon-memory": lambda: SupCon(COUNTS, E, D, dim=8, memory=2),
    "bcl": lambda: BalancedContrast(COUNTS, E, D, dim=8),
    "bcl-memory": lambda: BalancedContrast(COUNTS, E, D, dim=8, memory=2),
}
every_term = pytest.mark.parametrize("term", TERMS.values(), ids=TERMS.keys())


def see(label: Tensor = LABEL, num_views: int = V, seed: int = 0, scale: float = 1.0) -> ExpertViews:
    """Random views of images of these classes."""
    generator = torch.Generator().manual_seed(seed)
    features, logits = (scale * torch.randn(E, num_views, len(label), n, generator=generator) for n in (D, C))
    vectors = torch.randn(E, C, D, generator=generator)
    return ExpertViews(features.requires_grad_(), logits, vectors.requires_grad_(), label, seed)


def cosine(a: list[float], b: list[float]) -> float:
    norm = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(x * x for x in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / norm


def slow_supsiam(term: SupSiam, views: ExpertViews) -> float:
    """1 + L_sup + L_self of methods.md 2.3, pair by pair; the drawn positives are those of the term's own draw."""
    drawn = draw_positives(views.target, views.target, E, term.positives, views.seed)
    z = [[h(directions(f)).tolist() for f in fs] for h, fs in zip(term.projectors, views.features, strict=True)]
    p = [
        [h(torch.tensor(f, dtype=torch.float64)).tolist() for f in fs] for h, fs in zip(term.predictors, z, strict=True)
    ]
    sup = own = 0.0
    for e in range(E):
        for i in range(len(views.target)):
            for j in range(len(views.target)):
                if drawn[e, i, j]:
                    sup -= (cosine(p[e][0][i], z[e][0][j]) + cosine(p[e][0][j], z[e][0][i])) / 2
            own -= (cosine(p[e][0][i], z[e][1][i]) + cosine(p[e][1][i], z[e][0][i])) / 2
    return 1 + sup / len(views.target) + own / len(views.target) / E


@pytest.mark.parametrize("positives", [1, 2, 5])
def test_supsiam_is_the_double_loop(positives: int) -> None:
    term, views = SupSiam(COUNTS, E, D, positives, hidden=8, dim=8).double(), see()
    views = views._replace(features=views.features.double())
    assert term(views).item() == pytest.approx(slow_supsiam(term, views), abs=1e-12)


def slow_contrast(term: SupCon, views: ExpertViews, balanced: bool) -> float:
    """The mean over anchors of the mean over positives of -log of the ratio, class by class in the denominator."""
    total = 0.0
    for e in range(E):
        rows = [row for view in views.features[e] for row in directions(term.projectors[e](view)).tolist()]
        labels = views.target.tolist() * views.features.shape[1]
        anchors = len(rows)
        if balanced:
            rows += directions(term.prototypes[e](views.class_vectors[e])).tolist()
            labels += range(C)
        losses = []
        for i in range(anchors):
            others = [k for k in range(len(rows)) if k != i]
            similar = {
                k: math.exp(sum(a * b for a, b in zip(rows[i], rows[k], strict=True)) / term.temperature)
                for k in others
            }
            denominator = 0.0
            for c in range(C):
                members = [similar[k] for k in others if labels[k] == c]
                denominator += sum(members) / (max(len(members), 1) if balanced else 1)
            positives = [k for k in others if labels[k] == labels[i]]
            if positives:
                losses.append(sum(-math.log(similar[k] / denominator) for k in positives) / len(positives))
        total += sum(losses) / max(len(losses), 1)
    return total


@pytest.mark.parametrize("num_views", [1, 2, 3])
@pytest.mark.parametrize(("build", "balanced"), [(SupCon, False), (BalancedContrast, True)])
def test_contrast_with_negatives_is_the_double_loop(build: type[SupCon], balanced: bool, num_views: int) -> None:
    term, views = build(COUNTS, E, D, temperature=0.3, dim=8).double(), see(num_views=num_views)
    views = views._replace(features=views.features.double(), class_vectors=views.class_vectors.double())
    assert term(views).item() == pytest.approx(slow_contrast(term, views, balanced), rel=1e-7)


def test_supcon_is_least_where_classes_are_apart_and_together() -> None:
    term = SupCon(COUNTS, 1, C, dim=C)
    term.projectors = torch.nn.ModuleList([torch.nn.Identity()])
    apart = torch.eye(C)[LABEL].expand(1, V, B, C)
    together = torch.ones(1, V, B, C)
    values = [term(ExpertViews(f, f, torch.eye(C)[None], LABEL, 0)).item() for f in (apart, together)]
    assert values[0] < values[1]


def test_projections_get_no_gradient_as_targets() -> None:
    """Stop-gradient: with predictors that give a constant, nothing reaches the features."""
    term = SupSiam(COUNTS, E, D, hidden=8, dim=8)
    for head in term.predictors:
        torch.nn.init.zeros_(head[-1].weight)
    views = see()
    term(views).backward()
    assert not views.features.grad.any()
    for head in term.predictors:
        torch.nn.init.ones_(head[-1].weight)
    term(views).backward()
    assert views.features.grad.any()


def test_attraction_is_bounded_by_the_share_with_partners() -> None:
    """L_sup >= -E k P(partner), L_self >= -1."""
    for seed in range(20):
        value = SupSiam(COUNTS, E, D, hidden=8, dim=8)(see(seed=seed)).item()
        assert value >= 1 - E * 5 / 6 - 1 - 1e-6


def test_each_expert_draws_up_to_k_others_of_the_class_evenly() -> None:
    label = torch.tensor([0, 0, 0, 0, 1, 2, 2])
    draws = torch.stack([draw_positives(label, label, 3, 2, seed) for seed in range(400)])
    assert not draws.diagonal(dim1=-2, dim2=-1).any()
    assert not draws[..., label.unsqueeze(1) != label].any()
    assert (draws.sum(-1) == torch.tensor([2, 2, 2, 2, 0, 1, 1])).all()
    assert (draws[:, 0] != draws[:, 1]).any()
    share = draws[..., 0, 1:4].float().mean((0, 1))
    torch.testing.assert_close(share, torch.full((3,), 2 / 3), atol=0.05, rtol=0)
    assert torch.equal(draw_positives(label, label, 3, 2, 7), draws[7])


def test_experts_may_share_their_draws() -> None:
    label = torch.tensor([0, 0, 0, 0, 1, 1])
    drawn = SharedSupSiam(COUNTS, E, D, hidden=8, dim=8).draw(label, label, 3, seed=4)
    assert torch.equal(drawn, draw_positives(label, label, 1, 1, 4).expand(3, -1, -1))


@every_term
def test_a_term_leaves_experts_and_heads_with_gradients(term) -> None:
    term, views = term(), see()
    term(views).backward()
    assert all(parameter.grad is not None for parameter in term.parameters())
    assert all(views.features.grad[e].any() for e in range(E))


@settings(deadline=None, max_examples=30)
@given(
    label=st.lists(st.integers(0, C - 1), min_size=1, max_size=7),
    num_views=st.integers(1, 3),
    scale=st.sampled_from([0.0, 1e-6, 1.0, 1e4]),
    name=st.sampled_from(sorted(TERMS)),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
)
def test_loss_and_gradient_are_finite(label, num_views, scale, name, dtype) -> None:
    """Also with one class, without positives, and for a batch of one (in evaluation mode, as batch norm needs two)."""
    if dtype == torch.float16:
        scale = min(
            scale, 1e3
        )  # a layer in float16 sums to more than its largest number, 65504, from ten times as much
    torch.manual_seed(0)  # of the heads
    term, views = TERMS[name](), see(torch.tensor(label), num_views, scale=scale)
    term.train(len(label) > 1)
    features = views.features.detach().to(dtype).float().requires_grad_()
    for _ in range(2):  # the second time with a memory
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            loss = term(views._replace(features=features))
        loss.backward()
        assert loss.dtype == torch.float32
        assert loss.isfinite()
        assert features.grad.isfinite().all()
        assert all(p.grad.isfinite().all() for p in term.parameters() if p.grad is not None)


def test_images_without_positives_cost_nothing() -> None:
    label = torch.tensor([0, 1, 2])
    views = see(label, num_views=1)
    assert SupCon(COUNTS, E, D, dim=8)(views).item() == 0
    assert SupSiam(COUNTS, E, D, hidden=8, dim=8)(views).item() == 1  # the constant


def test_the_memory_keeps_the_last_of_each_class() -> None:
    memory = ClassMemory(1, 3, 2, 1)
    for values, label in (([1, 2, 3], [0, 1, 0]), ([4, 5, 6, 7], [0, 2, 2, 2]), ([8], [1])):
        memory.remember(torch.tensor(values, dtype=torch.float32).view(1, -1, 1), torch.tensor(label))
    vectors, label = memory.recall()
    kept = {c: sorted(vectors[0, label == c, 0].tolist()) for c in range(3)}
    assert kept == {0: [3, 4], 1: [2, 8], 2: [6, 7]}


def test_a_memory_begins_empty_and_may_stay_so() -> None:
    assert ClassMemory(1, 3, 2, 1).recall()[1].tolist() == [EMPTY] * 6
    nothing = ClassMemory(2, 3, 0, 4)
    nothing.remember(torch.ones(2, 5, 4), torch.tensor([0, 1, 2, 0, 0]))
    assert nothing.recall()[0].shape == (2, 0, 4)


def test_poor_classes_find_positives_in_the_memory() -> None:
    torch.manual_seed(0)
    alone, term = torch.tensor([0, 1, 2]), SupSiam(COUNTS, E, D, hidden=8, dim=8, memory=1)
    first, second = term(see(alone, num_views=1)), term(see(alone, num_views=1))
    assert first.item() == 1
    assert second.item() != 1


def test_balanced_contrast_does_not_change_when_a_class_is_doubled() -> None:
    """The denominator averages over each class: a rich class repels no more than a poor one."""
    term = BalancedContrast(COUNTS, 1, 2, dim=2).double()
    term.projectors = torch.nn.ModuleList([torch.nn.Identity()])
    anchor, other = [1.0, 0.0], [0.6, 0.8]
    vectors = torch.randn(1, C, 2).double()

    def loss_of_anchor(others: int) -> float:
        features = torch.tensor([anchor, anchor, *[other] * others]).double()[None, None]
        label = torch.tensor([0, 0, *[1] * others])
        prototypes = directions(term.prototypes[0](vectors[0])).double()
        s = directions(features[0, 0]).double() @ torch.cat([directions(features[0, 0]).double(), prototypes]).T
        labels = torch.cat([label, torch.arange(C)])
        compared = torch.ones_like(s, dtype=torch.bool)
        compared[:, : len(label)] &= ~torch.eye(len(label), dtype=torch.bool)
        number = labels.bincount().double()
        same = label[:, None] == labels
        weight = torch.where(same, term.log_weight(number - 1)[labels], term.log_weight(number)[labels])
        # prototypes of a class sit among its images, so put one where its images are
        s[:, len(label) + 1] = s[:, 2]
        return (s / term.temperature + weight).masked_fill(~compared, -1e9).logsumexp(-1)[0].item()

    assert loss_of_anchor(1) == pytest.approx(loss_of_anchor(5), rel=1e-6)


@pytest.mark.parametrize("build", [SupCon, BalancedContrast])
def test_a_temperature_that_is_not_positive_is_an_error(build: type[SupCon]) -> None:
    with pytest.raises(ValueError, match="temperature must be positive"):
        build(COUNTS, E, D, temperature=0.0)


def test_bad_numbers_are_errors() -> None:
    with pytest.raises(ValueError, match="positives must be at least 1"):
        SupSiam(COUNTS, E, D, positives=0)
    with pytest.raises(ValueError, match="memory must not be negative"):
        SupCon(COUNTS, E, D, memory=-1)


def test_heads_are_applied_view_by_view() -> None:
    """Batch norm sees one view at a time, as in the published code."""
    term, views = SupCon(COUNTS, E, D, dim=8), see()
    together = each(term.projectors, views.features)
    torch.testing.assert_close(together[1, 0], term.projectors[1](views.features[1, 0]))
