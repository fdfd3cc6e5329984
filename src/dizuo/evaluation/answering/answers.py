"""Answers: what one way of doing the task said to each item, before it is scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Absent", "Answers", "Likelihood"]


class Absent(Exception):
    """A row cannot be made here, for the reason that the message gives; the report says so and goes on."""


@dataclass(frozen=True, slots=True, eq=False)
class Likelihood:
    """How likely a model finds the right answers."""

    logprobs: Sequence[NDArray[np.float32]]
    """Natural log-probabilities of each text's tokens, end of turn included."""
    texts: Sequence[str]
    """The right answers that could be rendered and that the model can read."""


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
    likelihood: Likelihood | None = None
    """Of the right answers, where the way can tell."""
