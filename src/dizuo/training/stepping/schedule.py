"""The learning rate of every step: a function of the step alone, so that there is nothing to save or to resume."""

from __future__ import annotations

import math

__all__ = ["scheduled_rate"]


def scheduled_rate(step: int, *, peak: float, warmup_steps: int, num_steps: int, schedule: str) -> float:
    """Return the learning rate of a step.

    Args:
        step: counted from 1.
        peak: the highest rate.
        warmup_steps: steps over which the rate rises linearly to `peak`; step `warmup_steps` runs at `peak`.
        num_steps: steps of the run; the step after the last would have rate 0 (cosine and linear).
        schedule: `cosine`, `linear` or `constant`.
    """
    if step <= warmup_steps:
        return peak * step / warmup_steps
    if schedule == "constant":
        return peak
    done = (step - 1 - warmup_steps) / max(1, num_steps - warmup_steps)
    if schedule == "linear":
        return peak * (1.0 - done)
    return peak * 0.5 * (1.0 + math.cos(math.pi * done))
