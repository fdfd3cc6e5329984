"""What one check found on this machine, and how a check says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "State", "broken", "look", "skipped", "well"]

State = Literal["well", "look", "broken", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    state: State
    """`broken` stops work, `look` may, and `skipped` does not apply here."""
    measured: str
    """One line."""
    hint: str = ""
    """What to do; empty where all is well."""


def well(measured: str) -> Finding:
    """Return a finding that all is well."""
    return Finding("well", measured)


def look(measured: str, *, hint: str) -> Finding:
    """Return a finding that may be a trouble."""
    return Finding("look", measured, hint)


def broken(measured: str, *, hint: str) -> Finding:
    """Return a finding that stops work."""
    return Finding("broken", measured, hint)


def skipped(why: str) -> Finding:
    """Return a finding that the check does not apply here, and why."""
    return Finding("skipped", why)
