"""`Report`: what an evaluation found, as plain values. `report.json` holds it, `report.html` draws it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from dizuo.errors import EvaluationError
from dizuo.evaluation.reporting.parts import (
    Bin,
    Change,
    Changes,
    Confusion,
    Curve,
    History,
    Moment,
    Reliability,
    Sample,
    Slice,
)
from dizuo.records import Json

__all__ = ["Report", "Row"]

VERSION = 1
SERVED_LEVEL = 0.01
"""p below which what is served is not what was scored."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One way to do the task, and how well it does."""

    name: str
    """Short name, such as `tfidf`, `untuned`, `five_shot`, `tuned`, `served`."""
    title: str
    """What people read, such as `TF-IDF + logistic regression`."""
    family: str
    """`cheap`, `untuned` or `tuned`."""
    score: float
    """The report's metric."""
    low: float
    high: float
    """The interval of the report's confidence."""
    n: int
    """Items it was scored on; an answer that could not be read counts as wrong."""
    interval: str = ""
    """How the interval was made: see `dizuo.significance.intervals`."""
    p_vs_best_cheap: float | None = None
    """Paired test against the best cheap row on the items both have; None for that row itself, and without one."""
    p_vs_untuned: float | None = None
    """The same against the untuned model without examples."""
    vs_untuned: tuple[float, float, float] | None = None
    """Mean difference to the untuned model on the same items, with its interval."""
    vs_best_cheap: tuple[float, float, float] | None = None
    """Mean difference to the best cheap row on the same items, with its interval."""
    p_vs_scored: float | None = None
    """Of the row as served: the paired test against the same model as scored."""
    vs_scored: tuple[float, float, float] | None = None
    """Of the row as served: mean difference to the same model as scored on the same items, with its interval."""
    seconds_train: float | None = None
    """Training seconds; 0 where nothing is trained, None where not known."""
    ms_per_item: float | None = None
    """Milliseconds per item on this machine, batched."""
    mb_on_disk: float | None = None
    """What has to be kept to run it, in 10⁶ bytes."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Further figures on the same items."""
    note: str = ""

    @property
    def otherwise_scored(self) -> float | None:
        """Of the row as served, if it is not the model that was scored: what that scores on the same items."""
        if self.vs_scored is None or self.p_vs_scored is None or self.p_vs_scored >= SERVED_LEVEL:
            return None
        return self.score - self.vs_scored[0]


@dataclass(slots=True)
class Report:
    """The outcome of an evaluation."""

    model: str
    """Name of the model that was tuned."""
    dataset: str
    """Name of the data set."""
    split: str
    kind: str
    """The task's kind, such as `classification`."""
    metric: str
    """What `score` is, such as `accuracy`; 0 to 1, higher is better."""
    confidence: float
    n: int
    """Items of the split that were scored."""
    rows: tuple[Row, ...]
    verdict: str
    """One honest line."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """Rows that could not be made, and why."""
    samples: tuple[Sample, ...] = ()
    """A few items with the answers of both models."""
    changes: Changes | None = None
    """What training changed; None where there are not both models."""
    labels: tuple[str, ...] = ()
    confusion: Mapping[str, Confusion] = field(default_factory=dict)
    """By row name."""
    slices: tuple[Slice, ...] = ()
    """One per label."""
    reliability: Mapping[str, Reliability] = field(default_factory=dict)
    """By row name."""
    curve: Mapping[str, Curve] = field(default_factory=dict)
    """Score over the number of training rows, by row name."""
    losses: tuple[Mapping[str, float], ...] = ()
    """Lines of the run's metrics.jsonl."""
    over_time: tuple[History, ...] = ()
    """A few validation items, and what the model answered while it was trained."""
    settings: Mapping[str, Json] = field(default_factory=dict)
    """Options, and what was chosen on the way."""
    facts: Mapping[str, Json] = field(default_factory=dict)
    """Digests, machine, versions, training rows."""

    def row(self, name: str) -> Row | None:
        """Return a row by name, or None."""
        return next((row for row in self.rows if row.name == name), None)

    @property
    def tuned(self) -> Row | None:
        """The tuned model's row: as scored where labels are scored, else as it writes."""
        return self.row("tuned")

    @property
    def untuned(self) -> Row | None:
        """The untuned model without examples."""
        return self.row("untuned")

    @property
    def best_cheap(self) -> Row | None:
        """The cheap row with the highest score."""
        cheap = [row for row in self.rows if row.family == "cheap"]
        return max(cheap, key=lambda row: row.score) if cheap else None

    def to_json(self) -> dict[str, Json]:
        """Return plain JSON values; `from_json` is the inverse."""
        plain: dict[str, Any] = {"version": VERSION, **_plain(asdict(self))}
        plain["changes"] = plain["changes"] or {}
        for confusion in plain["confusion"].values():
            if confusion["matrix"] is None:
                del confusion["matrix"]
        return plain

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Report:
        """Return the report that `to_json` wrote.

        Raises:
            EvaluationError: it was written by another version, or is no report.
        """
        known = {item.name for item in fields(cls)}
        if value.get("version") != VERSION or not known >= set(value) - {"version"} or "rows" not in value:
            raise EvaluationError(
                f"this is no report of version {VERSION}",
                hint="evaluate again, or use the dizuo that wrote it",
            )
        rest = {name: value[name] for name in value if name != "version"}
        for name in ("losses", "labels"):
            rest[name] = tuple(rest.get(name, ()))
        for name, read in _READERS.items():
            if name in rest:
                rest[name] = read(rest[name])
        return cls(**rest)

    @classmethod
    def open(cls, folder: str | Path) -> Report:
        """Return the report in a folder (or in a report.json).

        Raises:
            EvaluationError: there is none, or it cannot be read.
        """
        path = Path(folder)
        path = path / "report.json" if path.is_dir() else path
        try:
            value = json.loads(path.read_text("utf-8"))
            assert isinstance(value, dict)
        except FileNotFoundError as error:
            raise EvaluationError(f"there is no report at {path}", hint="evaluate first") from error
        except (OSError, ValueError, AssertionError) as error:
            raise EvaluationError(f"{path} is no report", hint="evaluate again") from error
        return cls.from_json(value)

    def write(self, folder: Path) -> None:
        """Write `report.json` and `report.html`."""
        from dizuo.artifacts.writing import write_bytes, write_json
        from dizuo.pages import report as page

        value = self.to_json()
        write_json(folder / "report.json", value)
        write_bytes(folder / "report.html", page(value).encode("utf-8"))


def _row(value: Mapping[str, Any]) -> Row:
    pairs = {name: value.get(name) for name in ("vs_untuned", "vs_best_cheap", "vs_scored")}
    return Row(**{**value, **{name: None if pair is None else tuple(pair) for name, pair in pairs.items()}})


def _sample(value: Mapping[str, Any]) -> Sample:
    """Return a sample; the file's keys are sorted, and people read "untuned" before "tuned"."""
    return Sample(**{**value, "answers": dict(sorted(value["answers"].items(), key=lambda pair: pair[0] == "tuned"))})


def _changes(value: Mapping[str, Any]) -> Changes | None:
    if not value:
        return None
    return Changes(**{**value, **{name: _each(_change)(value[name]) for name in ("fixed", "broken")}})


def _change(value: Mapping[str, Any]) -> Change:
    return Change(**value)


def _confusion(value: Mapping[str, Any]) -> Confusion:
    matrix = value.get("matrix")
    return Confusion(
        value["title"],
        tuple((true, answer, count) for true, answer, count in value["pairs"]),
        None if matrix is None else tuple(map(tuple, matrix)),
    )


def _reliability(value: Mapping[str, Any]) -> Reliability:
    return Reliability(**{**value, "bins": tuple(Bin(**part) for part in value["bins"])})


def _curve(value: Mapping[str, Any]) -> Curve:
    return Curve(value["title"], tuple((rows, score, low, high) for rows, score, low, high in value["points"]))


def _history(value: Mapping[str, Any]) -> History:
    return History(value["text"], value["expected"], tuple(Moment(**moment) for moment in value["answers"]))


def _each(read: Callable[[Mapping[str, Any]], T]) -> Callable[[Sequence[Mapping[str, Any]]], tuple[T, ...]]:
    return lambda values: tuple(map(read, values))


def _by_name(read: Callable[[Mapping[str, Any]], T]) -> Callable[[Mapping[str, Any]], dict[str, T]]:
    return lambda values: {name: read(value) for name, value in values.items()}


_READERS: dict[str, Callable[[Any], Any]] = {
    "rows": _each(_row),
    "samples": _each(_sample),
    "changes": _changes,
    "confusion": _by_name(_confusion),
    "slices": _each(lambda value: Slice(**value)),
    "reliability": _by_name(_reliability),
    "curve": _by_name(_curve),
    "over_time": _each(_history),
}


def _plain(value: Any) -> Any:
    """Return JSON values; a number that is not finite is a fault of ours, never silently a zero."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        assert math.isfinite(value), "a score is finite"
    return value
