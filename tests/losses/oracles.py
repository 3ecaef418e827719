"""Each loss once more, from its formula alone, in float64: slow, plain, and what float32 is held against.

``docs`` of each loss name its source. Nothing here is shared with the package but what is not arithmetic: which
positives were drawn, what a memory holds. Logits of an image are a row ``(C,)``.
"""

import math
from typing import Any

import torch
from hypothesis import assume
from scipy.special import gammaln, ive  # comes with scikit-learn
from torch import Tensor

EPS = 1e-9
INSIDE: list[Tensor] = []
"""Numbers inside a formula that float32 would round: how much the loss moves with them says how exact it can be."""


def noted(x: Tensor) -> Tensor:
    x = x if x.requires_grad else x.detach().requires_grad_()
    INSIDE.append(x)
    return x


def log_prior(counts: list[float]) -> Tensor:
    return torch.tensor([math.log(n / sum(counts) + EPS) for n in counts], dtype=torch.float64)


def log_reversed_prior(counts: list[float]) -> Tensor:
    """The class of rank r has the prior of rank C - 1 - r; equal counts rank in label order."""
    ranked = sorted(range(len(counts)), key=lambda c: counts[c])
    return log_prior([counts[ranked[-1 - ranked.index(c)]] for c in range(len(counts))])


def effective_weights(counts: list[float], beta: float) -> Tensor:
    weight = [(1 - beta) / (1 - beta ** max(n, 1.0)) for n in counts]
    return torch.tensor([len(counts) * w / sum(weight) for w in weight], dtype=torch.float64)


def one_hot(target: Tensor, classes: int) -> Tensor:
    return target.double() if target.is_floating_point() else torch.eye(classes, dtype=torch.float64)[target]


# ---------------------------------------------------------------------------------------------- one expert's loss


def cross_entropy(logits: Tensor, target: Tensor, offset: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean over the weights of classes, each with its share of an image."""
    share = one_hot(target, logits.shape[-1]) * (1 if weight is None else weight)
    return -(share * (logits + offset).log_softmax(-1)).sum() / share.sum()


def expected(each_class: Tensor, target: Tensor) -> Tensor:
    """Mean of what each image costs, given what it would cost were it of each class, ``(B, C)``."""
    share = one_hot(target, each_class.shape[-1])
    return (share * each_class).sum() / share.sum()


def focal(logits: Tensor, target: Tensor, gamma: float) -> Tensor:
    log_p = logits.log_softmax(-1)
    # 1 - p is the sum of all others', and not 0 to a power, which has no gradient
    rest = torch.stack([others(row).logsumexp(-1) for row in log_p])
    return expected(-(gamma * rest).exp() * log_p, target)


def others(row: Tensor) -> Tensor:
    """``(C, C - 1)``: of each class, the row without it."""
    return torch.stack([torch.cat([row[:c], row[c + 1 :]]) for c in range(len(row))])


def smoothing(logits: Tensor, target: Tensor, counts: list[float], head: float, tail: float) -> Tensor:
    low, high = min(counts), max(counts)
    s = [tail + (head - tail) * math.sin(math.pi / 2 * (n - low) / max(high - low, 1)) for n in counts]
    log_p = logits.log_softmax(-1)
    each = [-(1 - s[c]) * log_p[:, c] - s[c] * log_p.mean(-1) for c in range(len(counts))]
    return expected(torch.stack(each, -1), target)


def ldam(logits: Tensor, target: Tensor, counts: list[float], max_margin: float, scale: float) -> Tensor:
    """Cross-entropy after the image's own class has lost its margin."""
    relative = [max(n, 1.0) ** -0.25 for n in counts]
    each = []
    for c in range(len(counts)):
        margin = torch.zeros(len(counts), dtype=torch.float64)
        margin[c] = scale * max_margin * relative[c] / max(relative)
        each.append(-(logits - margin).log_softmax(-1)[:, c])
    return expected(torch.stack(each, -1), target)


# ---------------------------------------------------------------------------------------------- several experts


def kl(p: Tensor, q: Tensor) -> Tensor:
    """KL of the softmax of rows of logits ``(..., C)``."""
    log_p, log_q = noted(p).log_softmax(-1), noted(q).log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def mutual(logits: Tensor) -> Tensor:
    """Ordered pairs of experts, mean over images, of ``(E, B, C)``."""
    experts = range(len(logits))
    return sum((kl(logits[i], logits[j]).mean() for i in experts for j in experts if i != j), 0 * logits.sum())


def diversity(logits: Tensor, counts: list[float], weight: float, base: float, r: float) -> Tensor:
    """RIDE."""
    mean = sum(counts) / len(counts)
    relative = [1 - r + r * n / mean for n in counts]
    t = torch.tensor([base * v / max(relative) for v in relative], dtype=torch.float64)
    reference = (logits.detach().mean(0)) / t
    return weight * t.mean() ** 2 * sum(kl(reference, z / t).mean() for z in logits)


def ncl(logits: Tensor, offset: Tensor, target: Tensor, counts: list[float], hardest: int, weight: float) -> Tensor:
    """All rows in balanced logits; the mask keeps the own classes, then the first expert's largest."""
    u = logits + offset.unsqueeze(1) + math.log(sum(counts))
    own = one_hot(target, logits.shape[-1]) > 0
    first = logits[0].detach().masked_fill(own, math.inf)
    mask = torch.zeros_like(first).scatter(-1, first.topk(min(hardest, len(counts))).indices, 1.0)
    skill = sum(cross_entropy(z, target, torch.zeros(())) for z in u * mask)
    return skill + weight / max(len(u) - 1, 1) * (mutual(u) + mutual(u * mask))


def hard_negatives(logits: Tensor, target: Tensor, weight: float) -> Tensor:
    """SHIKE: image by image, over the classes that it does not have."""
    own = target.argmax(-1) if target.is_floating_point() else target
    total = 0 * logits.sum()
    for b, y in enumerate(own.tolist()):
        rows = torch.cat([logits[:, b, :y], logits[:, b, y + 1 :]], -1)
        mean = rows.mean(0)
        (first, second), hardest = mean.topk(2).values, mean.argmax()
        assume(first - second > 2**-22 * rows.abs().max() or not rows.any())  # else float32 may see another hardest
        reference = torch.stack([mean[c] if c == hardest else rows[:, c].amax() for c in range(len(mean))])
        total = total + sum(kl(reference, row) for row in rows)
    return weight / logits.shape[-1] * total / len(own)


def distillation(
    student: Tensor, teacher: Tensor, temperature: float, to_ensemble: float, to_members: float, spread: float
) -> Tensor:
    """T^2 times the sum over students of the divergences of teacher, ensemble and student, each with its weight."""
    q, p = student / temperature, teacher / temperature
    mean = q.mean(0)
    each = [to_ensemble * kl(p, mean) + to_members * kl(p, z) + spread * kl(mean, z) for z in q]
    return temperature**2 * sum(e.mean() for e in each)


# ---------------------------------------------------------------------------------------------- contrast


def unit(x: Tensor, shortest: float) -> Tensor:
    """Directions; vectors shorter than ``shortest`` are divided by that."""
    length = x.norm(dim=-1, keepdim=True)
    return x / length.clamp(min=shortest)


def contrast(
    z: Tensor, label: list[int], past: Tensor, past_label: list[int], t: float, balanced: Tensor | None
) -> Any:
    """SupCon of directions ``(N, P)`` against themselves and ``past``; or BCL, with prototypes ``(C, P)``."""
    rows, labels = torch.cat([z, past]), label + past_label
    if balanced is not None:
        rows, labels = torch.cat([rows, balanced]), labels + list(range(len(balanced)))
    losses = []
    for i, own in enumerate(label):
        compared = [k for k, c in enumerate(labels) if k != i and c >= 0]
        if not any(labels[k] == own for k in compared):
            continue
        logit = rows[compared] @ z[i] / t
        of = torch.tensor([labels[k] for k in compared])
        members = torch.stack([(of == c).sum() for c in of]).double()
        normaliser = (logit - members.log() if balanced is not None else logit).logsumexp(-1)
        losses.append((normaliser - logit[of == own]).mean())
    return torch.stack(losses).mean() if losses else 0 * z.sum()


def attraction(p: Tensor, z: Tensor, past: Tensor, drawn: Tensor) -> Tensor:
    """SupSiam's ``sup`` of one expert: the drawn pairs, of directions ``(B, P)`` without gradient to z and past."""
    total = 0 * p.sum()
    for i, j in drawn.nonzero().tolist():
        total = total - ((p[i] @ z[j] + p[j] @ z[i]) / 2 if j < len(z) else p[i] @ past[j - len(z)])
    return total / len(p)


def own_attraction(p: Tensor, z: Tensor) -> Tensor:
    """SupSiam's ``self`` of one expert: pairs of different views of ``(V, B, P)``."""
    views = range(len(p))
    pairs = [-(p[a] * z[b]).sum(-1).mean() for a in views for b in views if a != b]
    return sum(pairs) / len(pairs) if pairs else 0 * p.sum()


def paco(
    logits: Tensor, z: Tensor, keys: Tensor, label: list[int], keys_label: list[int], alpha: float, t: float
) -> Tensor:
    """PaCo of one expert: adjusted logits ``(B, C)``, directions ``(B, P)``, further ones without gradient."""
    rows, labels = torch.cat([z, keys]), label + keys_label
    total = 0 * z.sum()
    for i, own in enumerate(label):
        compared = [k for k, c in enumerate(labels) if k != i and c >= 0]
        scores = torch.cat([logits[i], rows[compared] @ z[i] / t])
        weight = torch.tensor([float(c == own) for c in range(logits.shape[1])], dtype=torch.float64)
        weight = torch.cat([weight, torch.tensor([alpha * (labels[k] == own) for k in compared], dtype=torch.float64)])
        total = total - (weight * scores.log_softmax(-1)).sum() / weight.sum() / len(label)
    return total


class LogNormaliser(torch.autograd.Function):
    """``log C_p(kappa)`` of the von Mises-Fisher distribution up to a constant, by scipy's Bessel functions."""

    @staticmethod
    def forward(ctx: Any, kappa: Tensor, dim: int) -> Tensor:
        nu, k = dim / 2 - 1, kappa.detach().numpy()
        small = k < 1e-3  # the first term of the series is exact to 1e-7 of its square
        safe = k.clip(min=1e-3)
        scaled = ive(nu, safe)
        value = nu * torch.as_tensor(safe).log() - torch.as_tensor(scaled).log() - torch.as_tensor(safe)
        at_zero = nu * math.log(2) + gammaln(nu + 1)
        ctx.mean_length = torch.where(
            torch.as_tensor(small), kappa.detach() / dim, torch.as_tensor(ive(nu + 1, safe) / scaled)
        )
        return torch.where(torch.as_tensor(small), at_zero - kappa.detach() ** 2 / 2 / dim, value)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return -grad * ctx.mean_length, None


def proco(z: Tensor, label: list[int], mean: Tensor, prior: Tensor, t: float) -> Tensor:
    """ProCo of one expert: directions ``(N, P)`` against classes of these means ``(C, P)``."""
    dim = mean.shape[-1]
    length = mean.norm(dim=-1)
    kappa = (length * (dim - length**2) / (1 - length**2).clamp(min=1e-12)).clamp(max=1e5)
    natural = kappa.unsqueeze(-1) * mean / length.clamp(min=1e-300).unsqueeze(-1)
    tilted = (natural.unsqueeze(0) + z.unsqueeze(1) / t).norm(dim=-1)  # (N, C)
    logits = prior + LogNormaliser.apply(kappa, dim) - LogNormaliser.apply(tilted, dim)
    return cross_entropy(logits, torch.tensor(label), torch.zeros(()))
