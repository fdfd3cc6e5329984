"""Finds the record format of a data set from the keys and value types of all its rows.

Each row is shown to each format. A format whose columns are a part of another fitting format's columns gives way to
it (`text` to `text, category`). If more than one is left, dizuo asks rather than guesses.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import TypeAlias

from dizuo.data.formats import FORMATS, Format
from dizuo.data.options import PrepareOptions
from dizuo.data.reading.columns import ALIASES, Columns, known_column, truth_of
from dizuo.data.reading.correcting import as_line, correct
from dizuo.data.reading.files import Cells, Fault, Row
from dizuo.data.reading.label_columns import Values
from dizuo.errors import DataError
from dizuo.records import Json

__all__ = ["Evidence", "choose", "gather", "load"]

_Shape: TypeAlias = tuple[tuple[str, str], ...]
_NEAR = 0.8
_SHARE = 0.5
"""A format is a candidate when it fits this share of the rows; the other rows are then reported as bad."""


@dataclass(slots=True)
class Evidence:
    """Counts what all rows look like."""

    rows: int = 0
    fits: Counter[str] = field(default_factory=Counter)
    """Format: number of rows it fits."""
    used: dict[str, set[str]] = field(default_factory=dict)
    """Format: the columns it would use."""
    keys: Counter[str] = field(default_factory=Counter)
    first: Cells = field(default_factory=dict)
    """The first row."""
    values: Values = field(default_factory=Values)
    """Of every column, as long as they are few."""


@cache
def load(name: str) -> Format:
    """Return a record format, or raise the error that lists what exists."""
    return FORMATS.load(name)


def gather(rows: Iterable[Row | Fault], columns: Columns, evidence: Evidence) -> None:
    """Add the rows of one source to the evidence."""
    formats = [load(name) for name in FORMATS.names()]
    seen: dict[_Shape, tuple[tuple[str, frozenset[str]], ...]] = {}
    for row in rows:
        if isinstance(row, Fault):
            continue
        evidence.first = evidence.first or row.value
        evidence.rows += 1
        evidence.keys.update(map(str, row.value))
        evidence.values.add(row.value)
        shape = _shape(row.value)
        if shape not in seen:
            used_by = ((fmt.name, fmt.fits(row.value, columns)) for fmt in formats)
            seen[shape] = tuple((name, frozenset(used)) for name, used in used_by if used is not None)
        for name, used in seen[shape]:
            evidence.fits[name] += 1
            evidence.used.setdefault(name, set()).update(used)


def choose(evidence: Evidence, *, name: str, columns: Columns, options: PrepareOptions) -> str:
    """Return the one format that fits.

    Args:
        evidence: what all rows look like.
        name: how errors call the data.
        columns: finds the columns of rows.
        options: as rows will be read with.

    Raises:
        DataError: none fits, or several do; the message shows the keys, the nearest format, or the candidates.
    """
    candidates = [fmt for fmt, count in evidence.fits.items() if count >= _SHARE * evidence.rows]
    used = evidence.used
    left = sorted(fmt for fmt in candidates if not any(used[fmt] < used[other] for other in candidates))
    if len(left) == 1:
        if left[0] == "text" and (likely := evidence.values.label_columns(set(evidence.keys) - used["text"])):
            raise DataError(
                f"{name} is a column of text and {'a column' if len(likely) == 1 else 'columns'} that may be its label",
                details=[f"{key}: {shown}" for key, shown in likely.items()],
                hint=f"to learn it: label_column: {next(iter(likely))}; to learn to write the text alone: format: text",
            )
        return left[0]
    if left:
        raise DataError(
            f"{name} fits {len(left)} formats",
            details=[f"{fmt}: from {', '.join(sorted(used[fmt]))} ({evidence.fits[fmt]:,} rows)" for fmt in left],
            hint=f"say which one: format: {' or format: '.join(left)}",
        )
    keys = list(evidence.keys)
    if all(key.isdigit() for key in keys):
        raise DataError(
            f"{name} has {len(keys)} column{'s' if len(keys) != 1 else ''} and no header row that names them",
            hint="say which is which, counted from 1, as in: text_column: 2 and label_column: 1",
        )
    shown = ", ".join(f"{key!r} ({count:,} rows)" for key, count in evidence.keys.most_common(8))
    if len(keys) > 8:
        shown += f" and {len(keys) - 8:,} more"
    details = [f"its keys: {shown}"]
    ranked = _rank(keys[:200])
    if ranked:
        details.append(ranked[0][1])
    likely = evidence.values.label_columns(set(keys))
    details += [f"may be the label: {key}: {shown}" for key, shown in likely.items()]
    corrected = (correct(evidence.first, load(fmt), columns, options) for fmt, _ in ranked[:3])
    if row := next((row for row in corrected if row is not None), None):
        details.append(f"its first row, corrected: {as_line(row) or 'too long to show'}")
    raise DataError(
        f"{name} fits no format",
        details=details,
        hint="rename the columns, or name them: text_column and label_column, or columns: {prompt: …, completion: …}",
    )


def _rank(keys: list[str]) -> list[tuple[str, str]]:
    """Return the formats that the keys come near to, the nearest first, each with a line on what is missing."""
    scored = []
    lowered = {key.lower(): key for key in keys}
    for fmt in FORMATS.names():
        needs = load(fmt).needs
        score, missing, near = 0.0, [], []
        for role in needs:
            if any(alias in lowered for alias in ALIASES[role]):
                score += 1 / len(needs)
                continue
            missing.append(role)
            pairs = [
                (difflib.SequenceMatcher(None, key, alias).ratio(), lowered[key], alias)
                for key in lowered
                if not known_column(key)
                for alias in ALIASES[role]
            ]
            ratio, key, alias = max(pairs, default=(0.0, "", ""))
            if ratio >= _NEAR:
                score += 0.9 * ratio / len(needs)
                near.append(f"did you mean {alias!r} for {key!r}?")
        line = f"nearest format: {fmt}, which needs {' and '.join(needs)}"
        if missing:
            line += f"; there is no {' and no '.join(missing)}" + (f" ({' '.join(near)})" if near else "")
        else:
            line += "; the values are of other types"
        if score:
            scored.append((score, fmt, line))
    return [(fmt, line) for _, fmt, line in sorted(scored, key=lambda entry: -entry[0])]


def _shape(row: Cells) -> _Shape:
    """Return what decides whether formats fit: keys, types, and the small values that formats look at."""
    return tuple((key, _type(value)) for key, value in row.items())


def _type(value: Json) -> str:
    if isinstance(value, dict):
        return f"dict of {sorted(map(str, value))}"
    if isinstance(value, list):
        return f"list of {sorted({_type(part) for part in value[:50]})}"
    if isinstance(value, float):
        return f"float {value.is_integer()} {truth_of(value)}"
    if isinstance(value, str):
        return f"str {truth_of(value)}" if len(value) < 8 else "str None"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"int {truth_of(value)}"
    return type(value).__name__
