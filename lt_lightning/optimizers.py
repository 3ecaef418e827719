"""Optimisers that torch lacks.

- [Foret et al., 2021] Sharpness-Aware Minimization for Efficiently Improving Generalization (SAM).
  https://arxiv.org/abs/2010.01412
"""

import math
from collections.abc import Callable

import torch
from torch.nn.utils import get_total_norm
from torch.optim import SGD
from torch.optim.optimizer import ParamsT

from lt_lightning.errors import LtError


class SAM(SGD):
    """Stochastic gradient descent by the gradient at the worst point within ``rho`` [Foret et al., 2021].

    A step takes the gradient g at the weights w, moves to ``w + rho * g / |g|`` (one norm over all parameters), takes
    the gradient there, returns to w, bit for bit, and does SGD's step with the second gradient. So each batch is
    trained on twice: a step costs twice as much, batch normalisation counts each batch twice, and the training loss
    that is logged is the one after the climb. Weight decay takes no part in the climb. Contrastive terms that remember
    past batches are refused with it.

    Its state is SGD's own: each can go on from the other's checkpoint. ``trainer.accumulate_grad_batches`` must be 1,
    because only the last part of a batch is known here. Precision ``16-mixed`` does not work, ``bf16-mixed`` does.

    Args:
        params: Parameters, or groups of them.
        lr: Learning rate.
        rho: Radius of the neighbourhood.
        momentum: Momentum factor.
        weight_decay: Weight of the squared parameters.
        nesterov: Whether momentum is Nesterov's.

    Raises:
        ValueError: ``rho`` is negative or not finite, or SGD refuses a value.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        rho: float = 0.05,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        if not 0 <= rho < math.inf:
            raise ValueError(f"rho must not be negative and must be finite, got {rho}")
        super().__init__(params, lr, momentum, weight_decay=weight_decay, nesterov=nesterov)
        self.rho = rho

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float:  # type: ignore[override]
        """Do one step.

        Args:
            closure: Clears the gradients, computes the loss, its gradients, and returns it; it is called twice.

        Returns:
            The loss at w.

        Raises:
            LtError: There is no closure.
        """
        if closure is None:
            raise LtError(
                "SAM computes gradients twice, so it needs a closure", "optimizer", "use bf16-mixed or 32-true"
            )
        evaluate = torch.enable_grad()(closure)
        loss = evaluate()
        climbing = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        if not climbing:
            return loss
        start = [p.clone() for p in climbing]
        gradients = [p.grad for p in climbing]
        scale = self.rho / (get_total_norm(gradients) + 1e-12)  # where all gradients are zero, there is no climb
        try:
            torch._foreach_add_(climbing, torch._foreach_mul(gradients, scale))
            evaluate()
        finally:  # an interrupted run, too, keeps the weights it had
            torch._foreach_copy_(climbing, start)
        super().step()
        return loss
