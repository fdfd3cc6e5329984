"""Reasons why training cannot start, gathered so that all of them are told at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dizuo.errors import PlanError

__all__ = ["Problems"]


@dataclass(slots=True)
class Problems:
    """Reasons why training cannot start, with their lines and the first one's hint."""

    reasons: list[tuple[str, Sequence[str]]] = field(default_factory=list)
    hint: str | None = None

    def add(self, reason: str, lines: Sequence[str] = (), *, hint: str | None = None) -> None:
        """Note a reason, with a line for each row or part of it."""
        self.reasons.append((reason, lines))
        self.hint = self.hint or hint

    def __bool__(self) -> bool:
        return bool(self.reasons)

    def stop(self) -> None:
        """Raise what was found."""
        if len(self.reasons) == 1:
            raise PlanError(self.reasons[0][0], details=self.reasons[0][1], hint=self.hint)
        if self.reasons:
            details = [line for reason, lines in self.reasons for line in (reason, *(f"  {line}" for line in lines))]
            raise PlanError(f"training cannot start, for {len(self.reasons)} reasons", details=details, hint=self.hint)
