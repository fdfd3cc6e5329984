"""Ids that stand in several rows: of these rows the last one counts, as in an upsert.

Files may be larger than memory. The ids are read once for a hash of 8 bytes each, and a second time only where two
hashes are equal, to see whether the ids are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Repeats", "find_repeats"]

Keys = Sequence[tuple[str, str]]
"""Namespace and id of consecutive rows."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """Which rows have an id that comes again later. Rows are counted from 0 over all files here."""

    rows: int = 0
    """All rows."""
    superseded: dict[int, int] = field(default_factory=dict)
    """Row → the last row of the same id, of all rows that a later one replaces."""


def find_repeats(read: Callable[[], Iterator[Keys]]) -> Repeats:
    """Return which rows a later one replaces.

    Args:
        read: yields the keys of all rows in their order; it is called once or twice.
    """
    parts: list[NDArray[np.int64]] = [np.fromiter(map(hash, keys), np.int64, len(keys)) for keys in read()]
    hashes = np.concatenate(parts) if parts else np.empty(0, np.int64)
    distinct, counts = np.unique(hashes, return_counts=True)
    suspects = frozenset(distinct[counts > 1].tolist())
    if not suspects:
        return Repeats(len(hashes))
    found: dict[tuple[str, str], list[int]] = {}
    row = 0
    for keys in read():
        for key in keys:
            if hash(key) in suspects:
                found.setdefault(key, []).append(row)
            row += 1
    return Repeats(len(hashes), {row: places[-1] for places in found.values() for row in places[:-1]})
