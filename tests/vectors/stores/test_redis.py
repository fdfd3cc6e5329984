"""Redis with its search module, a real server, passes the suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dizuo.errors import VectorError
from dizuo.testing import VectorStoreSuite
from dizuo.vectors import Point, VectorStore, connect, field
from dizuo.vectors.filters.matching import matches
from dizuo.vectors.filters.tree import And, Or

pytest.importorskip("redis")


@pytest.mark.slow
class TestRedis(VectorStoreSuite):
    namespaces_at_once = 300  # each is an index of 470 KB

    @pytest.fixture
    def url(self, engine_redis: Any) -> str:
        return str(engine_redis.url)

    @pytest.fixture
    def unreachable_url(self) -> str:
        from engines.server import free_port

        return f"redis://127.0.0.1:{free_port()}"

    @pytest.fixture
    def denied_url(self, engine_redis: Any) -> str:
        return str(engine_redis.wrong_password_url)

    @pytest.fixture
    def breakable(self, tmp_path: Path) -> Iterator[tuple[str, Callable[[], None]]]:
        from engines.fixtures import had
        from engines.redis import Redis

        server = had(lambda: Redis(tmp_path / "breakable"))
        had(server.start)
        yield server.url, server.kill
        server.kill()


@pytest.fixture
def store(engine_redis: Any) -> Iterator[VectorStore]:
    opened = connect(engine_redis.url, dim=4, collection="redis pitfalls")
    yield opened
    opened.drop()
    opened.close()


@pytest.mark.slow
def test_more_than_ten_answers_come_though_ten_is_rediss_default(store: VectorStore) -> None:
    store.upsert([Point(f"p{n}", [1, n, 0, 0]) for n in range(40)])
    assert len(store.search([1, 0, 0, 0], k=30)) == 30
    assert store.count() == 40
    assert len(list(store.points())) == 40


@pytest.mark.slow
def test_long_texts_can_be_asked_for_though_redis_drops_long_tags(store: VectorStore) -> None:
    long = "x" * 20_000
    store.upsert([Point("long", [1, 0, 0, 0], {"title": long}), Point("other", [1, 0, 0, 0], {"title": long + "y"})])
    assert store.search([1, 0, 0, 0], where=field("title") == long).ids == ["long"]
    assert store.count(field("title") != long) == 1


@pytest.mark.slow
def test_a_packed_transaction_is_all_or_nothing_and_leaves_its_connection_in_order(store: VectorStore) -> None:
    import redis

    from dizuo.vectors.stores.redis.wire import execute_packed, pack_command, pack_hash

    client = store.store.client  # type: ignore[attr-defined]
    good = pack_hash("packed", {"a": "ä", "b": b"\x00\r\n"})
    refused: list[tuple[list[bytes], str]] = [
        ([good, pack_command("NO-SUCH-COMMAND"), good], "unknown command"),
        ([pack_command("SET", "packed text", "x"), pack_hash("packed text", {"a": "1"})], "WRONGTYPE"),
    ]
    try:
        for commands, told in refused:
            with client.pipeline(transaction=True) as pipe:
                pipe.watch("packed")
                with pytest.raises(redis.ResponseError, match=told):
                    execute_packed(pipe, commands)
            assert client.exists("packed") == 0
            assert client.get("no such key") is None  # and no answer of before
        with client.pipeline(transaction=True) as pipe:
            pipe.watch("packed")
            execute_packed(pipe, [good])
        assert client.hgetall("packed") == {b"a": "ä".encode(), b"b": b"\x00\r\n"}
        with client.pipeline(transaction=True) as pipe:
            pipe.watch("packed")
            client.hset("packed", "a", "another")
            with pytest.raises(redis.WatchError):
                execute_packed(pipe, [pack_command("DEL", "packed")])
        assert client.hget("packed", "a") == b"another"
    finally:
        client.delete("packed", "packed text")


@pytest.mark.slow
def test_blocks_that_were_made_ready_are_those_that_were_not(store: VectorStore) -> None:
    """The first block of a load is made when it is sent, the others while the one before is on its way."""
    points = [Point(f"p{n}", [1, n, 2, 3], {"n": n, "t": f"text {n}"}) for n in range(3500)]
    points += [
        Point(f"p{n}", [1, n, 2, 3], {"n": n, f"new {n % 7}": n}, "a word" if n % 2 else None)
        for n in range(3500, 6000)
    ]
    for _ in range(2):
        store.upsert(points)
        assert store.count() == 6000
        assert store.count("n >= 3499") == 2501
        assert store.count('t startswith "text 12"') == 111
        assert len(store.words("word", k=3000)) == 1250
    held = {point.id: point for point in store.points()}
    assert [held[point.id].metadata for point in points] == [point.metadata for point in points]
    assert [held[point.id].document for point in points] == [point.document for point in points]


@pytest.mark.slow
def test_numbers_beyond_the_slots_are_filtered_by_reading_metadata(engine_redis: Any) -> None:
    store = connect(engine_redis.url, dim=2, collection="redis slots", slots=3)
    other = connect(engine_redis.url, collection="redis slots")
    try:
        store.upsert([Point(f"p{n}", [1, n], {f"key{m}": n for m in range(6)}) for n in range(50)])
        for m in range(6):
            for one in (store, other):
                where = field(f"key{m}") >= 45
                assert one.count(where) == 5
                assert one.search([1, 0], k=3, where=where).ids == ["p45", "p46", "p47"]
                assert one.search([1, 0], k=3, where=where, exact=True).ids == ["p45", "p46", "p47"]
        assert store.delete(where="key5 < 10") == 10
        assert store.count() == 40
    finally:
        store.drop()
        store.close()
        other.close()


@pytest.mark.slow
def test_nested_conditions_with_terms_that_no_record_has_find_what_counts(store: VectorStore) -> None:
    """RediSearch estimates such an And as unanswerable; the shape in which this was met, and the smallest."""
    rows = [{"public": n % 3 != 0, "lang": "de" if n % 2 else "en", "year": 2015 + n % 5} for n in range(60)]
    store.upsert([Point(f"p{n}", [1, n, 2, 3], row, "a word") for n, row in enumerate(rows)])
    for text in (
        '(public == true or (team == "new" and level >= 3)) and (lang == "en" or (lang == "fr" and year >= 2020))',
        '(public == true or (a == 1 and b == 1)) and (lang == "en" or (a == 1 and b == 1))',
    ):
        assert store.count(text) == 20
        for exact in (False, True):
            assert len(store.search([1, 1, 1, 1], k=60, where=text, exact=exact)) == 20
        assert len(store.words("word", k=60, where=text)) == 20


@pytest.mark.slow
def test_a_wide_or_with_negations_finds_what_counts(store: VectorStore) -> None:
    """RediSearch reads a union of 20 and more sides in another way, and loses records by a negation in it."""
    rows = [{f"k{n % 30}": n % 4, "n": n} for n in range(90)]
    store.upsert([Point(f"p{n}", [1, n, 2, 3], row, "a word") for n, row in enumerate(rows)])
    for sides in (19, 20, 30):
        where = And(tuple(Or((field(f"k{m}") != 1, field("n") < 3)) for m in range(sides)))
        wide = Or(tuple((field(f"k{m}") >= 2) & (field("n") != 7 + m) for m in range(sides)))
        for one in (where, wide, ~where, ~wide, where & wide):
            right = {f"p{n}" for n, row in enumerate(rows) if matches(one, row)}
            assert store.count(one) == len(right)
            assert {*store.search([1, 1, 1, 1], k=90, where=one).ids} == right
            assert {id for block in store.scan(one, rows=20) for id in block.ids} == right
            assert {*store.words("word", k=90, where=one).ids} == right


@pytest.mark.slow
def test_two_clients_give_a_number_the_same_slot(engine_redis: Any) -> None:
    left = connect(engine_redis.url, dim=2, collection="redis two slots")
    right = connect(engine_redis.url, collection="redis two slots")
    try:
        left.upsert(Point("a", [1, 0], {"x": 1, "y": 10}))
        right.upsert(Point("b", [1, 0], {"y": 20, "z": 3, "x": 2}))
        left.upsert(Point("c", [1, 0], {"z": 4}))
        for one in (left, right):
            assert one.search([1, 0], where="x >= 1").ids == ["a", "b"]
            assert one.search([1, 0], where="y > 10").ids == ["b"]
            assert one.search([1, 0], where="z < 10").ids == ["b", "c"]
            assert one.search([1, 0], where="w < 10 or z == 4").ids == ["c"]
    finally:
        left.drop()
        left.close()
        right.close()


@pytest.mark.slow
def test_a_client_waits_for_the_index_that_a_restarted_server_builds(engine_redis: Any) -> None:
    store = connect(engine_redis.url, dim=32, collection="redis restart")
    table = np.random.default_rng(0).standard_normal((4000, 32)).astype(np.float32)
    store.upsert([Point(f"p{n}", vector, {"n": n}) for n, vector in enumerate(table)])
    for _ in range(2):
        engine_redis.kill()
        engine_redis.restart()
        assert len(store.search(table[0], k=4000, exact=True)) == 4000
        assert store.count("n >= 2000") == 2000
    store.drop()
    store.close()


@pytest.mark.slow
def test_redis_without_its_search_module_is_named_as_such(tmp_path: Path) -> None:
    from engines.fixtures import had
    from engines.redis import PASSWORD, Redis

    server = had(lambda: Redis(tmp_path / "bare"))
    server.modules = []
    server.ready = lambda: _ping(server.port, PASSWORD)  # type: ignore[method-assign]
    had(server.start)
    try:
        with pytest.raises(VectorError, match="has no search module") as caught:
            connect(server.url, dim=2)
        assert "redisearch.so" in str(caught.value.hint)
    finally:
        server.kill()


def _ping(port: int, password: str) -> None:
    import redis

    with redis.Redis(port=port, password=password) as client:
        client.ping()


@pytest.mark.slow
def test_redisearchs_own_bm25_is_still_wrong_after_records_were_replaced(engine_redis: Any) -> None:
    """The reason for postings of our own: where this fails, its BM25 may be good enough to be used."""
    import redis

    with redis.Redis.from_url(engine_redis.url, protocol=2) as client:
        client.execute_command("FT.CREATE", "bm25", "ON", "HASH", "PREFIX", 1, "bm25:", "SCHEMA", "w", "TEXT")
        for _ in range(3):
            for n in range(50):
                client.delete(f"bm25:{n}")
                client.hset(f"bm25:{n}", "w", "common" if n else "common rare")
        query = ["FT.SEARCH", "bm25", "common", "SCORER", "BM25STD", "WITHSCORES", "EXPLAINSCORE", "NOCONTENT"]
        found = client.execute_command(*query, "LIMIT", 0, 1, "DIALECT", 2)
        client.execute_command("FT.DROPINDEX", "bm25", "DD")
    score, explained = found[2]
    assert float(score) > 10  # ln(1 + 0.5 / 50.5) · 2.2 at most, if it counted what there is
    assert "Average Doc Len 3.06" in str(explained)  # and this is 1.02


@pytest.fixture
def tea(engine_redis: Any) -> Iterator[tuple[VectorStore, VectorStore]]:
    store, oracle = connect(engine_redis.url, dim=2, collection="redis words"), connect("memory://", dim=2)
    for text in ("red tea", "red cup cup", "blue cup"):
        for one in (store, oracle):
            one.upsert([Point(f"p{n}", [1, n], {"n": n}, f"{text} {n}") for n in range(20)])
    yield store, oracle
    store.drop()
    store.close()


def held(store: VectorStore) -> dict[str, int]:
    """Return the postings of every token, the dead among them too."""
    inner: Any = store.store
    name = inner._open_index(store.name)
    tokens = [token.decode() for token in inner.client.smembers(f"{name}/tokens")]
    return {token: inner.client.strlen(f"{name}/w/{token}") // 12 for token in tokens}


@pytest.mark.slow
def test_words_of_replaced_records_count_for_nothing_and_are_taken_out(tea: tuple[VectorStore, VectorStore]) -> None:
    store, oracle = tea
    for one in tea:
        one.delete([f"p{n}" for n in range(5)])
        one.update_metadata({"p7": {"new": True}})
    assert held(store) | {"red": 40, "tea": 20, "blue": 20, "cup": 40, "7": 3} == held(store)
    for _ in range(2):
        assert store.words("red tea") == []
        found, right = store.words("blue 7 cup", k=20), oracle.words("blue 7 cup", k=20)
        assert found.ids == right.ids
        assert [hit.score for hit in found] == pytest.approx([hit.score for hit in right], rel=1e-12)
        assert store.words("7", where="new == true").ids == ["p7"]
        store.optimize()
        assert held(store) == {"blue": 15, "cup": 15} | {str(n): 1 for n in range(5, 20)}
    inner: Any = store.store
    assert not inner.client.exists(f"{inner._open_index(store.name)}/dead")


@pytest.mark.slow
def test_the_dead_are_taken_out_when_they_are_more_than_the_living(
    tea: tuple[VectorStore, VectorStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dizuo.vectors.stores.redis import words

    store, oracle = tea
    monkeypatch.setattr(words, "KEEP", 0)
    for one in tea:
        one.upsert(Point("p0", [1, 0], {}, "green"))
    assert held(store) == {"blue": 19, "cup": 19, "green": 1} | {str(n): 1 for n in range(1, 20)}
    assert store.words("cup 3 green").ids == oracle.words("cup 3 green").ids


@pytest.mark.slow
def test_words_written_during_a_compaction_stay(engine_redis: Any, tea: tuple[VectorStore, VectorStore]) -> None:
    store, oracle = tea
    other = connect(engine_redis.url, collection="redis words")
    inner: Any = store.store
    real, rounds = inner.words.client.pipeline, iter(range(3))

    def pipeline(transaction: bool = True) -> Any:
        pipe = real(transaction=transaction)
        plain = pipe.mget

        def mget(keys: Any) -> Any:
            got = plain(keys)
            if (n := next(rounds, None)) is not None:  # between the reading and the writing of postings
                for one in (other, oracle):
                    one.upsert(
                        [Point(f"late{n}", [1, 1], {}, f"cup late {n}"), Point(f"p{n}", [1, 1], {}, "cup again")]
                    )
            return got

        pipe.mget = mget
        return pipe

    inner.words.client = SimpleNamespace(**{name: getattr(inner.client, name) for name in ("get", "sscan_iter")})
    inner.words.client.pipeline = pipeline
    inner.words.compact(inner._open_index(store.name))
    assert next(rounds, None) is None
    inner.words.client = inner.client
    for query in ("cup", "late", "again 2", "blue 7"):
        found, right = store.words(query, k=50), oracle.words(query, k=50)
        assert found.ids == right.ids, query
        assert [hit.score for hit in found] == pytest.approx([hit.score for hit in right], rel=1e-12)
    store.optimize()
    assert held(store)["cup"] == 23
    other.close()


@pytest.mark.slow
def test_words_take_any_filter_page_by_page(engine_redis: Any) -> None:
    store, oracle = connect(engine_redis.url, dim=2, collection="redis pages"), connect("memory://", dim=2)
    title = "a title of more than twenty-four bytes "
    for one in (store, oracle):
        rows = [{"title": f"{title}{n:04}", "n": n} for n in range(1500)]
        one.upsert([Point(f"p{n:04}", [1, n], row, "tea " * (n % 7 + 1)) for n, row in enumerate(rows)])
    for where in (field("title") >= f"{title}1490", field("n") >= 1490, ~(field("n") < 700), field("m") == 1):
        for k in (3, 50):
            assert store.words("tea", k=k, where=where).ids == oracle.words("tea", k=k, where=where).ids, where
    store.drop()
    assert inner_keys(store) == []
    store.close()


def inner_keys(store: VectorStore) -> list[bytes]:
    inner: Any = store.store
    return list(inner.client.scan_iter(f"{inner.root}*", count=10_000))
