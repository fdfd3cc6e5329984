"""Words count what is there and nothing else: after any history of writes, and whatever other namespaces hold."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from dizuo.testing.vectors.comparing import assert_same_answer
from dizuo.testing.vectors.opening import Connect, Opening
from dizuo.vectors import Hit, Hits, Point, VectorStore
from dizuo.vectors.lexical import LexicalIndex

__all__ = ["Words"]

VOCABULARY = [
    *["red", "blue", "green", "tea", "cup", "pot", "leaf", "steam", "kettle", "the", "of", "a"],
    *(
        "数据库",
        "检索",
        "数据",
        "向量检索",
        "データベース",
        "검색",
        "naïve",
        "café",
        "ＢＭ２５",
        "O'Neill",
        "x" * 70,
        "2024年",
    ),
]
QUERIES = [
    "tea",
    "red cup of tea",
    "数据库 检索",
    "the 数据",
    "café naïve bm25",
    "x" * 70,
    "데이터 검색 データ",
    "absent",
]
NAMESPACES = ("", "tenant a", "租户")


@dataclass
class History:
    """Random writes to the namespaces of a store, and what each should hold by then."""

    store: VectorStore
    seed: int
    held: dict[str, dict[str, tuple[str | None, int]]] = field(default_factory=dict)
    """Text and number by id, by namespace."""
    steps: list[str] = field(default_factory=list)

    def run(self) -> Iterator[None]:
        """Write step by step; stop after each, so that somebody can look."""
        draw = random.Random(self.seed)
        self.held = {name: {} for name in NAMESPACES}
        for name in NAMESPACES:
            self.store.namespace(name).clear()
        for _ in range(draw.randint(5, 12)):
            name = draw.choice(NAMESPACES)
            self.write(draw, name, self.store.namespace(name), self.held[name])
            yield

    def write(
        self, draw: random.Random, name: str, space: VectorStore, held: dict[str, tuple[str | None, int]]
    ) -> None:
        """Do one thing to a namespace."""
        act = draw.choices(["upsert", "many", "delete", "filter", "metadata", "clear"], [10, 2, 4, 2, 2, 1])[0]
        ids = draw.sample([f"d{n}" for n in range(24)], draw.randint(1, 8))
        if act in ("upsert", "many"):
            if act == "many":
                ids = [f"m{n}" for n in range(draw.randint(20, 60))]
            new = {id: (draw_text(draw), draw.randint(0, 9)) for id in ids}
            space.upsert([Point(id, [1, n], {"n": n}, text) for id, (text, n) in new.items()])
            held.update(new)
        elif act == "delete":
            ids = [*draw.sample(sorted(held), min(len(held), 6)), "nobody"]
            assert space.delete(ids) == len(ids) - 1
            for id in ids:
                held.pop(id, None)
        elif act == "filter":
            n = draw.randint(0, 9)
            space.delete(where=f"n == {n}")
            for id in [id for id, row in held.items() if row[1] == n]:
                del held[id]
        elif act == "metadata":
            changes = {id: {"n": draw.randint(0, 9)} for id in ids}
            space.update_metadata(changes)
            held.update({id: (held[id][0], row["n"]) for id, row in changes.items() if id in held})
        else:
            space.clear()
            held.clear()
        self.steps.append(f"{name!r}: {act} {len(ids)}")

    def told(self) -> str:
        """Return what was done, for the message of a failure."""
        return f"history {self.seed}: {'; '.join(self.steps)}"


def draw_text(draw: random.Random) -> str | None:
    """Return a text of any kind, also empty, also none."""
    kind = draw.random()
    if kind < 0.1:
        return draw.choice([None, "", "!?… --", " "])
    return draw.choice([" ", ", ", ""]).join(draw.choices(VOCABULARY, k=draw.choice([1, 3, 8, 40])))


def right(held: Mapping[str, tuple[str | None, int]], query: str) -> list[Hit]:
    """Return all that match, by a fresh index of what is held."""
    index = LexicalIndex()
    for id, (text, _) in held.items():
        index.upsert(id, text)
    return [Hit(id, score, {}) for id, score in index.search(query, k=len(held) + 1)]


class Words(Opening):
    """Words after any history of writes."""

    def test_words_after_random_histories_are_those_of_a_fresh_index(self, connect: Connect) -> None:
        self.check_histories(self.with_words(connect), self.histories, first=0)

    @pytest.mark.slow
    @pytest.mark.exhaustive
    @pytest.mark.timeout(3600)
    def test_words_after_500_random_histories_are_those_of_a_fresh_index(self, connect: Connect) -> None:
        for first in range(1000, 1500, 50):  # in a new collection: what was written before slows some databases down
            self.check_histories(self.with_words(connect), 50, first=first)

    def test_words_do_not_change_with_what_other_namespaces_hold(self, connect: Connect) -> None:
        store = self.with_words(connect)
        if store.capabilities.words_cover != "namespace":
            pytest.skip(f"declared lacking: words_cover ({store.capabilities.notes.get('words', 'not declared why')})")
        draw = random.Random(5)
        points = [Point(f"o{n}", [1, n], {}, draw_text(draw)) for n in range(40)]

        def answers(space: VectorStore) -> dict[str, list[tuple[str, float]]]:  # a parallel sum varies in its last bits
            return {query: [(hit.id, round(hit.score, 9)) for hit in space.words(query, 50)] for query in QUERIES}

        alone = self.with_words(connect)
        alone.upsert(points)
        ours, theirs = store.namespace("ours"), store.namespace("theirs")
        theirs.upsert([Point(f"t{n}", [1, n], {}, "tea tea 检索 tea " * 9) for n in range(60)])
        ours.upsert(points)
        assert answers(ours) == answers(alone)
        theirs.upsert([Point(f"t{n}", [1, n], {}, "kettle") for n in range(30)])
        theirs.delete([f"t{n}" for n in range(45)])
        assert answers(ours) == answers(alone)

    def check_histories(self, store: VectorStore, number: int, *, first: int) -> None:
        """Assert that words are exact, or, where the store says that they are the engine's, near enough."""
        exact = store.capabilities.words == "exact"
        shares: list[float] = []
        for seed in range(first, first + number):
            history = History(store, seed)
            for step, _ in enumerate(history.run()):
                query = QUERIES[(seed + step) % len(QUERIES)]
                for name, held in history.held.items():
                    self.check(store.namespace(name), held, query, history, shares, exact=exact)
        if not exact:
            mean = float(np.mean(shares))
            assert mean >= 1 - self.words_tolerance, f"{mean:.4f} of the exact rankings' worth, {len(shares)} rankings"

    def check(
        self,
        space: VectorStore,
        held: dict[str, Any],
        query: str,
        history: History,
        shares: list[float],
        *,
        exact: bool,
    ) -> None:
        """Compare one answer, all of it, and the first five of those that match a filter."""
        expected = right(held, query)
        hits = space.words(query, k=200)
        assert {*hits.ids} == {hit.id for hit in expected}, f"{query!r} in {space.name!r}; {history.told()}"
        filtered = [hit for hit in expected if held[hit.id][1] >= 5]
        five = space.words(query, k=5, where="n >= 5")
        assert len(five) == min(5, len(filtered)), f"{query!r} in {space.name!r}; {history.told()}"
        if not exact:
            if expected:
                shares.append(worth(hits, expected))
            return
        try:
            assert_same_answer(hits, expected)
            assert_same_answer(five, filtered)
        except AssertionError as error:
            raise AssertionError(f"{query!r} in {space.name!r}; {history.told()}") from error

    def with_words(self, connect: Connect) -> VectorStore:
        """Return a store that can search by words."""
        store = connect(dim=2)
        if store.capabilities.lexical == "none":
            pytest.skip(f"declared lacking: lexical ({store.capabilities.notes.get('lexical', 'not declared why')})")
        return store


def worth(hits: Hits, expected: list[Hit]) -> float:
    """Return the discounted exact scores of the first ten hits, over those of the exact ranking: nDCG@10, 0 to 1."""
    scores = {hit.id: hit.score for hit in expected}
    discount = 1 / np.log2(np.arange(2, 12))
    ranked, best = ([scores[hit.id] for hit in found[:10]] for found in (hits, expected))
    return float(np.dot(ranked, discount[: len(ranked)]) / np.dot(best, discount[: len(best)]))
