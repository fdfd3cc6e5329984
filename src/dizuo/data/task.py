"""What a data set asks of a model: a classification with these labels, an answer, a preference, or text.

The task travels with the model as `task.json`. `rendering/prompts.py` writes what it asks as messages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from dizuo.errors import DataError, did_you_mean
from dizuo.records import Json

__all__ = ["KINDS", "Task"]

KINDS = ("classification", "generation", "text", "preference", "feedback")


@dataclass(frozen=True, slots=True)
class Task:
    """What a data set asks of a model."""

    kind: str
    """One of `KINDS`."""
    instruction: str = ""
    """Put before every input, with a blank line between; empty for none."""
    labels: tuple[str, ...] = ()
    """The answers a classification may give, sorted."""
    input_template: str = "{text}"
    """How the input is written, with `{text}` once; `"Ticket: {text}"` for example."""
    multi_label: bool = False
    """True when a text may carry several labels; the answer joins them with a comma and a space."""
    thinking: bool = False
    """Whether the answers to learn begin with thoughts, so that the model is asked to think. Otherwise a template that
    knows thoughts is told that there are none."""
    calls: bool = False
    """Whether an answer to learn makes calls, so that calls are read in what the model writes, tools or not."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError(
                f"there is no task kind {self.kind!r}{did_you_mean(self.kind, KINDS)}",
                hint=f"choose one of: {', '.join(KINDS)}",
            )
        if self.input_template.count("{text}") != 1:
            raise DataError(
                f"input_template is {self.input_template!r}; it must hold {{text}} exactly once",
                hint='write it like "Ticket: {text}"',
            )

    def to_json(self) -> dict[str, Json]:
        """Return plain JSON values; `from_json` is the inverse."""
        plain = {**asdict(self), "labels": list(self.labels)}
        return {key: value for key, value in plain.items() if value or key not in ("thinking", "calls")}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Task:
        """Return the task that `to_json` wrote; fields that this version does not know are refused."""
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(value) - known)
        if unknown:
            raise DataError(
                f"task.json has unknown fields: {', '.join(unknown)}",
                hint="it was written by a newer dizuo: upgrade with pip install -U dizuo",
            )
        return cls(**{**value, "labels": tuple(value.get("labels", ()))})

    @classmethod
    def read(cls, path: Path) -> Task:
        """Return the task in a `task.json` file."""
        return cls.from_json(json.loads(path.read_text("utf-8")))
