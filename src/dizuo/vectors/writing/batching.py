"""Batches of a size that a database takes; the next one is made ready while the last is on its way."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from dizuo.vectors.points import Block

__all__ = ["cut_block", "send_ahead", "split"]

T = TypeVar("T")


def cut_block(block: Block, rows: int, size: int) -> Iterator[Block]:
    """Yield a block in parts of at most `rows` rows and `size` bytes; a row that is larger comes alone."""
    ends = np.cumsum(block.row_bytes())
    if len(block) <= rows and ends[-1] <= size:
        yield block
        return
    start, before = 0, 0
    while start < len(block):
        stop = int(np.searchsorted(ends, before + size, side="right"))
        stop = min(max(stop, start + 1), start + rows, len(block))
        yield block.slice(start, stop)
        start, before = stop, int(ends[stop - 1])


def split(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the items in parts of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def send_ahead(items: Iterator[T], act: Callable[[T], None], *, depth: int = 2) -> None:
    """Call `act` on every item in order, in a thread of its own, while up to `depth` further items are made here.

    The items are made in the caller's thread, since an iterator over a database cursor may depend on that. When `act`
    fails, no more items are made, and its error is raised here. When the iterator fails, what is made is sent first.
    """
    first = next(items, None)
    if first is None:
        return
    second = next(items, None)
    if second is None:  # one batch needs no thread
        act(first)
        return
    waiting: queue.Queue[T | None] = queue.Queue(depth)
    failed: list[BaseException] = []

    def work() -> None:
        while (item := waiting.get()) is not None:
            if not failed:
                try:
                    act(item)
                except BaseException as error:
                    failed.append(error)

    thread = threading.Thread(target=work, name="dizuo-vectors-upsert", daemon=True)
    thread.start()
    try:
        waiting.put(first)
        waiting.put(second)
        for item in items:
            if failed:
                break
            waiting.put(item)
    finally:
        waiting.put(None)
        thread.join()
    if failed:
        raise failed[0]
