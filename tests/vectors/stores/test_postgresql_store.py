"""PostgreSQL with pgvector passes the suite, and keeps what is its own: counts, postings, the index policy."""

from __future__ import annotations

import importlib
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
        table, words, counts = (f'"{name}"' for name in tables(connection))
        summed = "namespace, count(*), count(*) FILTER (WHERE length > 0), sum(length)"
        right = connection.execute(f"SELECT {summed} FROM {table} GROUP BY 1 ORDER BY 1").fetchall()
        assert connection.execute(f"SELECT * FROM {counts} ORDER BY 1").fetchall() == right
        orphans = f"SELECT count(*) FROM {words} w LEFT JOIN {table} t USING (row) WHERE t.row IS NULL"
        assert connection.execute(orphans).fetchone() == (0,)
        both = f"SELECT sum(count), (SELECT sum(length) FROM {table}) FROM {words}"
        posted, lengths = connection.execute(both).fetchone()
        assert posted == lengths > 0
    store.clear()
    assert store.namespaces() == {"other": store.namespace("other").count()}


def tables(connection: Any) -> list[str]:
    rows = connection.execute(
        "SELECT relname FROM pg_class WHERE relname LIKE 'dizuo%' AND relpersistence = 'p' AND relkind = 'r'"
    ).fetchall()
    names = sorted((row[0] for row in rows), key=len)
    base = names[0]
    return [base, f"{base}_words", f"{base}_counts"]


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
