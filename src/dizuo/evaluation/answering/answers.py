"""Answers: what one way of doing the task said to each item, before it is scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Absent", "Answers"]


class Absent(Exception):
    """A row cannot be made here, for the reason that the message gives; the report says so and goes on."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What was answered to the first n items."""

    texts: Sequence[str]
    """The answers; for classes the label's text, or whatever was written instead."""
    probabilities: NDArray[np.float64] | None = None
    """[n, labels] where the way has them; rows sum to 1."""
    seconds_train: float | None = 0.0
    """Training seconds; None where not known."""
    ms_per_item: float | None = None
    mb_on_disk: float | None = 0.0
    """10⁶ bytes that have to be kept to answer."""
    note: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    """Figures that only the way itself can know."""
