"""`benchmark` measures stores one after another, each in a process of its own, and returns one result.

    result = benchmark(["lancedb://./index", "postgresql://me@localhost/db"], data="exported")
    result.stores[0].loads[0].p95_ms

Each store gets the same rows in a process and a collection of its own, one store after another, and the collection is
removed at the end. `dizuo vectors bench` draws the result as a table and as a page.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dizuo.errors import VectorError, redact
from dizuo.events import Finished, Note, Started, Warned, Watcher, ignore
from dizuo.vectors.benchmarking.machine import BUSY, Machine, describe_machine, read_load_average
from dizuo.vectors.benchmarking.overhead import Overhead
from dizuo.vectors.benchmarking.preparing import prepare
from dizuo.vectors.benchmarking.searching import Load, Recall
from dizuo.vectors.benchmarking.worker import Build, Measured, Memory
from dizuo.vectors.connecting.connect import find_store
from dizuo.vectors.connecting.forms import has_scheme
from dizuo.vectors.scores import Metric

__all__ = ["Benchmark", "Build", "Load", "Machine", "Measured", "Memory", "Overhead", "Recall", "benchmark"]

PATIENCE = 20
"""Seconds that an interrupted worker has to remove its collection."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What was measured, on what, and how."""

    when: str
    dizuo: str
    machine: Machine
    data: str
    rows: int
    dim: int
    metric: Metric
    bytes: int
    queries: int
    k: int
    seconds: float
    concurrency: tuple[int, ...]
    force_index: bool
    stores: tuple[Measured, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return asdict(self)


def benchmark(
    urls: Sequence[str],
    *,
    data: str | None = None,
    collection: str = "default",
    rows: int | None = None,
    dim: int = 384,
    metric: Metric | None = None,
    k: int = 10,
    queries: int = 200,
    concurrency: Sequence[int] = (1, 4, 16),
    seconds: float = 3.0,
    force_index: bool = False,
    raw: bool = True,
    watch: Watcher = ignore,
) -> Benchmark:
    """Measure stores on the same rows, one after another.

    Args:
        urls: the databases; each gets a collection of its own for the time being.
        data: a Parquet file or a folder of them (an export, or anybody's), or the address of a store whose
            `collection` is read; vectors are generated where it is None.
        collection: of `data`.
        rows: the first so many; all unless set (20,000 of generated ones).
        dim: of generated vectors.
        metric: the data's own unless set, else cosine.
        k: answers per search.
        queries: rows that are held out of the data and asked for.
        concurrency: threads that search at once, one level after another.
        seconds: of each level.
        force_index: build the index whatever the size.
        raw: measure dizuo's cost beside the raw client where one is written.
        watch: is told of the progress.

    Raises:
        VectorError: the data cannot be read or the settings make no sense. A store that fails is no error here: its
            `error` says why.
    """
    faults = _find_faults(urls, k=k, queries=queries, concurrency=concurrency, seconds=seconds, rows=rows, dim=dim)
    if faults:
        raise VectorError("the benchmark cannot run like this", details=faults)
    before = read_load_average()
    notes = []
    if before is not None and before > BUSY * (os.cpu_count() or 1):
        notes.append(f"The machine was busy before anything began (load {before:.1f} on {os.cpu_count()} cores), so "
                     "times are longer than they would be on a quiet one.")  # fmt: skip
        watch(Warned(notes[-1]))
    with tempfile.TemporaryDirectory(prefix="dizuo-bench-") as folder:
        ready = prepare(
            Path(folder), data=data, collection=collection, rows=rows, dim=dim, metric=metric, k=k, queries=queries,
            watch=watch,
        )  # fmt: skip
        if ready.repeated:
            notes.append(f"{ready.repeated:,} rows were left out because an earlier one had the same id.")
        job = {
            "folder": folder, "dim": ready.dim, "metric": ready.metric, "rows": ready.rows, "k": k, "seconds": seconds,
            "concurrency": list(concurrency), "force_index": force_index, "raw": raw,
        }  # fmt: skip
        stores = tuple(_measure_in_process({**job, "url": url}, watch) for url in urls)
    return Benchmark(
        datetime.now(UTC).isoformat(timespec="seconds"), _read_version(), describe_machine(before),
        redact(ready.data), ready.rows, ready.dim, ready.metric, ready.bytes, ready.queries, k, seconds,
        tuple(concurrency), force_index, stores, tuple(notes),
    )  # fmt: skip


def _find_faults(
    urls: Sequence[str], *, k: int, queries: int, concurrency: Sequence[int], seconds: float, rows: int | None, dim: int
) -> list[str]:
    faults = [] if urls else ["urls: none is given"]
    for url in urls:
        try:
            find_store(url)
        except VectorError as error:
            named = f"{url.partition('://')[0].strip()}://…" if has_scheme(url) else "an address"
            faults.append(f"{named}: {error.message}{f'; {error.hint}' if error.hint else ''}")
    for name, value, least in (("k", k, 1), ("queries", queries, 1), ("rows", rows, 20), ("dim", dim, 1)):
        if value is not None and value < least:
            faults.append(f"{name}: {value} is less than {least}")
    if not concurrency or min(concurrency) < 1 or max(concurrency) > 1024:
        faults.append(f"concurrency: {list(concurrency)}; give numbers of threads from 1 to 1,024")
    if not 0 < seconds <= 3600:
        faults.append(f"seconds: {seconds} is not between 0 and 3600")
    return faults


def _measure_in_process(job: dict[str, Any], watch: Watcher) -> Measured:
    """Measure one store in a process of its own, and return what it says."""
    parts, _ = find_store(job["url"])
    job["shown"] = shown = str(parts)
    began = time.monotonic()
    job["collection"] = f"bench-{secrets.token_hex(4)}"
    watch(Started(shown, None))
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            [sys.executable, "-m", "dizuo.vectors.benchmarking.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=complaints, text=True, encoding="utf-8", start_new_session=True,  # Ctrl-C reaches it once, from here
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        result: dict[str, Any] | None = None
        try:
            process.stdin.write(json.dumps(job))
            process.stdin.close()
            process.stdin = None
            for line in process.stdout:
                said = json.loads(line)
                result = said.get("result", result)
                if "step" in said:
                    watch(Note(f"{shown}: {said['step']}"))
            status = process.wait()
        except BaseException:
            _interrupt(process)
            raise
        finally:
            process.stdout.close()
        if result is None:
            complaints.seek(0)
            last = complaints.read().decode("utf-8", "replace").strip().splitlines()[-1:]
            return Measured(shown, redact(f"its process ended with status {status}: {' '.join(last)}"))
    watch(Finished(shown, time.monotonic() - began))
    return read_measured(result)


def _interrupt(process: subprocess.Popen[str]) -> None:
    """Interrupt a worker, which then removes its collection; end it if that takes too long."""
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def read_measured(value: dict[str, Any]) -> Measured:
    """Return a store's part from the plain values that `to_json` and the worker make of it."""
    kinds: dict[str, Any] = {"build": Build, "memory": Memory, "overhead": Overhead}
    fields = {key: kinds[key](**item) if key in kinds and item is not None else item for key, item in value.items()}
    fields["loads"] = tuple(Load(**row) for row in value["loads"])
    fields["recalls"] = tuple(Recall(**row) for row in value["recalls"])
    fields["notes"] = tuple(value["notes"])
    return Measured(**fields)


def _read_version() -> str:
    from importlib.metadata import version

    return version("dizuo")
