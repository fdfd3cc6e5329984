"""Power: how small a difference a number of items can show."""

from __future__ import annotations

import math
from statistics import NormalDist

from dizuo.significance.resampling import normal_quantile

__all__ = ["minimum_detectable_effect", "paired_power"]


def paired_power(effect: float, *, n: int, discordant: float, alpha: float = 0.05) -> float:
    """Return the chance that McNemar's test sees a true difference of two paired proportions.

    Connor, 1987, Biometrics 43:207: z_power = (√n·|δ| − z_{α/2}·√ψ) / √(ψ − δ²).

    Args:
        effect: true difference δ of the proportions.
        n: number of items.
        discordant: share ψ of items that exactly one of the two has right; at least |δ|.
        alpha: two-sided level.
    """
    size = abs(effect)
    if not 0 < discordant <= 1 or size > discordant:
        raise ValueError(f"a difference of {effect} needs at least that share of discordant items, not {discordant}")
    spread = math.sqrt(max(discordant - size * size, 1e-300))
    z = (math.sqrt(n) * size - normal_quantile(1 - alpha) * math.sqrt(discordant)) / spread
    return NormalDist().cdf(z)


def minimum_detectable_effect(n: int, *, discordant: float, power: float = 0.8, alpha: float = 0.05) -> float:
    """Return the smallest true difference that a paired test on n items would see with the given power.

    Args:
        n: number of items.
        discordant: share of items that exactly one of the two systems has right, such as the share that was seen.
        power: chance to see it.
        alpha: two-sided level.

    Returns:
        a difference in (0, discordant]; `discordant` itself when even that is not seen often enough.
    """
    low, high = 0.0, discordant
    if paired_power(high, n=n, discordant=discordant, alpha=alpha) < power:
        return discordant
    for _ in range(60):
        middle = (low + high) / 2
        if paired_power(middle, n=n, discordant=discordant, alpha=alpha) < power:
            low = middle
        else:
            high = middle
    return high
