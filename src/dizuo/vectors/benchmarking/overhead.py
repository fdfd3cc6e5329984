"""What dizuo costs beside the raw client: microseconds per row of a bulk upsert and milliseconds per search.

Both sides load the same Arrow table into empty tables, in batches of the same size, in turn; figures are medians.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dizuo.vectors.benchmarking.raw import RAW, RawTable
from dizuo.vectors.connecting.connect import connect, find_store
from dizuo.vectors.points import Floats, Hit
from dizuo.vectors.vector_store import VectorStore

__all__ = ["Ours", "Overhead", "compare", "open_raw"]


@dataclass(frozen=True, slots=True)
class Overhead:
    """Medians of both sides."""

    rows: int
    raw_us_per_row: float
    ours_us_per_row: float
    upsert_ratio: float
    raw_search_ms: float
    ours_search_ms: float
    search_overhead_ms: float
    """Median difference of the two searches for one query, which follow each other."""
    least_upsert_ratio: float | None = None
    """Of each side's fastest load: other work on the machine lengthens medians more than minima."""
    least_search_overhead_ms: float | None = None
    """Of each side's fastest search."""


def open_raw(url: str, dim: int, table: str) -> RawTable:
    """Return the raw client of an address, over a table of its own."""
    parts, _ = find_store(url)
    return RAW.load(parts.scheme).open(url, dim, table)


class Ours:
    """The same through dizuo."""

    def __init__(self, url: str, dim: int, name: str) -> None:
        self.url, self.dim, self.name = url, dim, name
        self.store: VectorStore | None = None

    def recreate(self) -> None:
        """Make the collection, empty."""
        self.close()
        self.store = connect(self.url, dim=self.dim, collection=self.name)

    def upsert(self, batch: Any) -> None:
        """Insert or replace the rows of an Arrow table."""
        assert self.store is not None
        self.store.upsert(batch)

    def search(self, query: Floats) -> Sequence[Hit]:
        """Return the ten nearest rows."""
        assert self.store is not None
        return self.store.search(query, 10)

    def close(self) -> None:
        """Remove what was made."""
        if self.store is not None:
            self.store.drop()
            self.store.close()
            self.store = None


def _time_call(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def compare(raw: RawTable, ours: Ours, table: Any, *, batch: int, rounds: int, queries: Floats) -> Overhead:
    """Return medians of both sides, measured in turn.

    Args:
        raw: by hand.
        ours: through dizuo.
        table: Arrow with the columns id, vector, metadata, document.
        batch: rows of one upsert.
        rounds: loads of each side.
        queries: float32 [q, dim], each asked once of each side after the last load.
    """
    parts = [table.slice(start, batch) for start in range(0, table.num_rows, batch)]
    sides: tuple[tuple[str, RawTable | Ours], ...] = (("raw", raw), ("ours", ours))
    loads: dict[str, list[float]] = {"raw": [], "ours": []}
    for _ in range(rounds):
        for name, side in sides:
            side.recreate()
            loads[name].append(_time_call(lambda side=side: [side.upsert(part) for part in parts]))  # type: ignore[misc]
    searches: dict[str, list[float]] = {"raw": [], "ours": []}
    for number, query in enumerate(queries):
        for name, side in sides if number % 2 else sides[::-1]:  # who asks second finds warm caches
            searches[name].append(_time_call(lambda side=side, query=query: side.search(query)))  # type: ignore[misc]
    least_load, least_search = ({name: min(times) for name, times in side.items()} for side in (loads, searches))
    per_row = {name: 1e6 * statistics.median(times) / table.num_rows for name, times in loads.items()}
    search = {name: 1000 * float(np.median(times)) for name, times in searches.items()}
    apart = 1000 * float(np.median(np.subtract(searches["ours"], searches["raw"])))
    return Overhead(
        table.num_rows, per_row["raw"], per_row["ours"], per_row["ours"] / per_row["raw"], search["raw"],
        search["ours"], apart, least_load["ours"] / least_load["raw"],
        1000 * (least_search["ours"] - least_search["raw"]),
    )  # fmt: skip
