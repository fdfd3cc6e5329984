"""A run: the folder in which training leaves everything.

plan.json          every resolved value and why
tokens/            what was trained, token by token
metrics.jsonl      one line per step, and per evaluation
samples.jsonl      answers to a few validation rows at every evaluation, where the caller has them written
checkpoints/       to go on from
adapter/ or model/ the result, in PEFT's or transformers' format
finished.json      written last: a run without it is not finished
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dizuo.artifacts.writing import write_bytes
from dizuo.errors import TrainingError
from dizuo.records import Json
from dizuo.training.planning.facts import Facts
from dizuo.training.planning.plan import Plan
from dizuo.training.planning.snapshot import JsonObject

if TYPE_CHECKING:
    from dizuo.models import ModelSpec

__all__ = ["Ended", "Metrics", "Run"]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended, as finished.json holds it."""

    step: int
    """The last one."""
    best_step: int | None
    best_score: float | None
    """None without evaluations."""
    stopped: str | None
    """Why it ended before its last step."""
    seconds: float
    """In the loop, over all starts."""
    result: str
    """`adapter` or `model`: the folder that holds the trained weights."""
    digest: str
    """Of that folder."""
    facts: Facts
    """What the plan and the machine were."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Ended:
        """Return what `to_json` gave."""
        return cls(**{**value, "facts": Facts.from_json(value["facts"])})

    def to_json(self) -> JsonObject:
        """Return plain JSON values."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "facts"}
        return {**values, "facts": self.facts.to_json()}


@dataclass(frozen=True, slots=True)
class Run:
    """A finished or unfinished training run."""

    folder: Path
    plan: Plan

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """Open a run's folder.

        Raises:
            TrainingError: there is no plan in it.
        """
        folder = Path(folder)
        plan = Plan.read(folder)
        if plan is None:
            raise TrainingError(f"{folder} is not a training run: it has no plan.json", hint="train into it first")
        return cls(folder, plan)

    @property
    def spec(self) -> ModelSpec:
        """The model that was trained."""
        return self.plan.model

    @property
    def adapter(self) -> Path | None:
        """Folder of the trained adapter in PEFT's format, once finished."""
        return self._result("adapter")

    @property
    def weights(self) -> Path | None:
        """Folder of the fully trained model, once finished."""
        return self._result("model")

    @property
    def ended(self) -> Ended | None:
        """How it ended; None while unfinished.

        Raises:
            TrainingError: finished.json cannot be read.
        """
        path = self.folder / "finished.json"
        if not path.exists():
            return None
        try:
            return Ended.from_json(json.loads(path.read_text("utf-8")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TrainingError(
                f"{path} cannot be read: {type(error).__name__}: {error}",
                hint=f"delete {path} and train again: the run goes on from its last checkpoint",
            ) from None

    @property
    def finished(self) -> JsonObject | None:
        """How it ended, as finished.json says it; None while unfinished. `ended` has the same, typed."""
        return None if (ended := self.ended) is None else ended.to_json()

    def metrics(self) -> list[dict[str, float]]:
        """Return the lines of metrics.jsonl."""
        return cast("list[dict[str, float]]", list(Metrics(self.folder / "metrics.jsonl").lines()))

    def samples(self) -> list[JsonObject]:
        """Return the lines of samples.jsonl; none where no answers were written."""
        return list(Metrics(self.folder / "samples.jsonl").lines())

    def _result(self, name: str) -> Path | None:
        path = self.folder / name
        return path if self.ended is not None and path.is_dir() else None


class Metrics:
    """metrics.jsonl: lines with a `step`, appended while training, cut back to the checkpoint on resume."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, line: Mapping[str, Json]) -> None:
        """Add one line of finite figures."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")

    def flush(self) -> None:
        """Put every line on the disk; done before a checkpoint, which must never be ahead of its metrics."""
        if self.path.exists():
            handle = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def cut_back(self, step: int) -> None:
        """Remove the lines after a step, and a line that a kill cut short."""
        kept = [line for line in self.lines() if cast("int", line["step"]) <= step]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept)
        if self.path.exists() or kept:
            write_bytes(self.path, text.encode("utf-8"))

    def lines(self) -> Iterator[JsonObject]:
        """Iterate over the whole lines; an unfinished last one is left out."""
        if not self.path.exists():
            return
        with self.path.open(encoding="utf-8") as file:
            for text in file:
                if text.endswith("\n"):
                    value: JsonObject = json.loads(text)
                    yield value
