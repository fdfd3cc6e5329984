"""The page of a data set: where every row went, what the labels and lengths are, where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dizuo.pages import charts
from dizuo.pages.page import render

__all__ = ["draw"]

SHOWN_LABELS = 30
REMOVED = {
    "quarantined": ("set aside", "could not be read as the format"),
    "duplicates": ("duplicates", "read the same as an earlier row, with the same answer"),
    "conflicts": ("conflicts", "read the same as another row, with another answer"),
    "leaks": ("leaks", "stand in the test or validation rows as well"),
    "merged": ("merged", "further answers to one prompt, kept as references"),
    "unused": ("not drawn", "beyond the number of training rows asked for"),
    "truncated": ("cut", "longer than asked for"),
}
UNITS = ("tokens", "characters", "words")


def draw(card: Mapping[str, Any]) -> str:
    """Return the page; `card` is the value of `dataset.json`. Keys that are missing are left out of the page."""
    ledger = {"read": 0, "kept": 0, "shortened": 0, **(card.get("ledger") or {})}
    known = dict(card.get("splits") or {})
    splits = {name: known[name] for name in sorted(known, key=_rank)}
    return render(
        "card.html",
        card={"name": "", "format": "", "digest": "", **card},
        task={"kind": "", "instruction": "", **(card.get("task") or {})},
        ledger=ledger,
        flow=_flow(ledger, splits),
        reasons=list(ledger.get("reasons") or ()),
        splits=splits,
        keys=[
            {"key": key, "n": count, "why": why}
            for name, why in (("unread", "the format does not know it"), ("ignored", "the recipe ignores it"))
            for key, count in (card.get(name) or {}).items()
        ],
        labels=_labels(splits),
        num_labels=len({label for split in splits.values() for label in split.get("labels") or {}}),
        lengths=_lengths(splits),
        sources=[_source(source) for source in card.get("sources") or ()],
        examples=list(card.get("examples") or ()),
        notes=list(card.get("notes") or ()),
        options={
            name: value for name, value in (card.get("options") or {}).items() if value not in ("", None, [], {}, 0)
        },
    )


def _rank(split: str) -> int:
    order = ("train", "validation", "test")
    return order.index(split) if split in order else len(order)


def _flow(ledger: Mapping[str, Any], splits: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what became of the rows that were read, each part with a bar as long as its share."""
    read = int(ledger.get("read") or 0)
    parts: list[tuple[str, str, int, str]] = [
        (name, "", int(split.get("rows") or 0), "tuned") for name, split in splits.items()
    ]
    known = [*REMOVED, *(name for name in ledger if name not in (*REMOVED, "read", "kept", "shortened", "reasons"))]
    for name in known:
        count = ledger.get(name)
        if isinstance(count, int) and count:
            title, why = REMOVED.get(name, (name, ""))
            parts.append((title, why, count, "cheap"))
    most = max(read, *(count for _, _, count, _ in parts), 1) if parts else 1
    return [
        {"name": name, "why": why, "n": count, "kept": family == "tuned",
         "chart": charts.share(count, most, family=family, label=f"{name}: {count:,} rows")}
        for name, why, count, family in parts
        if count
    ]  # fmt: skip


def _labels(splits: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the most frequent labels over all splits, with their counts in each."""
    totals: dict[str, int] = {}
    for split in splits.values():
        for label, count in (split.get("labels") or {}).items():
            totals[label] = totals.get(label, 0) + int(count)
    shown = sorted(totals, key=lambda label: (-totals[label], label))[:SHOWN_LABELS]
    most = max(totals.values(), default=1)
    return [
        {
            "label": label,
            "n": totals[label],
            "parts": [
                (name, int(count))
                for name, split in splits.items()
                if (count := (split.get("labels") or {}).get(label))
            ],
            "chart": charts.share(totals[label], most, family="tuned", label=f"{label}: {totals[label]:,} rows"),
        }
        for label in shown
    ]


def _lengths(splits: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a histogram per split with rows, in the best unit that was counted."""
    histograms = []
    for name, split in splits.items():
        unit = next((unit for unit in UNITS if split.get(unit) and split[unit].get("histogram")), None)
        if unit is None:
            continue
        lengths = split[unit]
        marks = {key: float(lengths[key]) for key in ("median", "p95") if lengths.get(key) is not None}
        title = {"p95": "95 % below"}
        shown = {title.get(key, key): value for key, value in marks.items()}
        histograms.append(
            {"split": name, "unit": unit, "chart": charts.histogram(lengths["histogram"], unit=unit, marks=shown)}
        )
    return histograms


def _source(source: Any) -> dict[str, Any]:
    """Return a source as names and values."""
    if not isinstance(source, Mapping):
        return {"address": str(source)}
    return {str(key): value for key, value in source.items() if value not in ("", None, [], {}) and key != "files"}
