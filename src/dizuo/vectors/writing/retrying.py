"""`Patience`: a call that fails for a moment is tried again, with growing pauses."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from dizuo.vectors.protocol.errors import Transient

__all__ = ["Patience", "send_batches"]

K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How often, and with which pauses, a call is repeated that fails with `Transient`."""

    attempts: int = 6
    """Calls in all, the first one included."""
    first: float = 0.2
    """Seconds before the second call. The pause doubles each time, and up to a half of it is taken off at random."""
    longest: float = 20.0
    """The longest pause, in seconds."""

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


def send_batches(keys: Sequence[K], size: int, send: Callable[[Sequence[K]], object]) -> None:
    """Send keys in batches, and a batch that fails for a moment again.

    A call that finds keys and then removes them must not begin anew where one of its batches fails: it would find those
    that are left, and count them alone.
    """
    patience = Patience()
    for start in range(0, len(keys), size):
        part = keys[start : start + size]
        patience(lambda part=part: send(part))  # type: ignore[misc]
