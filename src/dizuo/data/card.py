"""The card of a data set: what `dataset.json` holds, with one function that writes it and one that reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dizuo.records import Json

__all__ = ["CARD_VERSION", "Account", "Card", "Lengths", "Removed", "SplitFigures"]

CARD_VERSION = 1


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long the rows of a split are, in one unit."""

    min: int
    median: float
    mean: float
    p95: float
    max: int
    histogram: tuple[tuple[int, int, int], ...]
    """(from, to, rows) of each bar; `to` is not in it."""


@dataclass(frozen=True, slots=True)
class SplitFigures:
    """Counts of one split."""

    rows: int
    labels: Mapping[str, int] = field(default_factory=dict)
    """Rows by label, sorted by label; empty where the rows have none."""
    lengths: Mapping[str, Lengths] = field(default_factory=dict)
    """By unit: `characters`, `words`, and `tokens` where a tokenizer counted them."""


@dataclass(frozen=True, slots=True)
class Removed:
    """One row that is in no split."""

    why: str
    """One of `dizuo.data.checks.ledger.REASONS`."""
    file: str
    line: int | None
    reason: str
    path: str = ""
    """Place in the document or line, as in `Origin`."""

    def to_json(self) -> dict[str, Json]:
        """Return plain JSON values; an empty path is left out."""
        origin: dict[str, Json] = {"file": self.file, "line": self.line, **({"path": self.path} if self.path else {})}
        return {"why": self.why, **origin, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Account:
    """Where every row went: `read` is `kept` and the sum of `removed`."""

    read: int = 0
    kept: int = 0
    removed: Mapping[str, int] = field(default_factory=dict)
    """Rows by reason; reasons of no row stand here with 0."""
    shortened: int = 0
    """Rows that were kept and cut to the length asked for."""
    examples: tuple[Removed, ...] = ()
    """The first removed rows of each reason; all of them are in removed.jsonl."""

    def counts(self) -> dict[str, int]:
        """Return every count by name, sorted by name."""
        counts = {"read": self.read, "kept": self.kept, "shortened": self.shortened, **self.removed}
        return dict(sorted(counts.items()))


@dataclass(frozen=True, slots=True)
class Card:
    """What a data set is: where its rows come from, where each went, and what they look like."""

    name: str = ""
    digest: str = ""
    """SHA-256 over the task and every row of every split."""
    task: Mapping[str, Json] = field(default_factory=dict)
    """As `Task.to_json` writes it."""
    format: str = ""
    """Record format."""
    evidence: str = ""
    """Why it is this one."""
    splits: Mapping[str, SplitFigures] = field(default_factory=dict)
    ledger: Account = field(default_factory=Account)
    notes: tuple[str, ...] = ()
    """What a person should know of."""
    unread: Mapping[str, int] = field(default_factory=dict)
    """How often each key stands in the rows that holds something and was not read, the most frequent first."""
    ignored: Mapping[str, int] = field(default_factory=dict)
    """The same of the keys that `prepare.ignore` names."""
    sources: tuple[Mapping[str, Json], ...] = ()
    """A file each: its name, digest, licence, number of rows, and what its reader found, such as the delimiter."""
    examples: tuple[Mapping[str, str], ...] = ()
    """The first training rows, shortened."""
    options: Mapping[str, Json] = field(default_factory=dict)
    seed: int = 0
    version: int = CARD_VERSION

    def to_json(self) -> dict[str, Json]:
        """Return the value of `dataset.json`; `from_json` is the inverse."""
        ledger: dict[str, Json] = {**self.ledger.counts(), "reasons": [row.to_json() for row in self.ledger.examples]}
        card: dict[str, Json] = {
            "version": self.version,
            "name": self.name,
            "task": self.task,
            "format": self.format,
            "evidence": self.evidence,
            "splits": {name: _figures_to_json(figures) for name, figures in self.splits.items()},
            "ledger": ledger,
            "notes": self.notes,
            "unread": self.unread,
            "ignored": self.ignored,
            "sources": self.sources,
            "examples": self.examples,
            "options": self.options,
            "seed": self.seed,
            "digest": self.digest,
        }
        return {key: _sorted(value) for key, value in sorted(card.items())}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Card:
        """Return the card that a `dataset.json` holds; what it does not say has its default."""
        ledger = value.get("ledger") or {}
        counts = {name: count for name, count in ledger.items() if isinstance(count, int)}
        account = Account(
            read=counts.pop("read", 0),
            kept=counts.pop("kept", 0),
            shortened=counts.pop("shortened", 0),
            removed=counts,
            examples=tuple(Removed(**row) for row in ledger.get("reasons", ())),
        )
        return cls(
            name=value.get("name", ""),
            digest=value.get("digest", ""),
            task=value.get("task", {}),
            format=value.get("format", ""),
            evidence=value.get("evidence", ""),
            splits={name: _figures_from_json(split) for name, split in value.get("splits", {}).items()},
            ledger=account,
            notes=tuple(value.get("notes", ())),
            unread=value.get("unread", {}),
            ignored=value.get("ignored", {}),
            sources=tuple(value.get("sources", ())),
            examples=tuple(value.get("examples", ())),
            options=value.get("options", {}),
            seed=value.get("seed", 0),
            version=value.get("version", CARD_VERSION),
        )


def _figures_to_json(figures: SplitFigures) -> dict[str, Json]:
    return {
        "rows": figures.rows,
        "labels": figures.labels,
        **{
            unit: {
                "min": lengths.min, "median": lengths.median, "mean": lengths.mean, "p95": lengths.p95,
                "max": lengths.max, "histogram": lengths.histogram,
            }
            for unit, lengths in figures.lengths.items()
        },
    }  # fmt: skip


def _figures_from_json(value: Mapping[str, Any]) -> SplitFigures:
    lengths = {
        unit: Lengths(**{**figures, "histogram": tuple((start, end, n) for start, end, n in figures["histogram"])})
        for unit, figures in value.items()
        if unit not in ("rows", "labels")
    }
    return SplitFigures(value["rows"], value.get("labels", {}), lengths)


def _sorted(value: Json) -> Json:
    """Return a value with lists for tuples and the keys of every object sorted, as the file has them."""
    if isinstance(value, Mapping):
        return {key: _sorted(inner) for key, inner in sorted(value.items())}
    if isinstance(value, list | tuple):
        return [_sorted(inner) for inner in value]
    return value
