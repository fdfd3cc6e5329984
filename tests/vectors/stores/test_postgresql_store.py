"""PostgreSQL with pgvector passes the suite, and keeps what is its own: counts, postings, the index policy."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dizuo.errors import VectorError
from dizuo.testing import VectorStoreSuite
from dizuo.vectors import Point, VectorStore, connect
from dizuo.vectors.lexical import LexicalIndex, document_tokens
from dizuo.vectors.lexical.packed_postings import BIG_ENDIAN, COUNT_BITS
from dizuo.vectors.protocol.errors import CollectionGone
from dizuo.vectors.writing.naming import physical_name

pytest.importorskip("psycopg")


class TestPostgres(VectorStoreSuite):
    title = "PostgreSQL"
    examples = 15

    @pytest.fixture
    def url(self, engine_postgresql: Any) -> str:
        return str(engine_postgresql.url)

    @pytest.fixture
    def unreachable_url(self) -> str:
        return "postgresql://postgres:hunter2@127.0.0.1:9/postgres"

    @pytest.fixture
    def denied_url(self, engine_postgresql: Any) -> str:
        parts = urlsplit(engine_postgresql.url)
        return f"postgresql://postgres:hunter2@{parts.hostname}:{parts.port}{parts.path}"

    @pytest.fixture
    def breakable(self, tmp_path: Path) -> Iterator[tuple[str, Callable[[], None]]]:
        from engines.fixtures import had
        from engines.postgresql import PostgreSQL

        server = PostgreSQL(tmp_path / "own")
        had(server.start)
        yield server.url, server.kill
        server.kill()


@pytest.fixture
def opened() -> Iterator[Callable[..., VectorStore]]:
    """`connect`, with what it opened closed when the test ends."""
    stores: list[VectorStore] = []

    def connect_here(url: str, **options: Any) -> VectorStore:
        stores.append(connect(url, **options))
        return stores[-1]

    yield connect_here
    for store in stores:
        store.close()


Open = Callable[..., VectorStore]


def fresh(engine: Any, name: str) -> str:
    """Return the URL of a new database on the engine."""
    import psycopg

    with psycopg.connect(engine.url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}"')
        connection.execute(f'CREATE DATABASE "{name}"')
    return str(engine.url).rsplit("/", 1)[0] + "/" + name


def test_a_fresh_database_is_made_ready(engine_postgresql: Any, opened: Open) -> None:
    store = opened(fresh(engine_postgresql, "fresh"), dim=2)
    store.upsert(Point("a", [1, 2], {}, "text"))
    assert store.search([1, 2]).ids == ["a"]


def test_tables_can_live_in_a_schema_of_their_own(engine_postgresql: Any, opened: Open) -> None:
    url = fresh(engine_postgresql, "schemas")
    first, second = opened(url, dim=2, schema="One"), opened(url + "?schema=two", dim=3)
    first.upsert(Point("a", [1, 2], {"n": 1}, "text"))
    second.upsert(Point("b", [1, 2, 3]))
    for store in (first, second):
        store.optimize(force_index=True)
        assert store.info().engine.index == "hnsw"
    assert opened(url, schema="One").words("text").ids == ["a"]
    first.drop()
    assert opened(url, schema="two").count() == 1


def test_counts_and_postings_stay_true_to_the_records(engine_postgresql: Any, opened: Open) -> None:
    store = opened(fresh(engine_postgresql, "counts"), dim=2)
    texts = ["red apples", None, "green pears and pears", "", "数据库"]
    for round in range(3):
        for space in ("", "other"):
            one = store.namespace(space)
            one.upsert([Point(f"p{n}", [1, n], {"n": n}, texts[(n + round) % 5]) for n in range(20)])
            one.delete([f"p{n}" for n in range(round, 9, 3)])
            one.delete(where="n >= 17")
    with store.store.pool.connection() as connection:  # type: ignore[attr-defined]
        table, segments, postings, counts = tables(connection)
        summed = "namespace, count(*), count(*) FILTER (WHERE length > 0), sum(length)"
        right = connection.execute(f"SELECT {summed} FROM {table} GROUP BY 1 ORDER BY 1").fetchall()
        assert connection.execute(f"SELECT * FROM {counts} ORDER BY 1").fetchall() == right
        living = dict(connection.execute(f"SELECT row, length FROM {table} WHERE length > 0").fetchall())
        held: dict[int, int] = {}
        for (value,) in connection.execute(f"SELECT postings FROM {postings}"):
            for key, length in np.frombuffer(value, BIG_ENDIAN).tolist():
                held[key >> COUNT_BITS] = held.get(key >> COUNT_BITS, 0) + key % 2**COUNT_BITS
                assert living.get(key >> COUNT_BITS, length) == length
        gone = {
            n for (value,) in connection.execute(f"SELECT gone FROM {segments}") for n in np.frombuffer(value, ">i8")
        }
        assert {number: length for number, length in held.items() if number not in gone} == living
        assert gone
        assert gone == held.keys() - living.keys()
    store.clear()
    assert store.namespaces() == {"other": store.namespace("other").count()}


def tables(connection: Any) -> list[str]:
    """Return the quoted names of the collection's four tables."""
    rows = connection.execute(
        "SELECT relname FROM pg_class WHERE relname LIKE 'dizuo%' AND relpersistence = 'p' AND relkind = 'r'"
    ).fetchall()
    base = min((row[0] for row in rows), key=len)
    names = [base, *(f"{base}_{part}" for part in ("segments", "postings", "counts"))]
    assert sorted(names) == sorted(row[0] for row in rows)
    return [f'"{name}"' for name in names]


@pytest.mark.parametrize(("fanout", "sizes", "keep"), [(2, (10, 40), 9999), (3, (30, 60), 2), (9999, (1, 1), 0)])
def test_words_are_exact_however_often_segments_are_merged_and_written_anew(
    engine_postgresql: Any,
    opened: Open,
    monkeypatch: pytest.MonkeyPatch,
    fanout: int,
    sizes: tuple[int, int],
    keep: int,
) -> None:
    from dizuo.vectors.stores.postgresql import words

    for name, value in {"FANOUT": fanout, "SIZES": sizes, "KEEP": keep, "_TOKENS": 3}.items():
        monkeypatch.setattr(words, name, value)
    store = opened(fresh(engine_postgresql, "merged"), dim=2)
    TestPostgres().check_histories(store, 4, first=500)
    space = store.namespace("alone")
    for n in range(30):
        space.upsert(Point(f"d{n % 12}", [1, n], {}, f"tea number{n} " * (n % 3 + 1)))
    right = LexicalIndex()
    for n in range(18, 30):
        right.upsert(f"d{n % 12}", f"tea number{n} " * (n % 3 + 1))
    for _ in ("as it is", "optimized"):
        expected = right.search("tea number25", k=20)
        hits = space.words("tea number25", 20)
        assert hits.ids == [id for id, _ in expected]
        assert [hit.score for hit in hits] == pytest.approx([score for _, score in expected], abs=1e-12)
        store.optimize()
    with store.store.pool.connection() as connection:  # type: ignore[attr-defined]
        _, segments, postings, _ = tables(connection)
        where = f"FROM {segments} WHERE namespace = 'alone'"
        assert connection.execute(f"SELECT sum(postings), sum(octet_length(gone)) {where}").fetchone() == (24, 0)
        assert connection.execute(f"SELECT count(*) {where}").fetchone()[0] <= max(12, 2 * fanout if fanout < 9 else 30)
        orphans = f"SELECT count(*) FROM {postings} p LEFT JOIN {segments} s USING (segment) WHERE s.segment IS NULL"
        assert connection.execute(orphans).fetchone() == (0,)


def test_postings_of_an_earlier_version_are_packed_when_the_collection_is_opened(
    engine_postgresql: Any, opened: Open
) -> None:
    import psycopg

    url = fresh(engine_postgresql, "earlier")
    texts = ["red tea", "tea, tea and a cup", None, "茶 tea"]
    store = opened(url, dim=2)
    for space in ("", "other"):
        store.namespace(space).upsert([Point(f"p{n}", [1, n], {"n": n}, texts[n % 4]) for n in range(10)])
    queries = ("tea", "red cup", "茶")
    before = {(space, query): store.namespace(space).words(query).ids for space in ("", "other") for query in queries}
    with psycopg.connect(url, autocommit=True) as connection:  # the tables as 5342dfa made them
        table, segments, postings, _ = tables(connection)
        words = f'{table[:-1]}_words"'
        connection.execute(
            f'CREATE TABLE {words} (namespace text COLLATE "C" NOT NULL, token text COLLATE "C" NOT NULL,'
            " row bigint NOT NULL, count int NOT NULL, PRIMARY KEY (namespace, token, row) INCLUDE (count))"
        )
        connection.execute(f"CREATE INDEX ON {words} (row)")
        for space, row, text in connection.execute(
            f"SELECT namespace, row, document FROM {table} WHERE length > 0"
        ).fetchall():
            for token, count in Counter(document_tokens(text)).items():
                connection.execute(f"INSERT INTO {words} VALUES (%s, %s, %s, %s)", [space, token, row, count])
        connection.execute(f"DROP TABLE {segments}, {postings}")
    with pytest.raises(CollectionGone):
        store.upsert(Point("p1", [1, 1], {}, "written by the handle of that version"))
    again = opened(url, dim=2)
    assert {key: again.namespace(key[0]).words(key[1]).ids for key in before} == before
    again.upsert(Point("p0", [1, 0], {}, "green"))
    again.namespace("other").delete(["p1"])
    assert "p0" not in again.words("tea").ids
    assert again.words("green").ids == ["p0"]
    assert "p1" not in again.namespace("other").words("tea").ids
    again.optimize()
    assert "p0" not in opened(url, dim=2).words("tea").ids
    with psycopg.connect(url, autocommit=True) as connection:
        assert len(tables(connection)) == 4


def test_long_vectors_are_indexed_in_half_precision_and_scored_in_full(engine_postgresql: Any, opened: Open) -> None:
    store = opened(fresh(engine_postgresql, "long"), dim=2100)
    table = np.random.default_rng(0).standard_normal((60, 2100)).astype(np.float32)
    store.upsert([Point(str(n), vector) for n, vector in enumerate(table)])
    right = store.search(table[7], k=5, exact=True)
    store.optimize(force_index=True)
    module = importlib.import_module("dizuo.vectors.stores.postgresql")
    few, module.FEW = module.FEW, 10  # type: ignore[attr-defined]
    try:
        hits = store.search(table[7], k=5)
    finally:
        module.FEW = few  # type: ignore[attr-defined]
    assert (hits.path, hits.ids) == ("index", right.ids)
    assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in right], abs=1e-6)


def test_a_table_of_someone_else_is_not_taken_for_ours(engine_postgresql: Any, opened: Open) -> None:
    import psycopg

    url = fresh(engine_postgresql, "theirs")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute(f'CREATE TABLE "{physical_name("default", limit=40)}" (vector vector(2))')
    with pytest.raises(VectorError, match="was not made by dizuo"):
        opened(url, dim=2)


def test_a_database_that_is_not_there_is_named(engine_postgresql: Any, opened: Open) -> None:
    with pytest.raises(VectorError, match='"nowhere" does not exist'):
        opened(str(engine_postgresql.url).rsplit("/", 1)[0] + "/nowhere", dim=2)


def test_a_lost_connection_is_made_again(engine_postgresql: Any, opened: Open) -> None:
    import psycopg

    store = opened(fresh(engine_postgresql, "lost"), dim=2)
    store.upsert(Point("a", [1, 2]))
    with psycopg.connect(engine_postgresql.url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dizuo'")
    assert store.search([1, 2]).ids == ["a"]


def test_several_threads_search_at_once(engine_postgresql: Any, opened: Open) -> None:
    from concurrent.futures import ThreadPoolExecutor

    store = opened(fresh(engine_postgresql, "threads"), dim=2)
    store.upsert([Point(str(n), [1, n], {"n": n}) for n in range(50)])
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: store.search([1, n], k=1, where=f"n == {n}").ids, range(50)))
    assert found == [[str(n)] for n in range(50)]


@given(st.text(alphabet="\0\x01\x02ab\U0010ffff"), st.text(alphabet="\0\x01\x02ab\U0010ffff"))
def test_text_without_nul_orders_and_begins_as_it_did(left: str, right: str) -> None:
    from dizuo.vectors.stores.postgresql.filters import escape_nul, unescape_nul

    assert unescape_nul(escape_nul(left)) == left
    assert "\0" not in escape_nul(left)
    assert (escape_nul(left) < escape_nul(right)) == (left < right)
    assert escape_nul(left).startswith(escape_nul(right)) == left.startswith(right)


def test_what_waits_for_a_scan_of_ones_own_does_not_wait_for_ever(
    engine_postgresql: Any, opened: Callable[..., VectorStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dizuo.vectors.stores.postgresql import tables

    monkeypatch.setattr(tables, "LOCKED", 1)
    store = opened(engine_postgresql.url, dim=2, collection="waits for a scan")
    store.upsert([Point(str(n), [1, n]) for n in range(50)])
    blocks = store.scan(rows=10)
    seen = list(next(blocks).ids)
    for wait in (store.drop, lambda: store.optimize(force_index=True)):
        with pytest.raises(VectorError, match="was being read or written for 1 s"):
            wait()
        assert store.count() == 50
    seen += [id for block in blocks for id in block.ids]
    assert len(set(seen)) == 50
    store.optimize(force_index=True)
    assert store.info().engine.index == "hnsw"
    store.drop()
