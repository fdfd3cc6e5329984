"""Sending batches: tried again where it may help, with the next one made ready while the last is on its way."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from dizuo.vectors.protocol.faults import Transient

__all__ = ["Patience", "ahead"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call is repeated that fails with `Transient`."""

    attempts: int = 6
    """Calls in all."""
    first: float = 0.2
    """Seconds before the second call; doubled each time, and a random half of it taken off."""
    longest: float = 20.0
    """Seconds that one pause takes at most."""

    def __call__(self, call: Callable[[], T], *, waiting: Callable[[float, Transient], None] | None = None) -> T:
        """Return what the call returns, repeating it while it fails with `Transient`."""
        for attempt in range(1, self.attempts + 1):
            try:
                return call()
            except Transient as error:
                if attempt >= self.attempts:
                    raise
                pause = min(self.longest, self.first * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0)
                pause = max(pause, min(error.after or 0.0, 4 * self.longest))
                if waiting is not None:
                    waiting(pause, error)
                time.sleep(pause)
        raise AssertionError("unreachable")


def ahead(items: Iterator[T], act: Callable[[T], None], *, depth: int = 2) -> None:
    """Call `act` on every item in order, in a thread of its own, while at most `depth` further ones are made here.

    The items are made in the caller's thread: an iterator over a database cursor may depend on that. The first
    failure of `act` stops the making and is raised here; a failure of the making waits for what is on its way.
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
