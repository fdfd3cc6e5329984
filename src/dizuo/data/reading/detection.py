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
from dizuo.data.reading.columns import ALIASES, Columns
from dizuo.data.reading.files import Cells, Fault, Row
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
        evidence.rows += 1
        evidence.keys.update(map(str, row.value))
        shape = _shape(row.value)
        if shape not in seen:
            used_by = ((fmt.name, fmt.fits(row.value, columns)) for fmt in formats)
            seen[shape] = tuple((name, frozenset(used)) for name, used in used_by if used is not None)
        for name, used in seen[shape]:
            evidence.fits[name] += 1
            evidence.used.setdefault(name, set()).update(used)


def choose(evidence: Evidence, *, name: str) -> str:
    """Return the one format that fits.

    Raises:
        DataError: none fits, or several do; the message shows the keys, the nearest format, or the candidates.
    """
    candidates = [fmt for fmt, count in evidence.fits.items() if count >= _SHARE * evidence.rows]
    used = evidence.used
    left = sorted(fmt for fmt in candidates if not any(used[fmt] < used[other] for other in candidates))
    if len(left) == 1:
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
    nearest = _nearest(keys[:200])
    raise DataError(
        f"{name} fits no format",
        details=[f"its keys: {shown}", *([nearest] if nearest else [])],
        hint="rename the columns, or name them: text_column and label_column, or columns: {prompt: …, completion: …}",
    )


def _nearest(keys: list[str]) -> str:
    """Return a line on the format that the keys come nearest to, or an empty string."""
    best = (0.0, "")
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
        best = max(best, (score, line), key=lambda pair: pair[0])
    return best[1]


def _shape(row: Cells) -> _Shape:
    """Return what decides whether formats fit: keys, types, and the small values that formats look at."""
    return tuple((key, _type(value)) for key, value in row.items())


def _type(value: Json) -> str:
    if isinstance(value, dict):
        return f"dict of {sorted(map(str, value))}"
    if isinstance(value, list):
        return f"list of {sorted({_type(part) for part in value[:50]})}"
    if isinstance(value, float):
        return f"float {value.is_integer()}"
    if isinstance(value, str):
        return f"str {value.strip().lower()}" if len(value) < 6 and value.strip().lower() in _TRUTH else "str"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"int {value in (0, 1)}"
    return type(value).__name__


_TRUTH = {"true", "false", "0", "1"}
