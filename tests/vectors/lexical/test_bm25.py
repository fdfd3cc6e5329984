"""BM25 in memory: the formula, the statistics, the ranking."""

from __future__ import annotations

import math
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dizuo.vectors.lexical import SQL_WEIGHT, LexicalIndex, document_tokens, idf, postings, query_tokens, weight


def scores_by_hand(documents: dict[str, str], query: str) -> dict[str, float]:
    """The formula in the docstring of `bm25.py`, written out once more and slowly."""
    tokens = {id: document_tokens(text) for id, text in documents.items() if document_tokens(text)}
    out = {}
    for id, own in tokens.items():
        total = 0.0
        for token in set(query_tokens(query)) & set(own):
            n = sum(token in other for other in tokens.values())
            avgdl = sum(map(len, tokens.values())) / len(tokens)
            tf = own.count(token)
            total += math.log(1 + (len(tokens) - n + 0.5) / (n + 0.5)) * tf * 2.2 / (
                tf + 1.2 * (0.25 + 0.75 * len(own) / avgdl)
            )  # fmt: skip
        if total:
            out[id] = total
    return out


WORDS = st.lists(st.sampled_from(["red", "blue", "green", "tea", "cup", "检索", "数据库", "!"]), max_size=8).map(
    " ".join
)
CORPUS = st.dictionaries(st.text("abc", min_size=1, max_size=3), WORDS, max_size=8)


@settings(deadline=None)
@given(CORPUS, WORDS, st.integers(0, 10))
def test_scores_are_those_of_the_formula(documents: dict[str, str], query: str, k: int) -> None:
    index = LexicalIndex()
    for id, text in documents.items():
        index.upsert(id, text)
    wanted = scores_by_hand(documents, query)
    hits = index.search(query, k=k)
    assert len(hits) == min(k, len(wanted))
    assert dict(hits) == pytest.approx({id: wanted[id] for id, _ in hits}, rel=1e-12)
    assert [score for _, score in hits] == sorted((score for _, score in hits), reverse=True)
    assert not hits or hits[-1][1] >= max((s for id, s in wanted.items() if id not in dict(hits)), default=0) - 1e-12


@settings(deadline=None)
@given(CORPUS, CORPUS, st.lists(st.text("abc", min_size=1, max_size=3)), WORDS)
def test_what_was_replaced_or_deleted_leaves_no_trace(
    before: dict[str, str], after: dict[str, str], gone: list[str], query: str
) -> None:
    index, fresh = LexicalIndex(), LexicalIndex()
    for id, text in [*before.items(), *after.items()]:
        index.upsert(id, text)
    left = {**before, **after}
    for id in gone:
        assert index.delete(id) == bool(document_tokens(left.pop(id, "")))
    for id, text in left.items():
        fresh.upsert(id, text)
    assert index.search(query, k=100) == fresh.search(query, k=100)
    assert (len(index), index.average_length) == (len(fresh), fresh.average_length)


def test_an_example_worked_by_hand() -> None:
    # Two documents of 2 and 4 tokens: avgdl 3; "tea" stands in one, once: ln 2 · 2.2 / 1.9.
    index = LexicalIndex()
    index.upsert("a", "tea cup")
    index.upsert("b", "a very large pot")
    expected = math.log(2.0) * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 2 / 3))
    assert index.search("TEA!", k=5) == [("a", pytest.approx(expected, rel=1e-15))]
    assert expected == pytest.approx(0.8025915, abs=1e-7)


def test_equal_documents_have_equal_scores_and_stand_in_the_order_of_their_ids() -> None:
    index = LexicalIndex()
    for id in "dbacfe":
        index.upsert(id, "one two three four five six seven")
    hits = index.search("seven one six two five three four", k=6)
    assert [id for id, _ in hits] == list("abcdef")
    assert len({score for _, score in hits}) == 1


def test_a_filter_hides_documents_and_leaves_the_statistics_alone() -> None:
    index = LexicalIndex()
    for id, text in {"a": "tea tea", "b": "tea", "c": "cup"}.items():
        index.upsert(id, text)
    everything = dict(index.search("tea cup", k=9))
    assert dict(index.search("tea cup", k=9, allowed={"b", "x"})) == {"b": everything["b"]}
    assert index.search("tea", k=9, allowed=set()) == []


def test_a_document_without_tokens_counts_for_nothing() -> None:
    index = LexicalIndex()
    index.upsert("a", "tea")
    alone = index.search("tea", k=1)
    index.upsert("b", "…")
    index.upsert("c", None)
    assert (index.search("tea", k=1), len(index)) == (alone, 1)


def test_a_token_in_every_document_still_weighs_something() -> None:
    assert idf(10, 10) > 0
    assert idf(10, 0) > idf(10, 1) > idf(10, 9)


@settings(deadline=None)
@given(st.integers(1, 1000), st.integers(1, 50), st.integers(1, 5000), st.floats(0.5, 5000))
def test_the_formula_in_sql_is_the_formula(documents: int, count: int, length: int, average: float) -> None:
    matching = max(1, documents // 3)
    database = sqlite3.connect(":memory:")
    database.create_function("ln", 1, math.log, deterministic=True)  # PostgreSQL and ClickHouse have it themselves
    sql = SQL_WEIGHT.format(documents=documents, matching="n", count="tf", length="dl", average=repr(average))
    (found,) = database.execute(f"SELECT {sql} FROM (SELECT ? n, ? tf, ? dl)", (matching, count, length)).fetchone()
    database.close()
    assert found == pytest.approx(weight(idf(documents, matching), count, length, average), rel=1e-12)


def test_postings_are_counts_and_a_length() -> None:
    assert postings("tea for two, two for tea 茶茶") == ({"tea": 2, "for": 2, "two": 2, "茶茶": 1, "茶": 2}, 9)
