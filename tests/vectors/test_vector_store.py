"""What `VectorStore` does for every database: retries, errors by row, progress; and what importing it loads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dizuo.vectors as public
from dizuo.events import Event, Finished, Note, Progress
from dizuo.vectors import Patience, Point, Refused, RowErrors, Transient, Unreachable, connect
from dizuo.vectors.points import Block

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


class Recording:
    """The real store, which remembers what it was asked to write and to show."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.calls = inner, []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def upsert(self, namespace: str, block: Block, *, wait: bool) -> None:
        self.calls.append(f"upsert {len(block)}{' and show' if wait else ''}")
        self.inner.upsert(namespace, block, wait=wait)

    def delete(self, namespace: str, **which: Any) -> int:
        self.calls.append("delete")
        return int(self.inner.delete(namespace, **which))

    def set_metadata(self, namespace: str, block: Block) -> int:
        self.calls.append("change")
        return int(self.inner.set_metadata(namespace, block))

    def refresh(self) -> None:
        self.calls.append("show")


def broken_stream(size: int) -> Iterator[Point]:
    yield from stream(size)
    raise KeyError("the caller's own")


@pytest.mark.parametrize(
    ("write", "calls"),
    [
        (lambda store: store.upsert(stream(10)), ["upsert 10 and show"]),
        (lambda store: store.upsert(stream(25)), ["upsert 10", "upsert 10", "upsert 5", "show"]),
        (lambda store: store.upsert(stream(25), wait=False), ["upsert 10", "upsert 10", "upsert 5"]),
        (lambda store: store.upsert(broken_stream(25)), ["upsert 10", "upsert 10", "show"]),
        (lambda store: store.upsert([*stream(20), Point("bad", [1])]), ["upsert 10", "upsert 10", "show"]),
        (lambda store: store.upsert([]), []),
        (lambda store: store.delete([str(n) for n in range(25)]), ["delete", "delete", "delete", "show"]),
        (lambda store: store.delete(where="x == 1"), ["delete", "show"]),
        (lambda store: store.clear(), ["delete", "show"]),
        (lambda store: store.update_metadata({str(n): {} for n in range(15)}), ["change", "change", "show"]),
    ],
)  # fmt: skip
def test_a_call_shows_what_it_wrote_once_at_its_end(write: Any, calls: list[str]) -> None:
    store = connect("memory://", dim=2, patience=QUICK)
    store.upsert(stream(30))
    store.store.batch_rows = 10
    store.store = recording = Recording(store.store)  # type: ignore[assignment]
    with suppress(KeyError, Refused):
        write(store)
    assert recording.calls == calls


class Preparing(Recording):
    """The real store, which makes blocks ready and remembers which."""

    def prepare(self, namespace: str, block: Block) -> None:
        block.prepared = f"ready {len(block)}"

    def upsert(self, namespace: str, block: Block, *, wait: bool) -> None:
        self.calls.append(str(block.prepared))
        self.inner.upsert(namespace, block, wait=wait)


def test_blocks_after_the_first_are_made_ready_while_those_before_are_on_their_way() -> None:
    store = connect("memory://", dim=2, patience=QUICK)
    store.store.batch_rows = 10
    store.store = preparing = Preparing(store.store)  # type: ignore[assignment]
    store.upsert(stream(25))
    assert preparing.calls == ["None", "ready 10", "ready 5", "show"]
    assert store.count() == 25


def test_what_is_in_before_the_server_went_away_is_not_waited_for() -> None:
    store = failing_fake(None, Unreachable("gone"))
    store.store.refresh = lambda: pytest.fail("a server that is gone shows nothing")
    with pytest.raises(Unreachable) as caught:
        store.upsert(stream(30))
    assert caught.value.written == 10


def test_progress_is_told_batch_by_batch() -> None:
    store = failing_fake()
    events: list[Event] = []
    store.upsert(stream(35), watch=events.append)
    assert [event.done for event in events if isinstance(event, Progress)] == [10, 20, 30, 35]


def test_a_side_car_that_comes_late_is_filled_with_what_is_there(tmp_path: Path) -> None:
    from dataclasses import replace

    from dizuo.vectors.lexical.sidecar_store import WithSidecar
    from dizuo.vectors.vector_store import VectorStore

    inner = connect("memory://", dim=2).store
    inner.capabilities = replace(inner.capabilities, lexical="none")
    for name in ("", "租户"):
        VectorStore(inner, namespace=name).upsert(Point(f"{n}", [1, n], {}, f"tea {n}") for n in range(30))
    events: list[Event] = []
    store = VectorStore(WithSidecar(inner, tmp_path, watch=events.append))
    assert [event.summary for event in events if isinstance(event, Finished)] == ["60 of 60 rows were indexed"]
    assert len(store.words("tea", k=50)) == len(store.namespace("租户").words("tea", k=50)) == 30
    store.close()
    events.clear()
    WithSidecar(inner, tmp_path, watch=events.append).close()
    assert events == [], "it is filled once"


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
