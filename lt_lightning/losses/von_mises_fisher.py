"""The von Mises-Fisher distribution, the Gaussian of directions: density ``C_p(kappa) exp(kappa mu z)`` of unit z.

``log C_p(kappa) = nu log kappa - log I_nu(kappa) + const`` with ``nu = p / 2 - 1``. For the orders of projections the
Bessel function I_nu overflows or vanishes long before its logarithm does, so the logarithm is taken of its uniform
asymptotic expansion, in which no power of kappa is left: it is smooth at 0 and large anywhere.

- [Banerjee et al., 2005] Clustering on the Unit Hypersphere using von Mises-Fisher Distributions.
  https://jmlr.org/papers/v6/banerjee05a.html
- [Olver, 1974] The expansion, in the Digital Library of Mathematical Functions. https://dlmf.nist.gov/10.41#ii
"""

import torch
from torch import Tensor

MIN_DIM = 16
"""The smallest p whose expansion is exact to float32."""

POLYNOMIALS = (  # U_k(t) = t^k * polynomial in t^2, lowest power first, over the last entry
    ((3, -5), 24),
    ((81, -462, 385), 1152),
    ((30375, -369603, 765765, -425425), 414720),
    ((4465125, -94121676, 349922430, -446185740, 185910725), 39813120),
)


def log_normaliser_ratio(squared: Tensor, growth: Tensor, dim: int) -> Tensor:
    """``log C_p(kappa) - log C_p(kappa')`` where kappa' squared is ``squared + growth``.

    In terms of squares it has a gradient where a concentration is 0, and it does not subtract large numbers.

    Args:
        squared: kappa squared, of any shape.
        growth: What is added to it, of a shape that goes with it; the sum is not negative.
        dim: p, at least ``MIN_DIM``.
    """
    nu = dim / 2 - 1
    before = (1 + squared / nu**2).sqrt()
    after = (1 + (squared + growth) / nu**2).clamp(min=1).sqrt()
    rise = growth / nu**2 / (after + before)  # after - before
    leading = nu * (rise - torch.log1p(rise / (1 + before))) - torch.log1p(rise / before) / 2
    return leading + _log_series(after, nu) - _log_series(before, nu)


def _log_series(root: Tensor, nu: float) -> Tensor:
    """Logarithm of ``1 + sum_k U_k(t) / nu^k`` at ``t = 1 / root``."""
    t = 1 / root
    square, total = t.square(), torch.zeros_like(t)
    for k, (coefficients, divisor) in enumerate(POLYNOMIALS, 1):
        polynomial = torch.zeros_like(t)
        for coefficient in reversed(coefficients):
            polynomial = polynomial * square + coefficient
        total = total + polynomial * (t / nu) ** k / divisor
    return total.log1p()


def concentration(mean: Tensor, largest: float = 1e5) -> Tensor:
    """Concentration of the distribution that directions of this mean come from [Banerjee et al., 2005].

    Args:
        mean: Means ``(..., P)`` of unit vectors, of length 0 to 1.
        largest: What stands for infinity, where all directions are one.

    Returns:
        ``(...)``, ``R (p - R^2) / (1 - R^2)`` for the length R of the mean.
    """
    squared = mean.square().sum(-1)
    length = squared.sqrt()
    return (length * (mean.shape[-1] - squared) / (1 - squared).clamp(min=1e-12)).clamp(max=largest)
