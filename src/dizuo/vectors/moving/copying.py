"""One store is copied into another of any database, and the copy is verified record by record.

A copy that was killed is called again and resumes: `send_missing` leaves out what the target holds already with the
same digest. It is done when the target has every record of the source with the same digest, and sample searches agree.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dizuo.errors import VectorError
from dizuo.events import Finished, Progress, Started, Watcher, ignore
from dizuo.vectors.filters.tree import Filter
from dizuo.vectors.points import Block, Floats
from dizuo.vectors.vector_store import VectorStore
from dizuo.vectors.writing.digests import Checksum, digest_rows

__all__ = ["Copied", "copy", "scan_by_namespace", "send_missing"]

SEARCHES = 10
"""How many sample searches are compared."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy did."""

    rows: int
    """Records of the source."""
    sent: int
    """Records that were sent; the others were there already."""
    checksum: str
    """Checksum of the source's records; the target has the same."""
    searches: int
    """How many sample searches gave the same answer in both."""
    extra: int
    """Records of the target that the source does not have."""


def copy(
    source: VectorStore,
    target: VectorStore,
    *,
    where: Filter | str | None = None,
    everywhere: bool = True,
    rows: int = 2000,
    watch: Watcher = ignore,
) -> Copied:
    """Copy records into another store, and verify that they arrived.

    Args:
        source: the store that is copied; it should not change meanwhile.
        target: the store that it is copied into; records with the same ids are replaced, others stay.
        where: which records.
        everywhere: copy all namespaces; otherwise the source's namespace into the target's.
        rows: records in memory at a time.
        watch: is told of the progress.

    Raises:
        VectorError: the two differ in dimension or metric, or the target does not hold what was sent.
    """
    if (source.dim, source.metric) != (target.dim, target.metric):
        raise VectorError(
            f"the source has dim {source.dim} and {source.metric}, the target dim {target.dim} and {target.metric}",
            hint="make the target with the source's dim and metric",
        )
    began, sent, right = time.monotonic(), 0, Checksum()
    total = sum(source.namespaces().values()) if everywhere and where is None else None
    watch(Started("copy", total, "rows"))
    samples: list[tuple[str, Floats]] = []
    for name, block in scan_by_namespace(source, where, everywhere=everywhere, rows=rows):
        space = target.namespace(name) if everywhere else target
        digests = digest_rows(block, name)
        right.add(digests)
        sent += send_missing(space, block, digests, name)
        if len(samples) < SEARCHES:
            samples.append((name, block.vectors[0]))
        seconds = time.monotonic() - began
        watch(Progress("copy", right.count, total, "rows", rate=right.count / max(seconds, 1e-9)))
    target.refresh()
    held = _compute_checksum(target, where, everywhere=everywhere, rows=rows, names=None if everywhere else source.name)
    if held != right:
        _raise_differences(source, target, where, everywhere=everywhere, rows=rows)
    extra = held.count - right.count
    searches = _compare_searches(source, target, samples, everywhere) if not extra and where is None else 0
    result = Copied(right.count, sent, str(right), searches, max(0, extra))
    watch(Finished("copy", time.monotonic() - began, f"{right.count:,} rows, {sent:,} of them sent; all verified"))
    return result


def scan_by_namespace(
    store: VectorStore, where: Filter | str | None, *, everywhere: bool, rows: int
) -> Iterator[tuple[str, Block]]:
    """Yield (namespace, block) of a scan, each block of one namespace."""
    for block in store.scan(where, rows=rows, everywhere=everywhere):
        if not everywhere:
            yield store.name, block
            continue
        names = np.array(block.namespaces, object)
        for name in dict.fromkeys(names.tolist()):
            yield name, block.take(np.flatnonzero(names == name))


def send_missing(target: VectorStore, block: Block, digests: list[bytes], namespace: str) -> int:
    """Send the records that the target does not hold with the same digest; return how many that were."""
    held = _read_digests(target, block.ids, namespace)
    missing = [index for index, id in enumerate(block.ids) if held.get(id) != digests[index]]
    if missing:
        target.upsert(block if len(missing) == len(block) else block.take(missing), wait=False)
    return len(missing)


def _read_digests(store: VectorStore, ids: list[str], namespace: str) -> dict[str, bytes]:
    """Return the digests of the records that the store holds under these ids."""
    digests: dict[str, bytes] = {}
    for block in store.blocks(ids):
        digests |= dict(zip(block.ids, digest_rows(block, namespace), strict=True))
    return digests


def _compute_checksum(
    store: VectorStore, where: Filter | str | None, *, everywhere: bool, rows: int, names: str | None
) -> Checksum:
    checksum = Checksum()
    for name, block in scan_by_namespace(store, where, everywhere=everywhere, rows=rows):
        checksum.add(digest_rows(block, name if names is None else names))
    return checksum


def _raise_differences(
    source: VectorStore, target: VectorStore, where: Filter | str | None, *, everywhere: bool, rows: int
) -> None:
    """Raise an error that names the records of the source that the target does not hold as they are."""
    wrong: list[str] = []
    for name, block in scan_by_namespace(source, where, everywhere=everywhere, rows=rows):
        held = _read_digests(target.namespace(name) if everywhere else target, block.ids, name)
        digests = digest_rows(block, name)
        for index, id in enumerate(block.ids):
            if held.get(id) != digests[index]:
                wrong.append(f"{id!r}: {'differs' if id in held else 'is missing'}")
    if wrong:
        more = [f"… and {len(wrong) - 10:,} more"] if len(wrong) > 10 else []
        raise VectorError(
            f"{len(wrong):,} records did not arrive as they are", details=[*wrong[:10], *more], hint="copy again"
        )


def _compare_searches(
    source: VectorStore,
    target: VectorStore,
    samples: list[tuple[str, Floats]],
    everywhere: bool,
) -> int:
    done = 0
    for name, vector in samples:
        if source.metric == "cosine" and not vector.any():
            continue
        left = (source.namespace(name) if everywhere else source).search(vector, 10, exact=True)
        right = (target.namespace(name) if everywhere else target).search(vector, 10, exact=True)
        near = [abs(a.score - b.score) <= 1e-4 * max(1.0, abs(a.score)) for a, b in zip(left, right, strict=False)]
        if len(left) != len(right) or not all(near):
            raise VectorError(f"a sample search in namespace {name!r} gives another answer in the target than before")
        done += 1
    return done
