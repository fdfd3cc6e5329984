"""One past what engines allow: long lists, many levels, many namespaces, large k, many ids, long texts.

Every test goes past a limit that some engine documents or was found to have, and runs on all of them: the answer is
right, or a row is refused by name. `docs/reference/vectors.md` has the limits by store, each with its test here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

from dizuo.errors import VectorError
from dizuo.testing.vectors.comparing import assert_same_points
from dizuo.testing.vectors.filter_trees import WORD, tree_points
from dizuo.testing.vectors.opening import Connect, Opening
from dizuo.vectors import Filter, Point, RowErrors, VectorStore, field
from dizuo.vectors.filters.matching import matcher
from dizuo.vectors.filters.normalising import DEEPEST
from dizuo.vectors.filters.tree import And, Or
from dizuo.vectors.points import Block

__all__ = ["Limits"]


class Limits(Opening):
    """Past what engines allow."""

    namespaces_at_once: ClassVar[int] = 1_050
    """Namespaces of the test that makes so many, one write each; more where an engine lists more of them at once."""
    many_queries: ClassVar[int] = 200
    """Queries of one call; a store that sends them together has more in its class."""
    many_rows: ClassVar[int] = 20_050
    """Records of the test of a large k; Milvus answers with 16,384 at most."""

    def test_a_list_of_a_thousand_values(self, connect: Connect) -> None:
        self.check_lists(connect, 1_000)

    @pytest.mark.slow
    @pytest.mark.timeout(900)
    @pytest.mark.parametrize("values", [10_000, pytest.param(20_000, marks=pytest.mark.exhaustive), 70_000])
    def test_a_list_of_any_number_of_values(self, connect: Connect, values: int) -> None:
        self.check_lists(connect, values)

    def check_lists(self, connect: Connect, values: int) -> None:
        """Assert that `in_` and `not_in` with so many values mean what they mean, alone and inside of a tree."""
        rows = [{"x": n * 1000, "t": f"t{n * 1000}", "even": n % 2 == 0} for n in range(70)] + [{"even": True}, {}]
        points = [Point(f"r{n:03}", [1.0, float(n)], row, f"{WORD} {n}") for n, row in enumerate(rows)]
        store = connect(dim=2)
        store.upsert(points)
        wanted: list[Any] = list(range(values // 2 - values, values // 2))
        texts = [f"t{n}" for n in wanted]
        x, t, even = field("x"), field("t"), field("even")
        trees = [
            x.in_(wanted),
            t.in_(texts) & (even == True),  # noqa: E712
            x.not_in(wanted),
            (even == False) | x.in_(wanted),  # noqa: E712
            ~(t.in_(texts) & (x > 5_000)) & even.exists(),
        ]
        for where in trees if values <= 10_000 else trees[:3]:
            assert_agrees(store, points, where)
        is_first, is_third = matcher(trees[0]), matcher(trees[2])
        right = [point for point in points if is_first(point.metadata)]
        assert right
        assert store.delete(where=trees[0]) == len(right)
        assert store.count() == len(points) - len(right)
        left = [point.id for point in points if is_third(point.metadata)]
        assert store.delete(where=trees[2]) == len(left)
        assert store.count() == 0

    @pytest.mark.parametrize("levels", [16, 40, DEEPEST])
    def test_and_and_or_alternate_in_any_number_of_levels(self, connect: Connect, levels: int) -> None:
        points = tree_points()
        store = connect(dim=3)
        store.upsert(points)
        for where in alternating(levels):
            for one in (where, ~where) if levels < DEEPEST else (where,):
                assert_agrees(store, points, one)

    def test_what_nests_deeper_than_a_filter_may_is_refused_by_its_levels(self, connect: Connect) -> None:
        store = connect(dim=3)
        for where in (*alternating(DEEPEST + 1), *alternating(5_000)):
            with pytest.raises(VectorError, match="levels deep"):
                store.count(where)
        for text in ("(" * 5_000 + "x == 1" + ")" * 5_000, "not " * 5_000 + "x == 1"):
            with pytest.raises(VectorError, match="levels deep"):
                store.count(text)

    @pytest.mark.parametrize("conditions", [100, pytest.param(5_000, marks=[pytest.mark.slow, pytest.mark.exhaustive])])
    def test_and_and_or_of_any_number_of_conditions(self, connect: Connect, conditions: int) -> None:
        points = tree_points()
        store = connect(dim=3)
        store.upsert(points)
        level, note = field("level"), field("note")
        parts: list[list[Filter]] = [
            [(level > n) & (level < n + 0.75) for n in range(-2, conditions - 2)],
            [field(f"key{n}") == n for n in range(conditions)] + [field("lang") == "en"],
            [note.startswith(f"{chr(0x4E00 + n)}") for n in range(conditions)] + [note >= "数据"],
            [field("tags").contains(n) for n in range(conditions)],
        ]
        for some in parts:
            assert_agrees(store, points, Or(tuple(some)))
        assert_agrees(store, points, And((level.exists(), *(~one for one in parts[0]))))

    @pytest.mark.slow
    @pytest.mark.timeout(900)
    def test_all_of_many_namespaces_are_listed_and_read(self, connect: Connect) -> None:
        store = connect(dim=2)
        names = [f"space {n:05}" for n in range(self.namespaces_at_once)]
        for n, name in enumerate(names):
            store.namespace(name).upsert(Point("a", [1.0, float(n)], {"n": n}), wait=n == len(names) - 1)
        store.refresh()
        assert list(store.namespaces()) == names
        seen = [
            (name, id)
            for block in store.scan(everywhere=True)
            for name, id in zip(block.namespaces, block.ids, strict=True)
        ]
        assert sorted(seen) == [(name, "a") for name in names]
        assert store.store.count(None, where=None) == len(names)

    @pytest.mark.slow
    @pytest.mark.timeout(900)
    def test_k_may_be_more_than_an_engine_answers_at_once(self, connect: Connect) -> None:
        store = connect(dim=2)
        size, k = self.many_rows, self.many_rows - 50
        angles = np.linspace(0.0, 1.5, size)
        vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
        ids = [f"k{n:05}" for n in range(size)]
        documents = [f"{WORD} tea" if n % 2 else WORD for n in range(size)]
        store.upsert(Block(ids, vectors, [f'{{"n":{n}}}' for n in range(size)], documents))
        assert store.count() == size
        for exact in (False, True):
            assert len({*store.search([1.0, 0.0], k=k, exact=exact).ids} ^ {*ids[:k]}) <= 2  # neighbours tie in float32
        some = store.search([0.0, 1.0], k=k, where=f"n < {k - 1}").ids
        assert sorted(some) == ids[: k - 1]
        assert sorted(id for block in store.scan(rows=size) for id in block.ids) == ids
        assert sorted(id for block in store.scan("n >= 5", columns=[], rows=size) for id in block.ids) == ids[5:]
        if store.capabilities.lexical != "none":
            assert sorted(store.words(WORD, k=k).ids) == sorted([*ids[0::2], *ids[1::2]][:k])
            assert len(store.words("tea", k=k, where="n >= 100")) == (size - 100) // 2
        assert store.delete(where="n >= 7") == size - 7
        assert store.count() == 7

    def test_more_queries_than_an_engine_takes_at_once(self, connect: Connect) -> None:
        store = connect(dim=2)
        store.upsert([Point(f"q{n}", [1.0, float(n)], {"n": n}) for n in range(20)])
        right = store.search([1.0, 3.0], k=2, where="n != 3").ids
        answers = store.search_many(
            np.tile(np.array([1.0, 3.0], np.float32), (self.many_queries, 1)), k=2, where="n != 3"
        )
        assert [hits.ids for hits in answers] == [right] * self.many_queries

    @pytest.mark.slow
    def test_a_full_batch_of_wide_vectors(self, connect: Connect) -> None:
        dim = min(4096, connect(dim=2).capabilities.max_dim or 4096)
        store = connect(dim=dim)
        rows = min(store.store.batch_rows, store.store.batch_bytes // (4 * dim)) + 10
        vectors = np.random.default_rng(9).standard_normal((rows, dim)).astype(np.float32)
        ids = [f"w{n}" for n in range(rows)]
        assert store.upsert(Block(ids, vectors, ["{}"] * rows, [None] * rows)).rows == rows
        assert store.count() == rows
        assert store.search(vectors[rows - 1], k=1).ids == [ids[-1]]
        assert_same_points(store.fetch(ids[-1]), [Point(ids[-1], vectors[-1])])

    @pytest.mark.slow
    def test_a_hundred_thousand_ids_are_fetched_and_deleted(self, connect: Connect) -> None:
        store = connect(dim=2)
        points = [Point(f"i{n * 1000}", [1.0, float(n)]) for n in range(100)]
        store.upsert(points)
        ids = [f"i{n}" for n in range(100_000)]
        assert_same_points(store.fetch(ids), points)
        assert store.delete(ids[:50_000]) == 50
        assert store.delete(ids) == 50
        assert store.count() == 0

    def test_what_is_long_or_wide_comes_back_or_is_refused_by_name(self, connect: Connect) -> None:
        store = connect(dim=2)
        long = "字" * 70_000
        rows: dict[str, tuple[dict[str, Any], str | None]] = {
            "x" * 512: ({"n": 1}, None),
            "字" * 170 + "xx": ({"n": 1}, None),
            "long key": ({"k" * 33_000: 1, "字" * 11_000: "v"}, None),
            "long text": ({"text": long}, None),
            "long element": ({"list": [long, "short"]}, None),
            "long document": ({}, f"{long} {'word ' * 50_000}"),
            "many keys": ({f"key{n}": n for n in range(5_000)}, None),
            "many texts": ({f"key{n}": f"text {n}" for n in range(1_200)}, None),
            "long list": ({"list": list(range(9_000))}, None),
            "plain": ({"n": 2, "list": ["short"], "text": "short"}, "a word"),
        }
        points = {id: Point(id, [1.0, 2.0], row, document) for id, (row, document) in rows.items()}
        result = store.upsert(points.values(), errors="collect")
        assert {*result.failed} <= {*rows} - {"plain"}
        held = [point for id, point in points.items() if id not in result.failed]
        assert result.rows == len(held)
        assert_same_points(store.fetch(list(points)), held)
        tests = [
            field("k" * 33_000) == 1, field("字" * 11_000).startswith("v"), field("text") == long,
            field("text") >= long, field("text").startswith(long[:-1]), field("list").contains(long),
            field("list").contains(8_999), field("key4999") >= 4_999, field("key1199") == "text 1199",
            field("text") != long, field("list").contains("short"),
        ]  # fmt: skip
        for where in tests:
            assert_agrees(store, held, where)
        for id in result.failed:  # a refused row leaves nothing behind, and alone it is refused as well
            with pytest.raises(RowErrors, match="not stored"):
                store.upsert(points[id])


def assert_agrees(store: VectorStore, points: Sequence[Point], where: Filter) -> None:
    """Assert that count, search, scan and words give the records that match."""
    matches = matcher(where)
    right = sorted(point.id for point in points if matches(point.metadata))
    said = str(where)[:500]
    assert store.count(where) == len(right), f"count where {said}"
    query = [1.0] * store.dim
    for exact in (True, False):
        assert sorted(store.search(query, k=len(points) + 1, where=where, exact=exact).ids) == right, (
            f"search ({'exact' if exact else 'default'}) where {said}"
        )
    best = store.search(query, k=3, where=where)
    assert len(best) == min(3, len(right)), f"search of 3 where {said}"
    assert sorted(id for block in store.scan(where, columns=[]) for id in block.ids) == right, f"scan where {said}"
    if store.capabilities.lexical != "none":
        having = sorted(
            point.id
            for point in points
            if point.id in right and point.document is not None and WORD in point.document.split()
        )
        assert sorted(store.words(WORD, k=len(points) + 1, where=where).ids) == having, f"words where {said}"


def alternating(levels: int) -> list[Filter]:
    """Return filters of so many levels of And and Or, one around the other, and of Not around each level."""
    level, lang, absent, year = field("level"), field("lang"), field("nobody"), field("year")
    leaves = [level >= 0, lang == "en", absent == 1, year != 2020, lang.startswith("z"), ~(level < 2), year.exists()]
    plain: Filter = field("public") == True  # noqa: E712
    negated = plain
    for n in range(levels):
        leaf = leaves[n % len(leaves)]
        plain = plain & leaf if n % 2 else leaf | plain
        if 2 * n < levels:  # a Not and an And are two levels
            negated = ~(leaf & negated)
    return [plain, negated]
