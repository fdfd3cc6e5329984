"""Batches are cut to the size that a database takes, and made ready while others are sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from dizuo.vectors import Point
from dizuo.vectors.writing.batching import send_ahead
from dizuo.vectors.writing.sources import read_blocks


def test_the_items_are_made_in_the_callers_thread_and_sent_in_order() -> None:
    makers, sent = set(), []

    def items() -> Iterator[int]:
        for n in range(50):
            makers.add(threading.get_ident())
            yield n

    send_ahead(items(), sent.append)
    assert makers == {threading.get_ident()}
    assert sent == list(range(50))
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        send_ahead(iter([1, 0, 2, 3]), lambda n: sent.append(1 // n))
    assert threading.active_count() == before
    send_ahead(iter([]), sent.append)


def test_batches_are_cut_by_rows_and_by_bytes() -> None:
    rows = [Point(f"{n:02}", [1, n], {"t": "x" * (n * 10)}, "字" * n) for n in range(40)]
    for size in (100, 500, 2000, 10**6):
        parts = [block for block, _ in read_blocks(rows, dim=2, metric="l2", rows=7, size=size)]
        assert [id for part in parts for id in part.ids] == [row.id for row in rows]
        for part in parts:
            assert len(part) <= 7
            assert len(part) == 1 or part.num_bytes() <= size
    # and not smaller than need be
    parts = [len(block) for block, _ in read_blocks(rows, dim=2, metric="l2", rows=7, size=10**6)]
    assert parts == [7, 7, 7, 7, 7, 5]
