"""Filters beyond the limits of a database are answered all the same: `memory://` with narrow limits, for every call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from dizuo.testing.vectors.areas.filtering import Filters
from dizuo.testing.vectors.areas.limits import Limits
from dizuo.vectors import Point, VectorStore, connect, field
from dizuo.vectors.filters.fitting import NO_LIMITS, FilterLimits
from dizuo.vectors.stores.memory import Memory

NARROW = [
    FilterLimits(depth=0),
    FilterLimits(depth=2, conditions=3, text_order=2),
    FilterLimits(depth=2, conditions=40, values=30, lists=False),
]


@pytest.fixture(params=NARROW, ids=str, autouse=True)
def limits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[FilterLimits]:
    """Every memory store has these limits."""
    monkeypatch.setattr(Memory, "capabilities", replace(Memory.capabilities, filters=request.param))
    return request.param


class TestFiltersBeyondNarrowLimits(Filters):
    examples = 10

    @pytest.fixture
    def url(self) -> str:
        return "memory://"


class TestPastNarrowLimits(Limits):
    many_rows = 1_050
    namespaces_at_once = 50

    @pytest.fixture
    def url(self) -> str:
        return "memory://"


class Counting:
    """A store that counts the filters it gets, around a real one."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.filters: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.inner, name)
        if name not in ("search", "count", "scan", "delete", "lexical"):
            return call

        def counted(*arguments: Any, **named: Any) -> Any:
            self.filters.append(named["where"])
            return call(*arguments, **named)

        return counted


def test_the_database_gets_no_filter_beyond_its_limits(limits: FilterLimits) -> None:
    from dizuo.vectors.filters.fitting import fit
    from dizuo.vectors.filters.normalising import normalise

    plain = connect("memory://", dim=2)
    store = VectorStore(Counting(plain.store))  # type: ignore[arg-type]
    store.upsert([Point(f"p{n}", [1, n], {"x": n, "y": n % 3}, "a word") for n in range(40)])
    x, y = field("x"), field("y")
    where = (x.in_(range(5, 30)) & ((y == 1) | ((x > 20) & (y != 2)))) | ((x < 3) & y.exists() & (x != 1))
    right = [f"p{n}" for n in range(40) if (5 <= n < 30 and (n % 3 == 1 or (n > 20 and n % 3 != 2))) or n in (0, 2)]
    assert store.count(where) == len(right)
    assert sorted(store.search([1, 1], k=50, where=where).ids) == sorted(right)
    assert sorted(store.words("word", k=50, where=where).ids) == sorted(right)
    assert sorted(point.id for point in store.points(where)) == sorted(right)
    assert sorted(name for block in store.scan(where, everywhere=True) for name in block.namespaces) == [""] * len(
        right
    )
    assert store.delete(where=where) == len(right)
    assert store.count() == 40 - len(right)
    asked = [one for one in store.store.filters if one is not None]  # type: ignore[attr-defined]
    assert len(asked) >= 6
    for one in asked:
        assert [part.filter for part in fit(one, limits)] == [one]
        assert one != normalise(where)


def test_a_filter_within_the_limits_goes_to_the_database_as_it_is() -> None:
    store = VectorStore(Counting(connect("memory://", dim=2).store))  # type: ignore[arg-type]
    for single in (field("x") == 1, field("x") > 2):
        store.count(single)
    assert [str(where) for where in store.store.filters] == ["x == 1", "x > 2"]  # type: ignore[attr-defined]
    assert FilterLimits() == NO_LIMITS
