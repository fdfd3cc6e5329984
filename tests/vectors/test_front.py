"""What the front does for every store: streams, retries, errors by row, names, addresses; and what it loads."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dizuo.vectors as public
from dizuo.errors import VectorError
from dizuo.events import Event, Note, Progress
from dizuo.vectors import Patience, Point, Refused, RowErrors, Transient, Unreachable, connect, connect_async
from dizuo.vectors.connecting.addresses import parse_url
from dizuo.vectors.exact.sort_keys import element_key, key_range, sort_key, sort_keys, sort_keys_json
from dizuo.vectors.exact.ties import include_ties
from dizuo.vectors.filters.matching import equal
from dizuo.vectors.points import Block, decode, decode_all, encode
from dizuo.vectors.protocol.store import SearchResult
from dizuo.vectors.scores import top_k
from dizuo.vectors.writing.batching import send_ahead
from dizuo.vectors.writing.naming import physical_name
from dizuo.vectors.writing.sources import read_blocks

QUICK = Patience(attempts=3, first=0.001)


def test_importing_loads_neither_torch_nor_a_database_client() -> None:
    clients = (
        "lancedb chromadb pymilvus redis psycopg clickhouse_connect chdb elasticsearch pinecone torch transformers"
    )
    code = (
        "import sys, dizuo.vectors as v\nfrom dizuo.vectors import connect, Point, field\n"
        "store = connect('memory://', dim=2)\nstore.upsert(Point('a', [1, 2], {}, 'text'))\n"
        "assert store.hybrid('text', [1, 2], where=field('x') != 1).ids == ['a']\n"
        "import dizuo.vectors.stores as s, importlib, pkgutil\n"
        "for one in pkgutil.iter_modules(s.__path__):\n"
        "    if not one.name.startswith('_'): importlib.import_module(f'dizuo.vectors.stores.{one.name}')\n"
        f"print(sorted(set({clients.split()!r}) & {{name.partition('.')[0] for name in sys.modules}}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"


def test_the_public_names_are_sorted_and_there() -> None:
    assert public.__all__ == sorted(public.__all__)
    for name in public.__all__:
        assert getattr(public, name) is not None
    with pytest.raises(AttributeError, match="did you mean 'connect'"):
        public.conect  # noqa: B018


# ---- addresses and names


@pytest.mark.parametrize(
    ("url", "scheme", "place", "host", "port", "user"),
    [
        ("./index", "lancedb", "./index", None, None, None),
        ("lancedb:///a/b c?hot=x", "lancedb", "/a/b c", None, None, None),
        ("lancedb://a/b", "lancedb", "a/b", "a", None, None),
        ("postgres://u:p%40w@h:5/db", "postgresql", "u:p@w@h:5/db", "h", 5, "u"),
        ("rediss://h", "redis", "h", "h", None, None),
        ("Elasticsearch+HTTPS://h:9200", "elasticsearch", "h:9200", "h", 9200, None),
        ("memory://", "memory", "", None, None, None),
    ],
)
def test_addresses_are_taken_apart(
    url: str, scheme: str, place: str, host: str | None, port: int | None, user: str | None
) -> None:
    parts = parse_url(url)
    assert (parts.scheme, parts.place, parts.host, parts.port, parts.user) == (scheme, place, host, port, user)
    assert "p@w" not in str(parts)
    assert "p@w" not in repr(parts).replace("u:p@w@h:5/db", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"url": ""}, "is no address of a store"),
        ({"url": "memry://", "dim": 2}, "no store is called 'memry' (did you mean 'memory'?)"),
        ({"url": "memory://h:x/", "dim": 2}, "cannot be read"),
        ({"url": "memory://", "dim": 0}, "1 to 65,536"),
        ({"url": "memory://", "dim": 2.0}, "1 to 65,536"),
        ({"url": "memory://", "dim": 2, "metric": "cosin"}, "there is no metric 'cosin' (did you mean 'cosine'?)"),
        ({"url": "memory://", "dim": 2, "colour": 1}, "the options of memory:// are wrong"),
        ({"url": "memory://?colour=1", "dim": 2}, "the options of memory:// are wrong"),
        ({"url": "lancedb://x?ef=many", "dim": 2}, "the options of lancedb:// are wrong"),
        ({"url": "memory://", "dim": 2, "collection": ""}, "no collection can be called ''"),
        ({"url": "memory://", "dim": 2, "namespace": "a\nb"}, "no namespace can be called"),
        ({"url": "memory://", "dim": 2, "namespace": "x" * 129}, "no namespace can be called"),
        ({"url": "memory://"}, "there is no collection 'default' yet"),
    ],
)
def test_what_cannot_be_connected_to_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(VectorError) as caught:
        connect(**arguments)
    assert message in caught.value.message


@given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=200))
def test_physical_names_fit_every_engine_and_differ(left: str, right: str) -> None:
    names = [physical_name(text.encode("utf-8", "replace").decode(), limit=40) for text in (left, right)]
    for name in names:
        assert 10 <= len(name) <= 40
        assert name.isascii()
        assert name.replace("_", "a").isalnum()
        assert name == name.lower()
    assert (names[0] == names[1]) == (left.encode("utf-8", "replace") == right.encode("utf-8", "replace"))


# ---- retries and errors


class Failing:
    """A store that fails on purpose; everything else is the real one's."""

    def __init__(self, inner: Any, failures: list[Exception | None]) -> None:
        self.inner, self.failures, self.calls = inner, failures, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def upsert(self, namespace: str, block: Block, *, wait: bool) -> None:
        self.calls += 1
        error = self.failures.pop(0) if self.failures else None
        if error is not None:
            raise error
        self.inner.upsert(namespace, block, wait=wait)


def failing_fake(*failures: Exception | None, rows: int = 10) -> Any:
    store = connect("memory://", dim=2, patience=QUICK)
    store.store.batch_rows = rows
    store.store = Failing(store.store, list(failures))
    return store


def stream(size: int) -> Iterator[Point]:
    return (Point(str(n), [1, n]) for n in range(size))


def test_a_busy_server_is_asked_again_and_the_watcher_hears_of_it() -> None:
    store = failing_fake(Transient("503"), Transient("429", after=0.01), None, Transient("timeout"))
    events: list[Event] = []
    assert store.upsert(stream(25), watch=events.append).rows == 25
    assert store.count() == 25
    assert store.store.calls == 3 + 3
    notes = [event.text for event in events if isinstance(event, Note)]
    assert [note.partition(";")[0] for note in notes] == ["503", "429", "timeout"]


def test_patience_ends_and_says_what_is_in() -> None:
    store = failing_fake(None, None, *[Transient("503")] * 3)
    with pytest.raises(Transient, match="503") as caught:
        store.upsert(stream(100))
    assert caught.value.written == store.count() == 20
    assert "20 rows of this call are in the store" in str(caught.value)


def test_of_many_queries_to_a_busy_server_the_answered_ones_are_not_asked_again() -> None:
    store = connect("memory://", dim=2, patience=QUICK)
    store.upsert(stream(50))
    inner, asked, answered = store.store, [], []

    class OneByOne:
        """Asks the engine for each query, and every eighth request is refused."""

        def __getattr__(self, name: str) -> Any:
            return getattr(inner, name)

        def search(self, namespace: str, queries: Any, **options: Any) -> Any:
            found = []
            for query in queries:
                asked.append(tuple(query))
                if len(asked) % 8 == 0:
                    raise Transient("429", after=0.001)
                found += inner.search(namespace, query[None], **options)
            answered.append(len(queries))
            return found

    queries = [[1.0, n] for n in range(20)]
    right = [hits.ids for hits in store.search_many(queries)]
    store.store = OneByOne()  # type: ignore[assignment]
    assert [hits.ids for hits in store.search_many(queries)] == right
    assert len(asked) < 3 * len(queries)
    assert sum(answered) == len(queries)
    store.store = Failing(inner, [])  # type: ignore[assignment]
    store.store.search = lambda *_, **__: (_ for _ in ()).throw(Transient("503"))  # type: ignore[method-assign]
    with pytest.raises(Transient, match="503"):
        store.search_many(queries)


def test_a_server_that_goes_away_is_not_asked_again() -> None:
    store = failing_fake(None, Unreachable("gone"))
    with pytest.raises(Unreachable) as caught:
        store.upsert(stream(100))
    assert caught.value.written == 10
    assert store.store.calls == 2


def test_rows_that_the_engine_refuses_are_raised_or_collected() -> None:
    store = failing_fake(None, RowErrors({"11": "too long"}))
    with pytest.raises(RowErrors) as caught:
        store.upsert(stream(40))
    assert (caught.value.rows, caught.value.written) == ({"11": "too long"}, 19)
    store = failing_fake(None, RowErrors({"11": "too long"}))
    result = store.upsert(stream(40), errors="collect")
    assert (result.rows, result.failed) == (39, {"11": "too long"})


def test_a_bad_row_late_in_a_stream_says_what_is_in() -> None:
    store = failing_fake()

    def late() -> Iterator[Point]:
        yield from stream(30)
        yield Point("bad", [1, float("nan")])

    with pytest.raises(Refused) as caught:
        store.upsert(late())
    assert caught.value.rows == {"bad": "the vector has NaN at place 1"}
    assert store.count() == 30
    assert "30 rows of this call are in the store" in caught.value.details


def test_an_iterator_that_fails_is_the_callers_error_and_what_it_gave_is_in() -> None:
    store = failing_fake()

    def broken() -> Iterator[Point]:
        yield from stream(30)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        store.upsert(broken())
    assert store.count() == 30


def test_the_items_are_made_in_the_callers_thread_and_sent_in_order() -> None:
    makers, sent = set(), []

    def items() -> Iterator[int]:
        for n in range(50):
            makers.add(threading.get_ident())
            yield n

    send_ahead(items(), sent.append)
    assert makers == {threading.get_ident()}
    assert sent == list(range(50))
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        send_ahead(iter([1, 0, 2, 3]), lambda n: sent.append(1 // n))
    assert threading.active_count() == before
    send_ahead(iter([]), sent.append)


# ---- blocks


def test_batches_are_cut_by_rows_and_by_bytes() -> None:
    rows = [Point(f"{n:02}", [1, n], {"t": "x" * (n * 10)}, "字" * n) for n in range(40)]
    for size in (100, 500, 2000, 10**6):
        parts = [block for block, _ in read_blocks(rows, dim=2, metric="l2", rows=7, size=size)]
        assert [id for part in parts for id in part.ids] == [row.id for row in rows]
        for part in parts:
            assert len(part) <= 7
            assert len(part) == 1 or part.num_bytes() <= size
    # and not smaller than need be
    parts = [len(block) for block, _ in read_blocks(rows, dim=2, metric="l2", rows=7, size=10**6)]
    assert parts == [7, 7, 7, 7, 7, 5]


def test_small_arrow_batches_are_put_together_and_large_ones_cut() -> None:
    schema = pa.schema([("id", pa.string()), ("vector", pa.list_(pa.float32(), 2))])
    batches = [pa.record_batch({"id": [str(n)], "vector": [[1.0, n]]}, schema=schema) for n in range(20)]
    parts = [len(block) for block, _ in read_blocks(iter(batches), dim=2, metric="l2", rows=8, size=10**6)]
    assert parts == [8, 8, 4]
    whole = pa.Table.from_batches(batches).combine_chunks()
    assert [len(block) for block, _ in read_blocks(whole, dim=2, metric="l2", rows=8, size=10**6)] == [8, 8, 4]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": ["a"], "vector": [[1.0, 2.0]], "year": [1]}, "these Arrow columns are not those of points"),
        ({"id": ["a"]}, "these Arrow columns are not those of points"),
        ({"id": [1], "vector": [[1.0, 2.0]]}, "not string"),
        ({"id": ["a"], "vector": ["x"]}, "not a list of float32"),
        ({"id": ["a"], "vector": [[1.0, 2.0]], "metadata": [1]}, "not JSON text or a struct"),
    ],
)
def test_arrow_columns_of_another_kind_are_refused(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(VectorError, match=message):
        connect("memory://", dim=2).upsert(pa.table(columns))


def test_bad_rows_in_arrow_columns_are_named() -> None:
    columns = {
        "id": ["ok", "", None, "nul\0", "short", "null", "nan", "json", "list", "big"],
        "vector": [[1.0, 2.0]] * 4 + [[1.0], None, [1.0, float("nan")]] + [[1.0, 2.0]] * 3,
        "metadata": ["{}"] * 7 + ["{", "[]", '{"n": 99999999999999999999}'],
    }
    result = connect("memory://", dim=2).upsert(pa.table(columns), errors="collect")
    assert result.rows == 1
    assert result.failed == {
        "": "the id is empty",
        "None": "the id is null",
        "nul\0": "the id has a NUL character",
        "short": "the vector has 1 numbers, not 2",
        "null": "the vector is not a list of numbers",
        "nan": "the vector has NaN at place 1",
        "json": result.failed["json"],
        "list": "the metadata is a list, not a mapping",
        "big": "metadata.n is 99999999999999999999, which does not fit in 64 bits",
    }
    assert "not JSON" in result.failed["json"]


def test_blocks_of_a_users_own_are_checked_too() -> None:
    ones = np.ones((6, 2), np.float32)
    texts = ["{}", "{", "[]", '{"n": 1e999}', "{}", "{}"]
    block = Block(["ok", "json", "list", "inf", "nul\0", "half"], ones, texts, [None] * 5 + ["\ud800"])
    store = connect("memory://", dim=2)
    result = store.upsert(block, errors="collect")
    assert result.rows == store.count() == 1
    assert set(result.failed) == {"json", "list", "inf", "nul\0", "half"}
    assert store.upsert([Block(["bare"], ones[:1]), Block(["dict"], ones[:1], [{"n": 1}])]).rows == 2
    assert [point.metadata for point in store.fetch(["bare", "dict"])] == [{}, {"n": 1}]
    with pytest.raises(Refused, match="does not fit"):
        store.upsert(Block(["wide"], np.ones((1, 3), np.float32)))


def test_a_block_keeps_its_columns_together() -> None:
    table = np.arange(12, dtype=np.float32).reshape(6, 2)
    lists = Block(list("abcdef"), table, [{"n": n} for n in range(6)], ["x", None] * 3)
    arrow = Block(lists.ids_arrow, table, lists.metadata_arrow, lists.documents_arrow)
    for block in (lists, arrow):
        for part in (block.take([4, 1]), block.slice(1, 3), block.slice(5, 9)):
            for id, vector, metadata, document in zip(
                part.ids, part.vectors, part.metadata, part.documents, strict=True
            ):
                n = "abcdef".index(id)
                assert (vector.tolist(), metadata) == ([2 * n, 2 * n + 1], {"n": n})
                assert document == ("x" if n % 2 == 0 else None)
        assert block.row_bytes().tolist() == [8 + 1 + 7 + (n % 2 == 0) for n in range(6)]
        assert block.vectors_arrow.to_pylist() == table.tolist()
    assert lists.num_ids() == arrow.num_ids() == 6


JSON = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.none(),
    st.booleans(),
)


@given(st.dictionaries(st.text(min_size=1), JSON))
def test_json_text_keeps_types(metadata: dict[str, Any]) -> None:
    again = decode(encode(metadata))
    assert repr(again) == repr(metadata)


@pytest.mark.parametrize(
    "texts",
    [
        ['{"a":1', '"b":2}', "{},{}"],
        ['{"a":"}', '{"}', "{},null,{}"],
        ['{"a":[1', "2]}"],
        ["{}", ""],
        ["{}{}"],
        ["{},{}", "{}"],
    ],
)
def test_broken_texts_make_no_whole_one_together(texts: list[str]) -> None:
    assert decode_all(texts) is None
    assert decode_all(["{}", ' {"a": [1, null]} ', "[]"]) == [{}, {"a": [1, None]}, []]
    assert decode_all([]) == []


# ---- sortable values

NUMBERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        [2**53, 2**53 + 1, 2.0**53, -(2**53) - 1, 2**63 - 1, 2.0**63, -(2**63), 0, -0.0, 5e-324, 1e16, 1e22]
    ),
)


@given(NUMBERS, NUMBERS)
def test_sortable_numbers_compare_as_numbers_do(left: float, right: float) -> None:
    assert (sort_key(left) < sort_key(right)) == (left < right)
    assert (sort_key(left) == sort_key(right)) == (left == right)


@given(st.one_of(NUMBERS, st.text(), st.booleans(), st.none()), st.one_of(NUMBERS, st.text(), st.booleans(), st.none()))
def test_sortable_values_are_equal_where_filters_say_so(left: Any, right: Any) -> None:
    assert (sort_key(left) == sort_key(right)) == equal(left, right)
    assert (element_key(right) in sort_key([left, "x\x1f\x1e0"])) == (equal(left, right) or equal("x\x1f\x1e0", right))
    rows = [{"k": left, 'say "hi"': right, "l": [left, right]}, {}, {"k": right, "m": {}}]
    texts = sort_keys_json(rows)
    assert [None if text is None else json.loads(text) for text in texts] == [sort_keys(row) or None for row in rows]


@given(st.text(), st.text())
def test_the_bounds_of_a_prefix_hold_what_begins_with_it(prefix: str, text: str) -> None:
    from dizuo.vectors.filters.tree import StartsWith

    low, high = key_range(StartsWith("k", prefix))
    for value in (text, prefix + text):
        inside = low.encode() <= sort_key(value).encode() < high.encode("utf-8", "surrogatepass")
        assert inside == value.startswith(prefix)


# ---- the order of answers


def test_the_best_are_cut_with_ties_by_id() -> None:
    scores = np.array([0.5, 0.9, 0.5, 0.5, 0.1])
    ids = ["d", "z", "a", "c", "b"]
    for k, right in (
        (1, ["z"]),
        (2, ["z", "a"]),
        (3, ["z", "a", "c"]),
        (5, ["z", "a", "c", "d", "b"]),
        (9, ["z", "a", "c", "d", "b"]),
    ):
        assert [ids[n] for n in top_k(scores, ids, k)] == right


@pytest.mark.parametrize(("ties", "k"), [(1, 1), (3, 1), (7, 5), (90, 5), (200, 3)])
def test_ties_beyond_the_cut_are_fetched_within_the_budget(ties: int, k: int) -> None:
    scores = np.array([2.0, *[1.0] * ties, *[0.0] * 50])
    asked: list[int] = []

    def ask(n: int) -> SearchResult:
        asked.append(n)
        return SearchResult(Block([str(i) for i in range(len(scores))][:n]), scores[:n], "exact", min(n, len(scores)))

    found = include_ties(ask, k, most=len(scores))
    assert len(found.scores) == len(scores) or found.scores[-1] < found.scores[k - 1]
    with_budget = include_ties(ask, k, most=len(scores), budget=10 * k)
    assert with_budget.fetched <= 10 * k
    assert len(with_budget.scores) >= k


# ---- the async face


def test_the_async_face_does_the_same() -> None:
    async def run() -> None:
        async with await connect_async("memory://", dim=2) as store:

            async def points() -> AsyncIterator[Point]:
                for n in range(30):
                    await asyncio.sleep(0)
                    yield Point(str(n), [1, n], {"n": n}, f"text {n}")

            result = await store.upsert(points())
            assert (result.rows, store.dim, store.metric) == (30, 2, "cosine")
            many = await asyncio.gather(*(store.search([1, n], 1, where=f"n == {n}") for n in range(30)))
            assert [hits.ids for hits in many] == [[str(n)] for n in range(30)]
            assert [len(block) async for block in store.scan(rows=12)] == [12, 12, 6]
            assert len([point async for point in store.points("n < 5")]) == 5
            other = store.namespace("other")
            await other.upsert([Point("a", [1, 1])])
            assert await store.namespaces() == {"": 30, "other": 1}
            with pytest.raises(VectorError):
                await store.search([1])
            assert (await store.info()).count == 30

    asyncio.run(run())


def test_progress_is_told_batch_by_batch() -> None:
    store = failing_fake()
    events: list[Event] = []
    store.upsert(stream(35), watch=events.append)
    assert [event.done for event in events if isinstance(event, Progress)] == [10, 20, 30, 35]


def test_a_side_car_gives_words_to_a_store_that_has_none(tmp_path: Path) -> None:
    from dataclasses import replace

    from dizuo.vectors.lexical.sidecar import LexicalSidecar
    from dizuo.vectors.lexical.sidecar_store import WithSidecar
    from dizuo.vectors.vector_store import VectorStore

    inner = connect("memory://", dim=2).store
    inner.capabilities = replace(inner.capabilities, lexical="none")
    store = VectorStore(WithSidecar(inner, tmp_path))
    store.upsert([Point(str(n), [1, n], {"n": n}, f"数据库 word{n}") for n in range(30)])
    assert store.words("word7").ids == ["7"]
    assert len(store.words("数据", k=20, where="n >= 12")) == 18
    assert store.words("数据", k=20, where="n in [3, 4]").ids == ["3", "4"]
    path = next(tmp_path.glob("*.sqlite"))
    # A writer that died between the engine and the side-car:
    mark = LexicalSidecar(path)
    with mark.begin("", ["7", "new"]):
        inner.upsert(
            "", Block(["7", "new"], np.ones((2, 2), np.float32), ["{}", "{}"], ["changed", "fresh"]), wait=True
        )
    mark.close()
    assert store.words("changed").ids == ["7"]
    assert store.words("fresh").ids == ["new"]
    assert store.words("word7") == []
    # Somebody else wrote to the engine without it: optimize finds out.
    inner.upsert("", Block(["8"], np.ones((1, 2), np.float32), ["{}"], ["behind your back"]), wait=True)
    inner.delete("", ids=["9"], where=None)
    store.optimize()
    assert store.words("behind").ids == ["8"]
    assert store.words("word9") == []
    assert store.words("word8") == []
    store.close()
