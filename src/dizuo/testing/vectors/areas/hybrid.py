"""Searching by words, and by words and vectors together."""

from __future__ import annotations

import numpy as np
import pytest

from dizuo.errors import VectorError
from dizuo.testing.vectors.comparing import close
from dizuo.testing.vectors.opening import Connect, Opening
from dizuo.vectors import Hits, Point, VectorStore
from dizuo.vectors import connect as plain

__all__ = ["Hybrid"]

TEXTS = {
    "zh1": "数据库检索是信息系统的核心",
    "zh2": "向量数据库",
    "zh3": "今天天气很好",
    "en1": "A database of vectors answers nearest-neighbour queries.",
    "en2": "Words and vectors, fused by reciprocal rank. Words, words!",
    "en3": "Nothing to see here",
    "ko1": "데이터베이스를 찾는다",
    "mixed": "用 BM25 检索 documents",
    "none": None,
    "empty": "",
}


class Hybrid(Opening):
    """BM25 and RRF."""

    def test_words_are_found_in_every_script(self, connect: Connect) -> None:
        store = self.with_texts(connect)
        assert set(store.words("检索").ids) == {"zh1", "mixed"}
        assert set(store.words("数据库").ids) == {"zh1", "zh2"}
        assert set(store.words("VECTORS").ids) == {"en1", "en2"}
        assert store.words("데이터베이스").ids == ["ko1"]
        assert store.words("words", k=1).ids == ["en2"]
        assert set(store.words("nearest 检索").ids) == {"zh1", "mixed", "en1"}
        assert store.words("absent") == []
        assert store.words("") == []
        assert store.words("!?… -- \"'") == []
        assert store.words("检索", k=0) == []
        hit = store.words("bm25")[0]
        assert (hit.document, hit.metadata["script"]) == (TEXTS["mixed"], "mi")

    def test_scores_of_words_are_bm25(self, connect: Connect) -> None:
        store = self.with_texts(connect)
        oracle = plain("memory://", dim=4)
        oracle.upsert(store.points())
        own = store.capabilities.words == "engine"
        for query in ("words", "检索", "vectors", "a database of words", "向量 检索"):
            hits, right = store.words(query, k=20), oracle.words(query, k=20)
            assert {*hits.ids} == {*right.ids}
            assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
            assert all(hit.score > 0 for hit in hits)
            if own:  # an engine counts a document's length in its own way
                continue
            assert hits.ids == right.ids
            for ours, theirs in zip(hits, right, strict=True):
                assert close(ours.score, theirs.score)

    def test_words_take_filters(self, connect: Connect) -> None:
        store = self.with_texts(connect)
        assert store.words("vectors", where='script == "en"').ids == store.words("vectors").ids
        assert store.words("检索", where='script == "zh"').ids == ["zh1"]
        assert store.words("检索", where='script == "ko"') == []
        assert store.words("检索", k=1, where='script != "zh"').ids == ["mixed"]

    def test_words_follow_what_is_written(self, connect: Connect) -> None:
        store = self.with_texts(connect)
        store.upsert(Point("zh1", [1, 0, 0, 1], {"script": "zh"}, "all new"))
        assert store.words("检索").ids == ["mixed"]
        assert store.words("new").ids == ["zh1"]
        store.upsert(Point("zh1", [1, 0, 0, 1], {"script": "zh"}))
        assert store.words("new") == []
        store.update_metadata({"mixed": {"script": "changed"}})
        assert store.words("检索", where='script == "changed"').ids == ["mixed"]
        store.delete("mixed")
        assert store.words("检索") == []
        store.delete(where='script == "en"')
        assert store.words("vectors") == []
        store.clear()
        assert store.words("天气") == []
        store.upsert(Point("again", [1, 1, 1, 1], {}, "天气"))
        assert store.words("天气").ids == ["again"]

    def test_removed_and_replaced_words_leave_no_trace(self, connect: Connect) -> None:
        store = self.with_texts(connect)
        store.upsert([Point(f"w{n}", [1, n, 0, 1], {"n": n}, "apples " * (6 - n) + "pears " * n) for n in range(6)])
        best = store.words("apples", k=1).ids
        store.delete(best)
        left = store.words("apples", k=1).ids
        assert len(left) == 1, "a removed record takes the place of one that is there"
        assert left != best
        store.upsert(Point(left[0], [1, 1, 0, 1], {}, "something else"))
        oracle = plain("memory://", dim=4)
        oracle.upsert(store.points())
        hits, right = store.words("apples pears", k=20), oracle.words("apples pears", k=20)
        assert {*hits.ids} == {*right.ids}
        if store.capabilities.words == "exact":  # counts of documents and tokens are those of a fresh index
            assert all(close(ours.score, theirs.score) for ours, theirs in zip(hits, right, strict=True))

    def test_hybrid_search_fuses_both_legs_by_rank(self, connect: Connect) -> None:
        store = self.with_texts(connect)
        query, vector = "vectors and words 检索", [1.0, 2.0, 0.5, 0.1]
        hits = store.hybrid(query, vector, k=8)
        dense, lexical = store.search(vector, k=50), store.words(query, k=50)
        assert len(hits) == 8
        self.check_parts(hits, dense, lexical)
        assert any(len(hit.parts) == 2 for hit in hits)
        assert all(hit.document == TEXTS[hit.id] for hit in hits)

    def test_hybrid_search_takes_filters_and_vectors(self, connect: Connect) -> None:
        store = self.with_texts(connect)
        hits = store.hybrid("vectors", [1, 2, 3, 4], k=5, where='script == "en"', vectors=True)
        assert {*hits.ids} == {"en1", "en2", "en3"}
        assert all(hit.vector is not None and hit.vector.shape == (4,) for hit in hits)
        nothing = store.hybrid("absent", [1, 2, 3, 4], k=3)
        assert [list(hit.parts) for hit in nothing] == [["dense"]] * 3

    def test_several_hybrid_searches_answer_as_each_does(self, connect: Connect) -> None:
        store = self.with_texts(connect)
        queries = ["vectors and words 检索", "absent", "天气"]
        embedded = np.array([[1, 2, 0.5, 0.1], [4, 3, 2, 1], [0, 1, 0, 1]], np.float32)
        together = store.hybrid_many(queries, embedded, 5, exact=True, vectors=True)
        for hits, query, vector in zip(together, queries, embedded, strict=True):
            alone = store.hybrid(query, vector, 5, exact=True, vectors=True)
            assert [(hit.id, hit.document, hit.metadata) for hit in hits] == [
                (hit.id, hit.document, hit.metadata) for hit in alone
            ]
            assert all(close(left.score, right.score) for left, right in zip(hits, alone, strict=True))
        assert store.hybrid_many([], np.empty((0, 4), np.float32)) == []
        with pytest.raises(VectorError, match="2 queries have 1 vectors"):
            store.hybrid_many(["a", "b"], [[1, 2, 3, 4]])

    def check_parts(self, hits: Hits, dense: Hits, lexical: Hits) -> None:
        """Assert that every fused score is made of its parts, and every part is what its leg says."""
        for hit in hits:
            assert hit.score == pytest.approx(sum(1 / (60 + part.rank) for part in hit.parts.values()), abs=1e-12)
            for name, leg in (("dense", dense), ("lexical", lexical)):
                if name in hit.parts:
                    index = leg.ids.index(hit.id)
                    assert hit.parts[name].rank == index + 1
                    assert close(hit.parts[name].score, leg[index].score)
                else:
                    assert hit.id not in leg.ids
        order = [(-hit.score, hit.id) for hit in hits]
        assert order == sorted(order)

    def with_texts(self, connect: Connect) -> VectorStore:
        """Return a store with TEXTS; skipped where it has no words."""
        store = connect(dim=4)
        if store.capabilities.lexical == "none":
            pytest.skip(f"declared lacking: lexical ({store.capabilities.notes.get('lexical', 'not declared why')})")
        store.upsert(
            [
                Point(id, [n + 1, (n * 7) % 5, n % 3, 1], {"script": id[:2]}, text)
                for n, (id, text) in enumerate(TEXTS.items())
            ]
        )
        return store
