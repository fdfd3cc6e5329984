"""What one check found, and how a check says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "State", "green", "red", "skipped"]

State = Literal["green", "red", "skipped"]
SHOWN = 10
"""Rows named in a finding; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found on one subject."""

    state: State
    """`green`, `red`, or `skipped` where it does not apply."""
    measured: str
    """What was looked at, with its figure and what is allowed; for a skipped check why it does not apply."""
    meaning: str = ""
    """What a red one means for the run."""
    lines: tuple[str, ...] = ()
    """The rows or weights it is about, as `file:line: what`; at most `SHOWN`, then how many more."""
    hint: str = ""
    """What to do about a red one."""


def green(measured: str) -> Finding:
    """Return a finding that all is well."""
    return Finding("green", measured)


def red(measured: str, *, meaning: str, hint: str, lines: Sequence[str] = ()) -> Finding:
    """Return a finding that something is wrong.

    Args:
        measured: the figure, with what is allowed.
        meaning: what it means for the run.
        hint: what to do about it.
        lines: the rows or weights it is about.
    """
    more = len(lines) - SHOWN
    shown = (*lines[:SHOWN], *([f"… and {more:,} more"] if more > 0 else []))
    return Finding("red", measured, meaning, tuple(shown), hint)


def skipped(why: str) -> Finding:
    """Return a finding that the check does not apply here, and why."""
    return Finding("skipped", why)
