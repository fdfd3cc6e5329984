"""Streams of any size, visible when they are in, with errors by row."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from dizuo.events import Event, Progress
from dizuo.testing.vectors.comparing import assert_same_points
from dizuo.testing.vectors.opening import Connect, Opening, lacking
from dizuo.vectors import Point, Refused

__all__ = ["Batches"]


class Batches(Opening):
    """Streams, visibility, per-row errors."""

    def test_a_stream_is_read_as_it_is_sent(self, connect: Connect) -> None:
        store = connect(dim=4)
        store.store.batch_rows = min(100, store.store.batch_rows)
        size, drawn, ahead = 10 * store.store.batch_rows + 7, 0, 0
        events: list[Event] = []

        def stream() -> Iterator[Point]:
            nonlocal drawn, ahead
            for n in range(size):
                drawn = n + 1
                sent = max((event.done for event in events if isinstance(event, Progress)), default=0)
                ahead = max(ahead, int(drawn - sent))
                yield Point(f"s{n}", [1, n, n % 7, 3], {"n": n}, f"text {n}")

        assert store.upsert(stream(), watch=events.append).rows == size
        assert store.count() == size
        assert ahead <= 6 * store.store.batch_rows, f"{ahead} rows were drawn before they were sent"
        done = [event.done for event in events if isinstance(event, Progress)]
        assert done == sorted(done)
        assert done[-1] == size
        last = store.get(f"s{size - 1}")
        assert last is not None
        assert last.metadata == {"n": size - 1}

    def test_an_id_that_comes_again_later_in_a_stream_replaces(self, connect: Connect) -> None:
        store = connect(dim=2)
        store.store.batch_rows = min(50, store.store.batch_rows)
        store.upsert(Point(f"s{n % 60}", [1, n], {"n": n}) for n in range(200))
        assert store.count() == 60
        assert {point.id: point.metadata["n"] for point in store.points()} == {f"s{n % 60}": n for n in range(140, 200)}

    def test_arrow_comes_in_and_goes_out(self, connect: Connect) -> None:
        import pyarrow as pa

        store = connect(dim=3)
        table = np.random.default_rng(6).standard_normal((40, 3)).astype(np.float32)
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(table.reshape(-1)), 3)
        metadata = [None if n % 5 == 0 else {"n": n, "tags": ["a"], "maybe": None if n % 2 else "x"} for n in range(40)]
        columns = {
            "id": [f"a{n}" for n in range(40)],
            "vector": vectors,
            "metadata": metadata,
            "document": ["t", None] * 20,
        }
        assert store.upsert(pa.table(columns)).rows == 40
        kept = [{key: value for key, value in (row or {}).items() if value is not None} for row in metadata]
        expected = [Point(f"a{n}", table[n], kept[n], "t" if n % 2 == 0 else None) for n in range(40)]
        assert_same_points(store.points(), expected)
        other = connect(dim=3)
        assert other.upsert(store.arrow()).rows == 40
        assert_same_points(other.points(), expected)

    def test_large_texts_are_sent_in_parts(self, connect: Connect) -> None:
        store = connect(dim=2)
        store.store.batch_bytes = min(100_000, store.store.batch_bytes)
        rows = [Point(f"l{n}", [1, n], {"text": "x" * 1000 * (n % 40)}, "字" * 300 * (n % 30)) for n in range(60)]
        store.upsert(rows)
        assert_same_points(store.points(), rows)

    def test_a_bad_row_stops_its_batch_before_anything_is_sent(self, connect: Connect) -> None:
        store = connect(dim=2)
        with pytest.raises(Refused) as caught:
            store.upsert([Point("good", [1, 1]), Point("bad", [1, float("nan")]), Point("short", [1])])
        assert set(caught.value.rows) == {"bad", "short"}
        assert store.count() == 0

    def test_bad_rows_are_collected_on_request(self, connect: Connect) -> None:
        store = connect(dim=2)
        rows = [Point(f"c{n}", [1, n] if n % 10 else [float("inf"), 1], {"n": n}) for n in range(50)]
        result = store.upsert(rows, errors="collect")
        assert result.rows == store.count() == 45
        assert set(result.failed) == {f"c{n}" for n in range(0, 50, 10)}
        assert all("infinite" in reason for reason in result.failed.values())

    def test_a_write_is_visible_when_it_returns(self, connect: Connect) -> None:
        store = connect(dim=2)
        for n in range(12):
            store.upsert(Point(f"v{n}", [1, n], {"n": n}, f"word{n}"))
            assert store.count() == n + 1
            assert store.search([1, n], where=f"n == {n}").ids == [f"v{n}"]
            assert store.get(f"v{n}") is not None
            if store.capabilities.lexical != "none":
                assert store.words(f"word{n}").ids == [f"v{n}"]
        assert store.update_metadata({"v3": {"n": 300}}) == 1
        assert store.search([1, 0], where="n == 300").ids == ["v3"]
        assert store.delete("v3") == 1
        assert "v3" not in store.search([1, 0], k=50).ids

    def test_another_connection_sees_it_too(self, connect: Connect) -> None:
        store = connect(dim=2)
        lacking(store, "persistent")
        other = connect(dim=None, collection=store.collection)
        assert (other.dim, other.metric) == (2, "cosine")
        for n in range(5):
            store.upsert(Point(f"v{n}", [1, n], {"n": n}))
            assert other.search([1, n], k=50).ids.count(f"v{n}") == 1
            assert other.count() == n + 1
        assert other.delete("v0") == 1
        assert store.count() == 4

    def test_what_was_written_without_waiting_is_visible_after_a_refresh(self, connect: Connect) -> None:
        store = connect(dim=2)
        for n in range(5):
            store.upsert(Point(f"w{n}", [1, n]), wait=False)
        store.refresh()
        assert store.count() == 5
        assert len(store.search([1, 0], k=10)) == 5
