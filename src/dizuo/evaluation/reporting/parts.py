"""The parts of a report besides its rows: what changed, confusions, reliability, answers side by side.

All are plain values; `report.json` holds them under the names of their fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Bin", "Change", "Changes", "Confusion", "Curve", "History", "Moment", "Reliability", "Sample", "Slice"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One item with the answers of both models, side by side."""

    text: str
    """What is asked, cut to be shown."""
    expected: str
    answers: Mapping[str, str]
    """By `untuned` and `tuned`."""
    right: Mapping[str, bool | None]
    """Whether each answer is right; None where that cannot be said of a single answer."""


@dataclass(frozen=True, slots=True)
class Change:
    """One item whose answer training changed."""

    item: int
    """Its place among the scored items."""
    origin: str
    text: str
    expected: str
    before: str
    """The untuned model's answer."""
    after: str
    """The tuned model's answer."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What training changed, compared with the untuned model on the same items."""

    num_fixed: int
    num_broken: int
    num_same: int
    n: int
    """Items that both models answered."""
    fixed: tuple[Change, ...]
    """Some of the items that were wrong before and are right after."""
    broken: tuple[Change, ...]
    """Some of the items that were right before and are wrong after."""


@dataclass(frozen=True, slots=True)
class Confusion:
    """Which labels a row takes for which."""

    title: str
    pairs: tuple[tuple[str, str, int], ...]
    """The most frequent confusions: true label, answer, count."""
    matrix: tuple[tuple[int, ...], ...] | None = None
    """Counts by true label and answer, with a last column for what is no label; None where there are many labels."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One label, and how often each row is right on its items."""

    label: str
    n: int
    right: Mapping[str, float | None]
    """Share right by row name; None where the row answered none of these items."""


@dataclass(frozen=True, slots=True)
class Bin:
    """The answers whose stated confidence lies in one interval."""

    low: float
    high: float
    """The interval of confidence."""
    n: int
    confidence: float
    """Mean of the stated confidences."""
    accuracy: float
    """Share of the answers that are right."""
    accuracy_low: float
    accuracy_high: float
    """95 % interval of that share."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """Whether a row's stated confidence comes true."""

    title: str
    bins: tuple[Bin, ...]
    ece: float
    """Expected calibration error."""
    brier: float
    """Brier score."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A row's score over the number of training rows."""

    title: str
    points: tuple[tuple[float, float, float, float], ...]
    """Training rows, score, and the interval's ends."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One answer while the model was trained."""

    step: int
    answer: str
    right: bool


@dataclass(frozen=True, slots=True)
class History:
    """A validation item, and what the model answered while it was trained."""

    text: str
    expected: str
    answers: tuple[Moment, ...]
