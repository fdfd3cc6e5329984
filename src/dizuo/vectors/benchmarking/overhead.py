"""What dizuo costs beside the raw client: microseconds per row of a bulk upsert and milliseconds per search.

Both sides load the same Arrow table, in batches of the same size, in turn, into tables of the same state (`SHAPES`);
figures are medians and minima. With words a load ends with the first answer of a search by words: some databases build
that index when they load, and some when they are first asked.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from dizuo.errors import VectorError
from dizuo.vectors.benchmarking.raw import RAW, RawTable
from dizuo.vectors.connecting.connect import connect, find_store
from dizuo.vectors.points import Floats, Hit
from dizuo.vectors.vector_store import VectorStore

__all__ = ["SHAPES", "Ours", "Overhead", "Shape", "compare", "open_raw", "rows_before"]

Shape: TypeAlias = Literal["empty", "filled", "same", "half"]
"""What a table holds before a load of n rows: nothing, n other rows, n rows with the same ids, or n of which half have
ids of the load."""
SHAPES: tuple[Shape, ...] = get_args(Shape)


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
    """The same through dizuo.

    Args:
        url: of the database.
        dim: numbers in a vector.
        name: of the collection.
        options: further ones of `connect`.
    """

    def __init__(self, url: str, dim: int, name: str, **options: Any) -> None:
        self.url, self.dim, self.name, self.options = url, dim, name, options
        self.store: VectorStore | None = None

    def recreate(self, *, words: bool = False) -> None:
        """Make the collection, empty; documents are found by their words in any case."""
        self.close()
        self.store = connect(self.url, dim=self.dim, collection=self.name, **self.options)

    def upsert(self, batch: Any) -> None:
        """Insert or replace the rows of an Arrow table."""
        assert self.store is not None
        self.store.upsert(batch)

    def search(self, query: Floats) -> Sequence[Hit]:
        """Return the ten nearest rows."""
        assert self.store is not None
        return self.store.search(query, 10)

    def search_words(self, query: str) -> list[str]:
        """Return the ids of the ten best rows by words."""
        assert self.store is not None
        return self.store.words(query, 10).ids

    def close(self) -> None:
        """Remove what was made."""
        if self.store is not None:
            self.store.drop()
            self.store.close()
            self.store = None


def rows_before(table: Any, shape: Shape) -> Any:
    """Return the rows that a table holds before `table` is loaded, as many; their vectors and documents differ.

    Args:
        table: Arrow with the columns id, vector, metadata, document.
        shape: which of the ids they have.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = table.num_rows
    if shape == "empty":
        return table.slice(0, 0)
    before = table.take(pa.array(np.arange(rows)[::-1]))  # another row's vector, metadata and document for each id
    kept = np.full(rows, shape == "same") if shape != "half" else np.arange(rows) % 2 == 0
    ids = table.column("id").combine_chunks()
    others = pc.binary_join_element_wise(pa.scalar("before-"), ids, "")
    return before.set_column(before.schema.get_field_index("id"), "id", pc.if_else(pa.array(kept), ids, others))


def _time_call(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def compare(
    raw: RawTable,
    ours: Ours,
    table: Any,
    *,
    batch: int,
    rounds: int,
    queries: Floats,
    shape: Shape = "empty",
    words: str | None = None,
) -> Overhead:
    """Return medians of both sides, measured in turn.

    Args:
        raw: by hand.
        ours: through dizuo.
        table: Arrow with the columns id, vector, metadata, document.
        batch: rows of one upsert.
        rounds: loads of each side.
        queries: float32 [q, dim], each asked once of each side after the last load.
        shape: what the table holds before the load.
        words: what is asked for at the end of a load; None where documents are not indexed by words.
    """
    before, parts = _split(rows_before(table, shape), batch), _split(table, batch)
    sides: tuple[tuple[str, RawTable | Ours], ...] = (("raw", raw), ("ours", ours))
    loads: dict[str, list[float]] = {"raw": [], "ours": []}

    def load(side: RawTable | Ours, rows: Sequence[Any]) -> None:
        for part in rows:
            side.upsert(part)
        if rows and words is not None and not side.search_words(words):
            raise VectorError(f"no row is found by the word {words!r}", hint="are the documents made of words?")

    for number in range(rounds):
        for name, side in sides[:: -1 if number % 2 else 1]:
            side.recreate(words=words is not None)
            load(side, before)
            loads[name].append(_time_call(lambda side=side: load(side, parts)))  # type: ignore[misc]
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


def _split(table: Any, batch: int) -> list[Any]:
    return [table.slice(start, batch) for start in range(0, table.num_rows, batch)]
