"""`load` measures latency while several threads search, `recall` how many of the right answers come with a filter."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from dizuo.vectors.benchmarking.preparing import KEY, Truth
from dizuo.vectors.filters.tree import field
from dizuo.vectors.points import Floats
from dizuo.vectors.vector_store import VectorStore

__all__ = ["Load", "Recall", "load", "recall"]

LEAST_CALLS = 20
FOR_P99 = 100
"""Calls below which a 99th percentile says nothing and is left out."""
WARM_UP = 10


@dataclass(frozen=True, slots=True)
class Load:
    """Searches by so many threads at once, each sending its next when the last came back."""

    threads: int
    calls: int
    seconds: float
    qps: float
    p50_ms: float
    p95_ms: float
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Recall:
    """Answers to every query once, one after another, with a filter that lets a share of the rows through."""

    selectivity: float
    matching: int
    recall: float
    short: int
    """Queries that got fewer answers than there are."""
    p50_ms: float
    indexed: float
    """Share of the answers that came from an index; the others compared all matching vectors."""


def load(store: VectorStore, queries: Floats, *, k: int, threads: int, seconds: float, warm_up: bool = True) -> Load:
    """Return what `threads` threads measured in `seconds`, after each query was asked once and not counted."""
    if warm_up:
        for query in queries:
            store.search(query, k)
    times: list[list[float]] = [[] for _ in range(threads)]
    errors: list[BaseException] = []
    began = time.perf_counter()
    deadline = began + seconds

    def run(thread: int) -> None:
        mine, at = times[thread], thread
        try:
            while not errors and (time.perf_counter() < deadline or len(mine) * threads < LEAST_CALLS):
                started = time.perf_counter()
                store.search(queries[at % len(queries)], k)
                mine.append(time.perf_counter() - started)
                at += threads
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=run, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    took = time.perf_counter() - began
    if errors:
        raise errors[0]
    all_times = 1000 * np.concatenate([np.asarray(row) for row in times])
    p50, p95, p99 = (float(value) for value in np.percentile(all_times, [50, 95, 99]))
    calls = len(all_times)
    return Load(threads, calls, took, calls / took, p50, p95, p99 if calls >= FOR_P99 else None)


def recall(store: VectorStore, queries: Floats, truths: list[Truth], *, k: int) -> Iterator[Recall]:
    """Yield the recall at every selectivity at which any row matches."""
    for truth in truths:
        if not truth.matching:
            continue
        where = None if truth.share == 1000 else field(KEY) < truth.share
        search: Callable[[Any], Any] = lambda query, where=where: store.search(query, k, where=where)  # type: ignore[misc] # noqa: E731
        for query in queries[:WARM_UP]:
            search(query)
        times, right, short, indexed = [], 0.0, 0, 0
        for query, near, edge in zip(queries, map(set, truth.near), truth.edges, strict=True):
            started = time.perf_counter()
            hits = search(query)
            times.append(time.perf_counter() - started)
            num_right = sum(hit.id in near or (edge is not None and hit.score >= edge) for hit in hits)
            right += num_right / truth.expected
            short += len(hits) < truth.expected
            indexed += hits.path == "index"
        n = len(queries)
        p50 = 1000 * float(np.median(times))
        yield Recall(truth.share / 1000, truth.matching, right / n, short, p50, indexed / n)
