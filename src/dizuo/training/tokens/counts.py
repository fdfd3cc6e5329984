"""How many tokens a split has, and what was cut."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TokenCounts"]


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """The counts of one split as it is trained."""

    cut_rows: int
    """Rows whose prompt was cut."""
    cut_tokens: int
    """Tokens that were lost by it."""
    examples: int
    longest: int
    """Tokens of the longest sequence."""
    sequences: int
    tokens: int
    """Over all sequences, before anything is shared."""
    trained_tokens: int
