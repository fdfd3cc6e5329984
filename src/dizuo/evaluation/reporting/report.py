"""`Report`: what an evaluation found, as plain values. `report.json` holds it, `report.html` draws it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from dizuo.errors import EvaluationError

__all__ = ["Report", "Row"]

VERSION = 1


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
    """How the interval was made: `wilson`, `bca` or `percentile`."""
    p_vs_best_cheap: float | None = None
    """Paired test against the best cheap row on the items both have; None for that row itself, and without one."""
    p_vs_untuned: float | None = None
    """The same against the untuned model without examples."""
    vs_untuned: tuple[float, float, float] | None = None
    """Mean difference to the untuned model on the same items, with its interval."""
    vs_best_cheap: tuple[float, float, float] | None = None
    """Mean difference to the best cheap row on the same items, with its interval."""
    seconds_train: float | None = None
    """Training seconds; 0 where nothing is trained, None where not known."""
    ms_per_item: float | None = None
    """Milliseconds per item on this machine, batched."""
    mb_on_disk: float | None = None
    """What has to be kept to run it, in 10⁶ bytes."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Further figures on the same items."""
    note: str = ""


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
    samples: tuple[dict[str, Any], ...] = ()
    """Items with the answers of both models: `text`, `expected`, `answers` {title: text}, `right` {title: bool}."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """`num_fixed`, `num_broken`, `fixed` [..], `broken` [..]: items whose answer training changed."""
    labels: tuple[str, ...] = ()
    confusion: Mapping[str, Any] = field(default_factory=dict)
    """`matrix` {row: [true][answered] counts}; what is no label is answered in a last column."""
    slices: tuple[dict[str, Any], ...] = ()
    """Per label: `label`, `n`, and per row its share right."""
    reliability: Mapping[str, Any] = field(default_factory=dict)
    """Per row: `bins` [{low, high, n, confidence, accuracy}], `ece`, `brier`."""
    curve: Mapping[str, Any] = field(default_factory=dict)
    """Score over the number of training rows, per row name: [[rows, score, low, high]]."""
    losses: tuple[dict[str, Any], ...] = ()
    """Lines of the run's metrics.jsonl."""
    over_time: tuple[dict[str, Any], ...] = ()
    """A few validation items, and what the model answered while it was trained: `text`, `expected`, `answers`
    [{step, answer, right}]."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Options, and what was chosen on the way."""
    facts: Mapping[str, Any] = field(default_factory=dict)
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

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; `from_json` is the inverse."""
        return {"version": VERSION, **_plain(asdict(self))}

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
        for name in ("samples", "slices", "losses", "over_time", "labels"):
            rest[name] = tuple(rest.get(name, ()))
        # The file's keys are sorted; people read "untuned" before "tuned".
        rest["samples"] = tuple(
            {**sample, "answers": dict(sorted(sample["answers"].items(), key=lambda pair: pair[0] == "tuned"))}
            for sample in rest["samples"]
        )
        rows = []
        for row in rest.pop("rows"):
            for name in ("vs_untuned", "vs_best_cheap"):
                row = {**row, name: tuple(row[name]) if row.get(name) is not None else None}
            rows.append(Row(**row))
        return cls(rows=tuple(rows), **rest)

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
