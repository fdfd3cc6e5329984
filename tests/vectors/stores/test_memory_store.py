"""`memory://`, the oracle, passes its own suite and has a few habits of its own."""

from __future__ import annotations

import pytest

from dizuo.testing import VectorStoreSuite
from dizuo.testing.vectors.areas.handles import Handles
from dizuo.testing.vectors.areas.scans import Scans
from dizuo.vectors import Point, connect


class TestMemory(VectorStoreSuite):
    title = "memory"

    @pytest.fixture
    def url(self) -> str:
        return "memory://"


class TestNamedMemory(Handles, Scans):
    """What several handles of one store can do to each other."""

    title = "memory"

    @pytest.fixture
    def url(self) -> str:
        return "memory://suite"


def test_a_named_store_is_shared_and_a_nameless_one_is_not() -> None:
    first = connect("memory://shared", dim=2)
    first.upsert(Point("a", [1, 0]))
    assert connect("memory://shared").count() == 1
    assert connect("memory://shared", dim=2, collection="other").count() == 0
    first.drop()
    assert connect("memory://shared", dim=3).count() == 0
    assert connect("memory://", dim=2).count() == 0


def test_rows_of_removed_records_are_used_again() -> None:
    store = connect("memory://", dim=2)
    for round in range(5):
        store.upsert([Point(f"{round}-{n}", [1, n], {"round": round}) for n in range(100)])
        assert store.delete(where=f"round == {round}") == 100
    store.upsert([Point(str(n), [1, n]) for n in range(100)])
    assert len(store.store.spaces[""].texts) == 100  # type: ignore[attr-defined]
