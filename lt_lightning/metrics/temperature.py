"""The temperature by which a model's logits should be divided for its probabilities to be right.

- [Guo et al., 2017] On Calibration of Modern Neural Networks. https://arxiv.org/abs/1706.04599
"""

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric

AT_ONCE = 2**20
"""Logits that are looked at together: few enough for the caches of a processor, and few calls for a GPU."""


class BestTemperature(Metric):
    """The temperature of least NLL, without keeping logits [Guo et al., 2017].

    The NLL is summed at 33 temperatures from 1/16 to 16, whose logarithms lie 0.17 apart, and the least one is that of
    the parabola through the lowest three, which is right to 1 % and its NLL to 0.0005 nats; outside of that range, its
    end. States are these sums, so memory does not grow with the number of images, and any division into batches or
    processes gives the same result.

    Args:
        log_prior: Is added to logits after they were divided, ``(C,)``; by default nothing.
    """

    full_state_update = False
    log_prior: Tensor
    grid: Tensor
    nll: Tensor
    count: Tensor

    def __init__(self, log_prior: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("log_prior", torch.zeros(()) if log_prior is None else log_prior, persistent=False)
        self.register_buffer("grid", torch.logspace(-4, 4, 33, base=2.0), persistent=False)
        self.add_state("nll", torch.zeros(33, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Add logits ``(B, C)`` of images of classes ``(B,)``."""
        at_once = max(1, AT_ONCE // max(1, logits.numel()))
        for nll, temperature in zip(torch.split(self.nll, at_once), torch.split(self.grid, at_once), strict=True):
            scaled = logits.float() / temperature[:, None, None] + self.log_prior
            losses = F.cross_entropy(scaled.flatten(0, 1), target.repeat(len(temperature)), reduction="none")
            nll += losses.view(len(temperature), -1).double().sum(1)
        self.count += len(target)

    def compute(self) -> dict[str, Tensor]:
        """``temperature``, and ``nll_calibrated``, the mean NLL with it, in nats."""
        nll, log_grid = self.nll / self.count, self.grid.double().log()
        place = nll.argmin().clamp(1, len(nll) - 2)
        before, here, after = nll[place - 1], nll[place], nll[place + 1]
        slope, bend = (after - before) / 2, before - 2 * here + after
        # beyond the lower end the curve may bend the other way: then the end is the least
        step = torch.where(bend > 0, -slope / bend, -slope.sign()).clamp(-1, 1)
        temperature = (log_grid[place] + step * (log_grid[1] - log_grid[0])).exp()
        return {"temperature": temperature, "nll_calibrated": here + slope * step + bend * step**2 / 2}
