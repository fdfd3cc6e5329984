"""Exact words in LanceDB: what was made before, who chooses, and several processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, ClassVar

import pytest

from dizuo.errors import VectorError
from dizuo.events import Event, Finished, Note, Progress, Started
from dizuo.testing.vectors.areas.hybrid import Hybrid
from dizuo.testing.vectors.areas.words import Words
from dizuo.testing.vectors.comparing import assert_same_answer
from dizuo.vectors import Point, Unsupported, VectorStore, connect
from dizuo.vectors.writing.naming import physical_name

pytest.importorskip("lancedb")

TEXTS = ["red tea", "a cup of tea", "数据库检索", "", None, "tea tea tea pot", "cup and pot"]


class TestLanceWithItsOwnWords(Hybrid, Words):
    options: ClassVar[dict[str, Any]] = {"words": "engine"}

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"lancedb://{tmp_path}/lance"


def points(number: int) -> list[Point]:
    return [Point(f"d{n}", [1, n], {"n": n}, None if (text := TEXTS[n % 7]) is None else f"{text} w{n}")
            for n in range(number)]  # fmt: skip


def made_before(folder: Path, rows: int) -> None:
    """Leave a collection as versions did that knew one kind of words: a column `words`, and nothing that names them."""
    import lancedb

    old = connect(str(folder), dim=2, words="engine")
    for name in ("", "租户"):
        old.namespace(name).upsert(points(rows))
    assert old.words("tea")  # which builds LanceDB's index
    old.upsert(Point("d0", [1, 0], {}, "late words"))
    old.close()
    (table,) = folder.glob("*.lance")
    table.rename(folder / f"{physical_name('default')}.lance")  # tables had no mark then
    lancedb.connect(folder).open_table(physical_name("default")).replace_field_metadata("key", {})
    assert not (folder / "dizuo-lexical").exists()


def assert_exact(store: VectorStore) -> None:
    """Assert that words are those of memory in every namespace."""
    for name in store.namespaces():
        space, oracle = store.namespace(name), connect("memory://", dim=2)
        oracle.upsert(space.points())
        for query in ("tea", "late cup", "检索", "w3 pot", "absent"):
            hits = space.words(query, 1000)
            assert len(hits) == len(oracle.words(query, 1000))
            assert_same_answer(hits, oracle.words(query, 1000))
        oracle.drop()


def test_a_collection_that_was_made_before_gets_exact_words_once(tmp_path: Path) -> None:
    made_before(tmp_path, 60)
    events: list[Event] = []
    store = connect(str(tmp_path), watch=events.append)
    notes = [event.text for event in events if isinstance(event, Note)]
    assert len(notes) == 1
    assert f"indexing the words of what is in 'default' already, in {tmp_path}" in notes[0]
    assert [event.total for event in events if isinstance(event, Started)] == [120]
    assert [event.done for event in events if isinstance(event, Progress)][-1] == 120
    assert_exact(store)
    store.upsert(Point("new", [1, 1], {}, "late tea"))
    table = store.store.inner.table  # type: ignore[attr-defined]
    assert table.count_rows("words IS NOT NULL AND id = 'new'") == 0
    store.optimize()
    assert not [index for index in table.list_indices() if index.columns == ["words"]]
    assert_exact(store)
    store.close()
    events.clear()
    again = connect(str(tmp_path), watch=events.append)
    assert events == []
    assert again.info().capabilities.words == "exact"
    assert_exact(again)


DIES = """
    import os, signal, sys
    from dizuo.events import Progress
    from dizuo.vectors import connect
    from dizuo.vectors.stores.lancedb import LanceStore
    LanceStore.batch_rows = 50
    def watch(event):
        if isinstance(event, Progress) and event.done >= 150:
            os.kill(os.getpid(), signal.SIGKILL)
    connect(sys.argv[1], watch=watch)
"""


def test_filling_a_side_car_goes_on_after_a_kill(tmp_path: Path) -> None:
    made_before(tmp_path, 200)
    with run(DIES, str(tmp_path)) as process:
        assert process.wait(60) == -signal.SIGKILL
    events: list[Event] = []
    store = connect(str(tmp_path), watch=events.append)
    summary = next(event.summary for event in events if isinstance(event, Finished))
    indexed, read = (int(summary.split()[place]) for place in (0, 2))
    assert read == 400
    assert 0 < indexed <= 250, f"{summary}: what the first process indexed is not indexed again"
    assert_exact(store)


WRITES = """
    import sys
    from dizuo.vectors import Point, connect
    from dizuo.vectors.stores.lancedb import LanceStore
    LanceStore.batch_rows = 30
    number = int(sys.argv[2])
    store = connect(sys.argv[1])
    print("open", flush=True)
    for turn in range(6):
        for name in ("", "租户"):
            space = store.namespace(name)
            space.upsert([Point(f"d{n}", [1, n], {}, f"late tea {number} w{turn}") for n in range(number, 200, 7)])
            space.delete([f"d{n}" for n in range(turn * 9 + number, 200, 31)])
"""


@pytest.mark.slow
def test_several_processes_fill_one_side_car_and_write_meanwhile(tmp_path: Path) -> None:
    made_before(tmp_path, 200)
    processes = [run(WRITES, str(tmp_path), str(number)) for number in range(3)]
    for process in processes:
        out, _ = process.communicate(timeout=240)
        assert (process.returncode, out) == (0, "open\n")
    assert_exact(connect(str(tmp_path)))


@pytest.mark.slow
def test_writers_that_are_killed_leave_words_that_are_exact(tmp_path: Path) -> None:
    connect(str(tmp_path), dim=2).upsert(points(200))
    found_pending = 0
    for turn in range(8):
        processes = [run(WRITES, str(tmp_path), str(number), out=subprocess.PIPE) for number in range(2)]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
        for process in processes:
            try:
                process.wait(0.1 + 0.13 * turn)
            except subprocess.TimeoutExpired:
                process.kill()
        for process in processes:
            process.communicate()
        from dizuo.vectors.lexical.sidecar import LexicalSidecar

        with LexicalSidecar(next((tmp_path / "dizuo-lexical").glob("*.sqlite"))) as sidecar:
            found_pending += bool(sidecar.pending())
        store = connect(str(tmp_path))
        assert_exact(store)
        store.close()
    assert found_pending >= 2, "the kills must fall into writes, or they prove nothing"


def run(code: str, *arguments: str, out: int = subprocess.PIPE) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments], stdout=out, text=True, env=environment
    )


def test_whose_words_a_collection_has_is_chosen_when_it_is_made(tmp_path: Path) -> None:
    exact = connect(f"{tmp_path}/exact", dim=2)
    engine = connect(f"{tmp_path}/engine", dim=2, words="engine")
    for store in (exact, engine):
        store.upsert(points(20))
    assert (exact.capabilities.words, exact.capabilities.words_cover) == ("exact", "namespace")
    assert (engine.capabilities.words, engine.capabilities.words_cover) == ("engine", "collection")
    assert "until optimize()" in engine.capabilities.notes["words"]
    assert not (tmp_path / "engine" / "dizuo-lexical").exists()
    assert "words" not in exact.store.inner.table.schema.names  # type: ignore[attr-defined]
    assert connect(f"{tmp_path}/engine").capabilities.lexical == "own"  # as it was made
    for name, other in (("exact", "engine"), ("engine", "exact")):
        with pytest.raises(VectorError, match=f"was made with words='{name}', not '{other}'"):
            connect(f"{tmp_path}/{name}", words=other)
    beside = connect(f"{tmp_path}/engine", lexical=tmp_path / "beside")  # exact ones may stand beside the engine's
    assert beside.capabilities.words == "exact"
    assert_exact(beside)


def test_an_object_store_has_exact_words_where_there_is_a_folder_for_them(tmp_path: Path) -> None:
    url = f"lancedb://file-object-store://{tmp_path}/lance"  # object_store's own, over files
    with pytest.raises(VectorError, match="give lexical=PATH"):
        connect(url, dim=2, words="exact")
    plain = connect(url, dim=2)
    assert plain.capabilities.words == "engine"
    exact = connect(url, dim=2, collection="exact", lexical=tmp_path / "words")
    exact.upsert(points(30))
    assert exact.capabilities.words == "exact"
    assert_exact(exact)
    without = connect(url, collection="exact")
    with pytest.raises(Unsupported, match="cannot search by words"):
        without.words("tea")
    assert "lexical=PATH" in without.capabilities.notes["lexical"]
