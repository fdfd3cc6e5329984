"""An upsert: checked blocks go to the database one after the other, and become visible once, at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias

from dizuo.events import Finished, Progress, Started, Watcher
from dizuo.vectors.points import Block
from dizuo.vectors.protocol.answers import Upserted
from dizuo.vectors.protocol.errors import Refused, RowErrors, Unreachable
from dizuo.vectors.protocol.store import Preparing, Store
from dizuo.vectors.writing.batching import send_ahead
from dizuo.vectors.writing.sources import Source, read_blocks

__all__ = ["send_points"]

Repeat: TypeAlias = Callable[[Callable[[], None]], None]
"""Makes a call to the database, again and again while the database is busy."""


def send_points(
    points: Source, *, store: Store, namespace: str, wait: bool, collect: bool, repeat: Repeat, watch: Watcher
) -> Upserted:
    """Send records to a store and return how many are in, and which failed.

    Args:
        points: what `VectorStore.upsert` takes.
        store: where they go.
        namespace: of the store.
        wait: return when they are visible to everybody.
        collect: leave bad rows out and report them, instead of an error at the first batch that has one.
        repeat: how the store is called.
        watch: is told of the progress.
    """
    sending = _Sending(store, namespace, wait, collect, repeat, watch)
    watch(Started("upsert", None, "rows"))
    try:
        send_ahead(sending.check(points), sending.send)
        sending.show()
    except Exception as error:
        if not isinstance(error, Unreachable):
            with suppress(Unreachable):
                sending.show()
        if isinstance(error, Unreachable | RowErrors | Refused):
            error.written = sending.written  # type: ignore[union-attr]
            if sending.written:
                error.details = (*error.details, f"{sending.written:,} rows of this call are in the store")
        raise
    watch(Finished("upsert", time.monotonic() - sending.began, f"{sending.written:,} rows"))
    return Upserted(sending.written, sending.failed)


@dataclass(slots=True)
class _Sending:
    """One upsert under way."""

    store: Store
    namespace: str
    wait: bool
    collect: bool
    repeat: Repeat
    watch: Watcher
    began: float = field(default_factory=time.monotonic)
    drawn: int = 0
    """Blocks that were made ready; the second one before the first is sent."""
    written: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    def check(self, points: Source) -> Iterator[Block]:
        """Yield the blocks that may be sent."""
        spec, most, size = self.store.spec, self.store.batch_rows, self.store.batch_bytes
        for block, bad in read_blocks(points, dim=spec.dim, metric=spec.metric, rows=most, size=size):
            if bad and not self.collect:
                noun = "row is" if len(bad) == 1 else "rows are"
                raise Refused(f"{len(bad):,} {noun} wrong", bad, hint="fix them, or use errors='collect'")
            self.failed.update(bad)
            if len(block):
                self.drawn += 1
                if self.drawn > 1 and isinstance(self.store, Preparing):
                    self.store.prepare(self.namespace, block)
                yield block

    def send(self, block: Block) -> None:
        """Send one block; one that is alone is visible when it is in."""
        wait = self.wait and self.drawn == 1
        try:
            self.repeat(lambda: self.store.upsert(self.namespace, block, wait=wait))
            self.written += len(block)
        except RowErrors as error:
            self.written += len(block) - len(error.rows)
            if not self.collect:
                raise
            self.failed.update(error.rows)
        seconds = time.monotonic() - self.began
        self.watch(Progress("upsert", self.written, None, "rows", rate=self.written / max(seconds, 1e-9)))

    def show(self) -> None:
        """Make several blocks visible at once: a database may take up to a second for each."""
        if self.wait and self.written and self.drawn > 1:
            self.repeat(self.store.refresh)
