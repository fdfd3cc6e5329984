"""A million vectors streamed into LanceDB: what the process holds meanwhile, and how fast and right the index answers.

    python benchmarks/vectors_million.py [--rows 1000000] [--dim 384] [--batch 20000] [--queries 200] [--json FILE]

The same stream of Arrow batches goes into two empty folders, each from a process of its own: through `store.upsert`,
and by hand with the raw client (`src/dizuo/vectors/benchmarking/raw`), whose memory is what the engine itself takes.
`peak_mib` is resident memory above that before the first row, sampled twenty times a second; `growth_mib` what the last
quarter of the rows peaked above the second: what allocators keep, some tens of MiB, where memory is constant. Then the
store is optimized, which builds its index from 50,000 rows on, and searched for queries that are not among the rows;
`recall` is of the ten nearest as numpy finds them in the stream. The vectors are 200 Gaussian clusters of 32
dimensions, rotated, with noise in all dimensions.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import psutil
import pyarrow as pa

from dizuo.vectors import connect
from dizuo.vectors.benchmarking.memory import Resident, disk_bytes
from dizuo.vectors.benchmarking.overhead import open_raw
from dizuo.vectors.points import Floats

CLUSTERS, INNER, SPREAD, NOISE = 200, 32, 0.6, 0.1
K = 10
MIB = 2**20


class Stream:
    """Batches of rows, the same ones each time; `held` is the resident memory when each was asked for."""

    def __init__(self, rows: int, dim: int, batch: int) -> None:
        self.rows, self.dim, self.batch = rows, dim, batch
        random = np.random.default_rng(0)
        self.turn = np.linalg.qr(random.standard_normal((dim, INNER)))[0].T.astype(np.float32)
        self.centres = random.standard_normal((CLUSTERS, INNER), dtype=np.float32)
        self.held: list[int] = []

    def vectors(self, count: int, seed: int) -> Floats:
        """Return float32 [count, dim]."""
        random = np.random.default_rng([1, seed])
        inner = self.centres[random.integers(0, CLUSTERS, count)]
        inner = inner + np.float32(SPREAD) * random.standard_normal((count, INNER), dtype=np.float32)
        return inner @ self.turn + np.float32(NOISE) * random.standard_normal((count, self.dim), dtype=np.float32)

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """Yield the number of the first row, and the vectors."""
        for start in range(0, self.rows, self.batch):
            yield start, self.vectors(min(self.batch, self.rows - start), start)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        process = psutil.Process()
        for start, vectors in self.blocks():
            self.held.append(process.memory_info().rss)
            numbers = range(start, start + len(vectors))
            yield pa.record_batch({
                "id": [f"document-{n}" for n in numbers],
                "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), self.dim),
                "metadata": [f'{{"lang":"{("zh", "en", "de")[n % 3]}","year":{1990 + n % 35}}}' for n in numbers],
                "document": pa.nulls(len(numbers), pa.string()),
            })  # fmt: skip


def loaded(stream: Stream, load: Callable[[], Any]) -> dict[str, float]:
    """Return seconds and memory of a load."""
    with Resident([]) as resident:
        before, began = resident.client_bytes, time.perf_counter()
        load()
        seconds = time.perf_counter() - began
    quarter = max(1, len(stream.held) // 4)
    growth = max(stream.held[-quarter:]) - max(stream.held[quarter : 2 * quarter] or stream.held)
    return {
        "load_s": seconds,
        "us_per_row": 1e6 * seconds / stream.rows,
        "peak_mib": (resident.client_bytes - before) / MIB,
        "growth_mib": growth / MIB,
    }


def by_hand(folder: str, stream: Stream) -> dict[str, float]:
    """Return what the raw client took; it writes batch by batch."""
    raw = open_raw(f"lancedb://{folder}/raw", stream.dim, "million")
    raw.recreate()
    figures = loaded(stream, lambda: [raw.upsert(pa.Table.from_batches([batch])) for batch in stream])
    raw.close()
    return figures


def through_dizuo(folder: str, stream: Stream, queries: Floats) -> tuple[dict[str, Any], list[list[str]]]:
    """Return the same of dizuo, with optimizing and searching, and the ids found per query."""
    with connect(f"lancedb://{folder}/ours", dim=stream.dim, collection="million") as store:
        figures: dict[str, Any] = loaded(stream, lambda: store.upsert(iter(stream)))
        with Resident([]) as resident:
            before, began = resident.client_bytes, time.perf_counter()
            store.optimize()
            figures["optimize_s"] = time.perf_counter() - began
        figures["optimize_peak_mib"] = (resident.client_bytes - before) / MIB
        info = store.info()
        figures |= {"rows": info.count, "index": info.engine.index, "indexed_rows": info.engine.indexed_rows}
        figures["disk_mib"] = disk_bytes(f"{folder}/ours") / MIB
        for name, exact in (("search", False), ("exact", True)):
            asked = queries[: len(queries) // 10] if exact else queries
            times, found = [], []
            for query in asked:
                began = time.perf_counter()
                found.append(store.search(query, K, exact=exact))
                times.append(1000 * (time.perf_counter() - began))
            p50, p95 = np.percentile(times, [50, 95])
            figures |= {f"{name}_p50_ms": float(p50), f"{name}_p95_ms": float(p95)}
            if not exact:
                ids = [hits.ids for hits in found]
                figures["by_index"] = float(np.mean([hits.path == "index" for hits in found]))
    return figures, ids


def nearest(stream: Stream, queries: Floats) -> list[set[str]]:
    """Return the ids of the ten nearest rows of each query by cosine, from the stream itself."""
    best = np.full((len(queries), K), -np.inf, np.float32)
    rows = np.zeros((len(queries), K), np.int64)
    unit = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    for start, vectors in stream.blocks():
        scores = unit @ (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).T
        scores = np.hstack([best, scores])
        places = np.hstack(
            [rows, np.broadcast_to(np.arange(start, start + len(vectors)), (len(queries), len(vectors)))]
        )
        chosen = np.argpartition(-scores, K - 1, axis=1)[:, :K]
        best, rows = np.take_along_axis(scores, chosen, axis=1), np.take_along_axis(places, chosen, axis=1)
    return [{f"document-{n}" for n in row} for row in rows.tolist()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--batch", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--folder", help="where the two tables go, with room for both; a temporary folder unless set")
    parser.add_argument("--json", help="write the figures to this file")
    given = parser.parse_args()
    stream = Stream(given.rows, given.dim, given.batch)
    queries = stream.vectors(given.queries, given.rows)  # no batch begins there
    folder = tempfile.mkdtemp(prefix="dizuo-million-", dir=given.folder)
    try:
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as alone:
            raw = alone.submit(by_hand, folder, stream).result()
            ours, found = alone.submit(through_dizuo, folder, stream, queries).result()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    near = nearest(stream, queries)
    ours["recall"] = float(np.mean([len(near[n].intersection(ids)) / K for n, ids in enumerate(found)]))
    ours["peak_above_raw_mib"] = ours["peak_mib"] - raw["peak_mib"]
    print(f"{given.rows:,} × {given.dim} into LanceDB, batches of {given.batch:,} rows:")
    for side, figures in (("raw", raw), ("dizuo", ours)):
        for name, value in figures.items():
            print(f"  {side:6} {name:20} {value if isinstance(value, str) else f'{value:,.3f}':>14}")
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump({"rows": given.rows, "dim": given.dim, "raw": raw, "dizuo": ours}, file, indent=1)


if __name__ == "__main__":
    main()
