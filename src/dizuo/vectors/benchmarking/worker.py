"""The process of one store: it reads a job as JSON, measures, and writes its result as JSON.

    python -m dizuo.vectors.benchmarking.worker  < job.json

The job comes through stdin because an address may have a password in it, which an argument would show to everybody.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dizuo.errors import DizuoError, redact
from dizuo.vectors.benchmarking.memory import Resident, disk_bytes, server_processes
from dizuo.vectors.benchmarking.overhead import Ours, Overhead, compare, open_raw
from dizuo.vectors.benchmarking.preparing import Truth
from dizuo.vectors.benchmarking.raw import RAW
from dizuo.vectors.benchmarking.searching import Load, Recall, load, recall
from dizuo.vectors.connecting.connect import connect, find_store
from dizuo.vectors.vector_store import VectorStore

__all__ = ["Build", "Measured", "Memory", "measure"]

OVERHEAD_ROWS, OVERHEAD_BATCH, OVERHEAD_ROUNDS, OVERHEAD_QUERIES = 20_000, 10_000, 3, 100
EXACT_SECONDS = 5.0
"""After which no further exact search is timed: some engines stream every vector for one."""


@dataclasses.dataclass(frozen=True, slots=True)
class Build:
    """Loading all rows, visible to everybody, and compacting and indexing them."""

    load_seconds: float
    optimize_seconds: float
    us_per_row: float
    """Of loading alone."""
    rows_per_second: float


@dataclasses.dataclass(frozen=True, slots=True)
class Memory:
    """Bytes; the client is the process that searches, and has an embedded engine inside of it."""

    client_start: int
    client_loading: int
    client_searching: int
    server_loading: int | None
    server_searching: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class Measured:
    """What one store's part gave; `error` says why there is nothing else."""

    url: str
    error: str | None = None
    engine: str = ""
    index: str = ""
    indexed_rows: int = 0
    embedded: bool = False
    several_threads: bool = True
    """Whether the client lets several calls in at once."""
    build: Build | None = None
    disk: int | None = None
    """Bytes on disk after compaction, of records, indexes and logs together; None where the engine does not tell."""
    memory: Memory | None = None
    loads: tuple[Load, ...] = ()
    recalls: tuple[Recall, ...] = ()
    exact_p50_ms: float | None = None
    overhead: Overhead | None = None
    notes: tuple[str, ...] = ()


def measure(job: dict[str, Any], tell: Any) -> Measured:
    """Return everything there is to measure of `job["url"]`, in a new collection that is removed afterwards."""
    parts, _ = find_store(job["url"])
    before = disk_bytes(parts.place)
    name = job["collection"]
    store = connect(job["url"], dim=job["dim"], metric=job["metric"], collection=name)
    try:
        return _measure_store(job, store, before, tell)
    finally:
        store.drop()
        store.close()


def _measure_store(job: dict[str, Any], store: VectorStore, before: int, tell: Any) -> Measured:
    (parts, _), folder, k = find_store(job["url"]), Path(job["folder"]), job["k"]
    embedded = parts.scheme == "memory" or (bool(parts.place) and Path(parts.place).exists())
    server = [] if embedded else server_processes(parts)
    queries = np.load(folder / "queries.npy")
    truths = [Truth(**row) for row in json.loads((folder / "truth.json").read_text("utf-8"))]
    notes: list[str] = []
    # What Arrow and dizuo import at first use is neither loading time nor memory of loading.
    connect("memory://", dim=job["dim"], metric=job["metric"], collection="warm-up").upsert(
        next(_read_batches(folder))[:2]
    )
    gc.collect()
    start = Resident(server).client_bytes
    tell("loading")
    with Resident(server) as loading:
        began = time.perf_counter()
        rows = store.upsert(_read_batches(folder)).rows
        loaded = time.perf_counter() - began
        tell("compacting and indexing")
        began = time.perf_counter()
        store.optimize(force_index=job["force_index"] and store.capabilities.index)
        optimized = time.perf_counter() - began
    info = store.info()
    if job["force_index"] and not store.capabilities.index:
        notes.append("it has no index to build; all vectors are compared")
    if info.count != job["rows"]:
        notes.append(f"{job['rows']:,} rows were sent and {info.count:,} are there")
    disk = max(0, disk_bytes(parts.place) - before) if embedded and parts.scheme != "memory" else None
    stated = info.engine.details.get("bytes")
    if disk is None and isinstance(stated, int):
        disk = stated
    gc.collect()
    with Resident(server) as searching:
        loads: list[Load] = []
        for threads in job["concurrency"]:
            tell(f"searching from {threads} thread{'s' if threads > 1 else ''}")
            loads.append(
                load(store, queries, k=k, threads=threads, seconds=job["seconds"], warm_up=not loads)
            )  # fmt: skip
        tell("recall with filters")
        recalls = tuple(recall(store, queries, truths, k=k))
        times = []
        for query in queries[:50]:
            began = time.perf_counter()
            store.search(query, k, exact=True)
            times.append(time.perf_counter() - began)
            if sum(times) > EXACT_SECONDS:
                break
    overhead = None
    if job["raw"] and parts.scheme in RAW.names():
        if job["metric"] == "cosine":
            tell("the same by hand")
            try:
                overhead = _measure_overhead(job, folder, queries)
            except Exception as error:  # whatever a raw client may raise costs this row only
                notes.append(f"dizuo's cost was not measured: {redact(str(error)) or type(error).__name__}")
        else:
            notes.append("the raw client is written for cosine, so overhead was not measured")
    memory = Memory(
        start, loading.client_bytes, searching.client_bytes, loading.server_bytes, searching.server_bytes
    )  # fmt: skip
    return Measured(
        store.url, None, f"{info.engine.engine} {info.engine.version}".strip(), info.engine.index,
        info.engine.indexed_rows, embedded, store.capabilities.threads,
        Build(loaded, optimized, 1e6 * loaded / max(1, rows), rows / loaded), disk, memory, tuple(loads), recalls,
        1000 * float(np.median(times)), overhead, tuple(notes),
    )  # fmt: skip


def _read_batches(folder: Path) -> Iterator[Any]:
    import pyarrow as pa

    # Read, not mapped: pages of a mapped file would count as this process's memory.
    with pa.OSFile(str(folder / "rows.arrow")) as file, pa.ipc.open_stream(file) as stream:
        yield from stream


def _measure_overhead(job: dict[str, Any], folder: Path, queries: Any) -> Overhead:
    import pyarrow as pa

    parts, count = [], 0
    for batch in _read_batches(folder):
        parts.append(batch)
        count += batch.num_rows
        if count >= OVERHEAD_ROWS:
            break
    table = pa.Table.from_batches(parts).slice(0, OVERHEAD_ROWS)
    raw = open_raw(job["url"], job["dim"], f"{job['collection']}-raw")
    ours = Ours(job["url"], job["dim"], f"{job['collection']}-ours")
    try:
        return compare(
            raw, ours, table, batch=OVERHEAD_BATCH, rounds=OVERHEAD_ROUNDS, queries=queries[:OVERHEAD_QUERIES]
        )
    finally:
        ours.close()
        raw.close()


def main() -> None:
    """Read a job from stdin, write lines of JSON to stdout: `{"step": …}` while working, `{"result": …}` at the end."""
    # Whoever started this in the background may have had SIGINT ignored; it is how a worker is told to clean up.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what clients print is no result

    def say(value: dict[str, Any]) -> None:
        out.write(json.dumps(value) + "\n")
        out.flush()

    job = json.loads(sys.stdin.read())
    try:
        measured = measure(job, lambda step: say({"step": step}))
    except DizuoError as error:
        measured = Measured(job["shown"], str(error))
    say({"result": dataclasses.asdict(measured)})


if __name__ == "__main__":
    main()
