"""The side-car: the same scores as in memory, and nothing lost between it and its database."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dizuo.errors import VectorError
from dizuo.vectors.lexical import LexicalIndex
from dizuo.vectors.lexical.sidecar import LexicalSidecar, Pending
from dizuo.vectors.lexical.sidecar_documents import text_digest

WORDS = st.lists(st.sampled_from(["red", "blue", "tea", "检索", "数据库", "!"]), max_size=6).map(" ".join)
STEPS = st.lists(st.dictionaries(st.text("ab", min_size=1, max_size=2), st.none() | WORDS, max_size=4), max_size=5)


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[LexicalSidecar]:
    with LexicalSidecar(tmp_path / "words.sqlite", patience=0.3) as opened:
        yield opened


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(STEPS, STEPS, WORDS, st.integers(0, 4))
def test_it_finds_and_scores_what_the_index_in_memory_does(
    sidecar: LexicalSidecar, first: list[dict[str, str | None]], second: list[dict[str, str | None]], query: str, k: int
) -> None:
    for namespace, steps in (("one", first), ("two", second)):
        sidecar.drop(namespace)
        index = LexicalIndex()
        for step in steps:
            sidecar.upsert(namespace, step)
            for id, text in step.items():
                index.upsert(id, text)
        assert sidecar.search(namespace, query, k=k) == index.search(query, k=k)
        assert sidecar.search(namespace, query, k=k, allowed={"a", "ab"}) == index.search(
            query, k=k, allowed={"a", "ab"}
        )
        assert sidecar.namespaces().get(namespace, 0) == len(index)
        assert sidecar.matching(namespace, "tea") == index.matching("tea")


def test_equal_scores_stand_in_the_order_of_ids_over_page_borders(sidecar: LexicalSidecar) -> None:
    ids = [f"{number:04d}" for number in random.Random(1).sample(range(2000), 1500)]
    sidecar.upsert("n", {id: "tea" if number % 3 else "tea tea" for number, id in enumerate(ids)})
    full = list(sidecar.ranked("n", "tea"))
    assert full == sorted(full, key=lambda hit: (-hit[1], hit[0]))
    assert len(full) == 1500
    for k in (1, 7, 600, 1499, 1600):
        assert sidecar.search("n", "tea", k=k) == full[:k]


def test_scan_tells_which_texts_are_indexed(sidecar: LexicalSidecar) -> None:
    documents = {f"{number}": f"text {number}" for number in range(2300)} | {"empty": "", "quote'\0\"": "x", "日": "y"}
    sidecar.upsert("n", documents)
    assert list(sidecar.scan("n")) == sorted((id, text_digest(text)) for id, text in documents.items())
    assert list(sidecar.scan("unknown")) == []
    sidecar.delete("n", ["1", "unknown"])
    sidecar.delete("unknown", ["1"])
    assert len(list(sidecar.scan("n"))) == len(documents) - 1
    assert "unknown" not in sidecar.namespaces()


def test_what_was_marked_and_not_committed_is_pending(sidecar: LexicalSidecar) -> None:
    sidecar.upsert("n", {"a": "tea", "b": "tea", "c": "tea"})
    with sidecar.begin("n", ["a", "b", "new"]) as write:
        assert sidecar.pending() == []  # somebody is at it
        write.commit({"a": "cup"})
    assert sorted(sidecar.pending(), key=str) == [Pending("n", "b"), Pending("n", "new")]
    asked = []

    def read(namespace: str, ids: list[str]) -> dict[str, str | None]:
        asked.append((namespace, sorted(ids)))
        return {"new": "teapot"}

    assert sidecar.repair(read) == 2
    assert asked == [("n", ["b", "new"])]
    assert sidecar.pending() == []
    assert [id for id, _ in sidecar.scan("n")] == ["a", "c", "new"]
    assert [id for id, _ in sidecar.search("n", "teapot", k=5)] == ["new"]


def test_only_a_mark_that_would_be_missed_waits_for_the_disk(
    sidecar: LexicalSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[bool] = []
    open_transaction = sidecar._transaction

    def watched(*, durable: bool) -> Any:
        waited.append(durable)
        return open_transaction(durable=durable)

    monkeypatch.setattr(sidecar, "_transaction", watched)

    def mark(*, wordless: bool) -> list[bool]:
        waited.clear()
        with sidecar.begin("docs", ["a"], wordless=wordless) as write:
            marked = list(waited)
            assert sidecar.pending() == []  # its writer lives
            write.commit({"a": None})
        return marked

    assert mark(wordless=False) == [True]
    assert mark(wordless=True) == [False]
    sidecar.upsert("docs", {"b": "?!"})
    assert mark(wordless=True) == [True]
    with monkeypatch.context() as patched:  # another process writes it between the look and the mark
        patched.setattr(sidecar, "_has_texts", lambda namespace: False)
        assert mark(wordless=True) == [False, True]
    sidecar.delete("docs", ["b"])
    assert mark(wordless=True) == [False]


def test_a_database_that_fails_leaves_its_ids_pending(sidecar: LexicalSidecar) -> None:
    with pytest.raises(ConnectionError), sidecar.begin("n", ["a"]):
        raise ConnectionError("the database went away")
    assert sidecar.pending() == [Pending("n", "a")]
    sidecar.upsert("n", {"a": "a new write says what is there"})
    assert sidecar.pending() == []


def test_a_dropped_namespace_that_was_not_committed_is_repaired_whole(sidecar: LexicalSidecar) -> None:
    sidecar.upsert("n", {"a": "tea", "b": "cup"})
    sidecar.upsert("m", {"a": "tea"})
    with sidecar.begin("n", whole=True):
        pass
    assert sidecar.pending() == [Pending("n", None)]
    sidecar.repair(lambda namespace, ids: {"b": "cup"} if namespace == "n" else {})
    assert [id for id, _ in sidecar.scan("n")] == ["b"]
    sidecar.drop("n")
    assert sidecar.namespaces() == {"m": 1}
    assert sidecar.search("m", "tea", k=1)


def test_an_id_that_was_not_marked_cannot_be_committed(sidecar: LexicalSidecar) -> None:
    with pytest.raises(AssertionError, match="were not marked"), sidecar.begin("n", ["a"]) as write:
        write.commit({"b": "x"})


def test_a_second_writer_of_an_id_waits_for_the_first(sidecar: LexicalSidecar) -> None:
    done = threading.Event()
    with LexicalSidecar(sidecar.path, patience=20) as other:
        with sidecar.begin("n", ["a", "b"]) as write:
            second = threading.Thread(target=lambda: (other.upsert("n", {"b": "second", "c": "x"}), done.set()))
            second.start()
            other.upsert("n", {"d": "free"})
            other.upsert("m", {"b": "another namespace"})
            assert not done.wait(0.2)
            write.commit({"a": "first", "b": "first"})
        assert done.wait(20)
        second.join()
        assert dict(other.scan("n"))["b"] == text_digest("second")


def test_a_writer_that_never_ends_is_named(sidecar: LexicalSidecar) -> None:
    with (
        sidecar.begin("n", ["a"]),
        pytest.raises(VectorError, match=r"'a' in namespace 'n' has been written") as caught,
    ):
        sidecar.begin("n", ["a"])
    assert "let the other writer finish" in str(caught.value)


def test_what_is_no_lexical_index_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello, this is no database at all" * 40)
    with pytest.raises(VectorError, match="cannot be used: file is not a database"):
        LexicalSidecar(tmp_path / "text")
    foreign = sqlite3.connect(tmp_path / "foreign")
    foreign.execute("CREATE TABLE t (x)")
    foreign.close()
    with pytest.raises(VectorError, match="no lexical index of dizuo"):
        LexicalSidecar(tmp_path / "foreign")
    LexicalSidecar(tmp_path / "old").close()
    old = sqlite3.connect(tmp_path / "old")
    old.execute("UPDATE about SET format = 'dizuo-0'")
    old.commit()
    old.close()
    with pytest.raises(VectorError, match="was written as 'dizuo-0'"):
        LexicalSidecar(tmp_path / "old")


def test_a_side_car_of_an_earlier_version_is_read_with_all_that_it_holds(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "words")
    old.executescript((Path(__file__).parent / "sidecar_of_an_earlier_version.sql").read_text("utf-8"))
    old.execute(f"PRAGMA application_id = {0x44_5A_4C_58}")
    old.close()
    held: dict[str, dict[str, str]] = {  # as that version was told
        "": {"a": "red tea", "b": "tea cup cup", "c": "数据库检索 with tea", "d": "", "e": "!?", "g": "cup " * 30,
             "h": "late tea"},
        "租户": {"a": "tea for two", "z": "cup"},
        "left": {"q": "x"},
    }  # fmt: skip
    with LexicalSidecar(tmp_path / "words") as sidecar:
        assert not sidecar.complete, "an earlier version did not say so"
        assert set(sidecar.pending()) == {Pending("", "a"), Pending("", "new"), Pending("left", None)}
        for name, documents in held.items():
            index = LexicalIndex()
            for id, text in documents.items():
                index.upsert(id, text)
            assert dict(sidecar.scan(name)) == {id: text_digest(text) for id, text in documents.items()}
            assert sidecar.namespaces()[name] == len(index)
            for query in ("tea", "cup of tea", "检索", "x late", "absent"):
                assert sidecar.search(name, query, k=9) == index.search(query, k=9)
        sidecar.upsert("", {"a": None, "i": "red cup"})
        assert [id for id, _ in sidecar.search("", "red", k=9)] == ["i"]
    with LexicalSidecar(tmp_path / "words") as sidecar:
        assert [id for id, _ in sidecar.search("", "red", k=9)] == ["i"]


def test_segments_are_merged_and_what_is_gone_is_left_out(
    sidecar: LexicalSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dizuo.vectors.lexical import sidecar_segments

    monkeypatch.setattr(sidecar_segments, "KEEP", 40)
    monkeypatch.setattr(sidecar_segments, "SMALLEST", 30)
    monkeypatch.setattr(sidecar_segments, "_TOKENS", 3)  # so that a merge is done in parts
    draw, index, held = random.Random(3), LexicalIndex(), set()
    vocabulary = ["tea", "cup", "pot", "检索", "数据库", *(f"w{n}" for n in range(20))]
    seen = {"segments": 0, "compactions": 0}
    written = 0
    for _ in range(400):
        texts = {f"d{draw.randrange(60)}": draw.choice([None, *(" ".join(draw.choices(vocabulary, k=6)),) * 5])
                 for _ in range(draw.randint(1, 4))}  # fmt: skip
        sidecar.upsert("n", texts)
        for id, text in texts.items():
            index.upsert(id, text)
            held = held - {id} if text is None else held | {id}
        query = " ".join(draw.choices(vocabulary, k=2))
        assert sidecar.search("n", query, k=100) == index.search(query, k=100)
        numbers = sidecar._connection.execute("SELECT written, rows FROM namespaces").fetchone()
        seen["compactions"] += numbers[0] < written
        written = numbers[0]
        assert numbers[1] == len(held)
        seen["segments"] = max(
            seen["segments"], sidecar._connection.execute("SELECT count(*) FROM segments").fetchone()[0]
        )
    assert seen["compactions"] >= 3
    assert 8 <= seen["segments"] <= 25, "they are merged by eights"


def test_a_hit_is_found_once_though_all_is_numbered_anew_between_two_pages(
    sidecar: LexicalSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dizuo.vectors.lexical import sidecar_segments

    monkeypatch.setattr(sidecar_segments, "KEEP", 0)
    sidecar.upsert("n", {f"{number:03}": "cup " * (number % 7 + 1) + "tea" for number in range(200)})
    right = [hit[0] for hit in sidecar.ranked("n", "tea")]
    hits = sidecar.ranked("n", "tea", first=10)
    begun = [next(hits)[0] for _ in range(10)]
    sidecar.upsert("n", {f"x{number:03}": "pot" for number in range(250)})
    sidecar.delete("n", [f"x{number:03}" for number in range(250)])
    sidecar.upsert("n", {"y": "pot"})
    assert sidecar._connection.execute("SELECT written FROM namespaces").fetchone()[0] < 400, "it was numbered anew"
    assert begun + [hit[0] for hit in hits] == right


def test_an_id_that_utf8_cannot_hold_is_refused_and_nothing_stays_locked(sidecar: LexicalSidecar) -> None:
    with pytest.raises(VectorError, match="lone surrogate"):
        sidecar.upsert("n", {"a": "x", "\ud800": "x"})
    sidecar.upsert("n", {"a": "\ud800 tea"})
    assert sidecar.search("n", "tea", k=1)


WRITER = """
    import random, sqlite3, sys
    from dizuo.vectors.lexical.sidecar import LexicalSidecar
    folder, seed = sys.argv[1], int(sys.argv[2])
    draw = random.Random(seed)
    database = sqlite3.connect(f"{folder}/database", timeout=60, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    sidecar = LexicalSidecar(f"{folder}/words")
    def read(namespace, ids):
        rows = database.execute("SELECT id, text FROM docs").fetchall()
        return {id: text for id, text in rows if id in ids}
    print("ready", flush=True)
    while True:
        sidecar.repair(read)
        ids = [f"d{draw.randrange(40)}" for _ in range(draw.randint(1, 12))]
        texts = {id: " ".join(draw.choices(["tea", "cup", "pot", "检索", str(seed)], k=5)) for id in ids}
        gone = [id for id in texts if draw.random() < 0.2]
        with sidecar.begin("n", texts) as write:
            for id, text in texts.items():  # a database that keeps part of a batch when its client dies
                if id in gone:
                    database.execute("DELETE FROM docs WHERE id = ?", (id,))
                else:
                    database.execute("INSERT OR REPLACE INTO docs VALUES (?, ?)", (id, text))
            write.commit({id: None if id in gone else text for id, text in texts.items()})
        print("wrote", flush=True)
"""


@pytest.mark.slow
def test_two_writers_killed_at_any_moment_leave_nothing_apart_from_the_database(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "database")
    database.execute("CREATE TABLE docs (id TEXT PRIMARY KEY, text TEXT)")
    draw = random.Random(7)
    found_pending = 0

    def start(seed: int) -> subprocess.Popen[str]:
        code = [sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path), str(seed)]
        process = subprocess.Popen(code, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    for turn in range(20):
        writers = [start(2 * turn), start(2 * turn + 1)]
        time.sleep(draw.uniform(0.05, 0.4))
        for writer in writers:
            writer.kill()
            time.sleep(draw.uniform(0, 0.05))
        for writer in writers:
            assert writer.wait() == -9
            assert writer.stdout is not None
            writer.stdout.close()
        with LexicalSidecar(tmp_path / "words") as sidecar:
            rows = dict(database.execute("SELECT id, text FROM docs").fetchall())
            found_pending += bool(sidecar.pending())
            sidecar.repair(lambda _, ids, rows=rows: {id: rows[id] for id in ids if id in rows})
            assert dict(sidecar.scan("n")) == {id: text_digest(text) for id, text in rows.items()}
            index = LexicalIndex()
            for id, text in rows.items():
                index.upsert(id, text)
            assert sidecar.search("n", "tea 检索", k=100) == index.search("tea 检索", k=100)
            assert sidecar.pending() == []
    assert found_pending >= 5, "the kills must fall into writes, or they prove nothing"
    database.close()
    assert len(list((tmp_path / "words-writers").iterdir())) <= 1


@pytest.mark.parametrize("left", [[], ["0"], ["399"]])
def test_a_namespace_of_which_little_or_nothing_is_left_is_compacted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: list[str]
) -> None:
    from dizuo.vectors.lexical import sidecar_segments

    monkeypatch.setattr(sidecar_segments, "KEEP", 3)
    ids = [str(n) for n in range(400)]
    with LexicalSidecar(tmp_path / "words.sqlite") as sidecar:
        for _ in range(2):
            sidecar.upsert("a", {id: f"word w{id}" for id in ids})
            sidecar.delete("a", [id for id in ids if id not in left])
            assert [id for id, _ in sidecar.search("a", "word", k=9)] == left
            assert sidecar.search("a", "w7", k=9) == []
