"""The suite waits until a server has applied what a dead client had sent, before it says what is in."""

from __future__ import annotations

import threading
import time

import pytest

from dizuo.testing.vectors.areas.processes import wait_until_settled
from dizuo.vectors import Point, connect


def test_rows_that_still_come_are_waited_for() -> None:
    with connect("memory://", dim=2) as store:

        def apply_late() -> None:
            for n in range(5):
                time.sleep(0.1)
                store.upsert(Point(f"late {n}", [1, n]))

        late = threading.Thread(target=apply_late)
        late.start()
        wait_until_settled(store, settled=0.4)
        assert store.count() == 5
        late.join()


def test_a_writer_that_never_ends_is_a_failure() -> None:
    with connect("memory://", dim=2) as store:
        ended = threading.Event()

        def write() -> None:
            n = 0
            while not ended.wait(0.01):
                store.upsert(Point(f"{n}", [1, n]))
                n += 1

        writer = threading.Thread(target=write)
        writer.start()
        try:
            with pytest.raises(AssertionError, match="is the writer dead"):
                wait_until_settled(store, settled=0.3, patience=0.6)
        finally:
            ended.set()
            writer.join()
