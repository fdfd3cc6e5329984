"""One bad file never ends a sync: it is named with the reason, what was known of it stays, and all others are in."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_knowledge_base import Words, documents

from dizuo.errors import DataError, MissingPackage, VectorError
from dizuo.events import Event, Warned, Watcher
from dizuo.vectors.knowledge.documents import Document, files_below
from dizuo.vectors.knowledge.documents.document import Draft
from dizuo.vectors.knowledge.documents.readers import READERS, DocumentReader
from dizuo.vectors.knowledge.knowledge_base import KnowledgeBase, RemovesEverything


@pytest.fixture
def kb(request: pytest.FixtureRequest) -> Iterator[KnowledgeBase]:
    name = "".join(letter for letter in request.node.name if letter.isalnum())
    with KnowledgeBase.open(f"memory://{name}", Words()) as opened:
        yield opened


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("alpha text")
    (folder / "m.txt").write_text("the file that turns bad")
    (folder / "sub" / "z.txt").write_text("omega text")
    return folder


def texts(kb: KnowledgeBase) -> dict[str, str]:
    """Return source → text of what is searched."""
    return {point.metadata["source"]: point.document or "" for point in kb.chunks.points()}


GOOD = {"a.txt": "alpha text", "sub/z.txt": "omega text"}


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the path of a socket has at most 108 bytes
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def raising(error: BaseException) -> Any:
    """Return what makes a file that a reader answers with this error."""

    def make(path: Path) -> BaseException:
        path.write_text("read by another")
        return error

    return make


class Panic(BaseException):
    """What parsers written in Rust raise: no Exception."""


TURNS: dict[str, tuple[Any, str]] = {
    "no text": (lambda path: path.write_bytes(bytes(range(256))), "m.txt is not text in any known encoding"),
    "empty": (lambda path: path.write_bytes(b""), "m.txt has no text in it"),
    "white space": (lambda path: path.write_bytes(b" \n\t\n"), "m.txt has no text in it"),
    "a link to nothing": (lambda path: path.symlink_to("gone.txt"), "it is a link to what is not there"),
    "a link to itself": (lambda path: path.symlink_to("m.txt"), "it is a link that leads in a circle"),
    "a FIFO": (make_fifo, "it is a FIFO, and no file"),
    "a socket": (make_socket, "it is a socket, and no file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "it is a device, and no file"),
    "an Exception": (raising(RuntimeError("lost")), "m.txt cannot be read: RuntimeError: lost"),
    "recursion": (raising(RecursionError("too deep")), "m.txt cannot be read: RecursionError: too deep"),
    "no memory": (raising(MemoryError()), "m.txt cannot be read: MemoryError"),
    "an exit": (raising(SystemExit(3)), "m.txt cannot be read: SystemExit: 3"),
    "a panic": (raising(Panic("index out of bounds")), "m.txt cannot be read: Panic: index out of bounds"),
    "a read error": (raising(OSError(errno.EIO, "Input/output error")), "m.txt cannot be read: Input/output error"),
    "no parser": (raising(MissingPackage("x", purpose="reading", install="x")), "reading needs the package 'x'"),
    "no draft": (raising(TypeError("nothing came back")), "m.txt cannot be read: TypeError"),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("turn", TURNS)
def test_a_file_that_turns_bad_keeps_what_was_known_and_is_named(
    turn: str, kb: KnowledgeBase, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, reason = TURNS[turn]
    kb.sync_folder(docs)
    before = texts(kb)
    assert before == {**GOOD, "m.txt": "the file that turns bad"}
    (docs / "m.txt").unlink()
    error = make(docs / "m.txt")
    if isinstance(error, BaseException):
        _let_the_reader_raise(error, monkeypatch)
    (docs / "new.txt").write_text("a new file")
    heard: list[Event] = []
    done = kb.sync_folder(docs, watch=heard.append)
    assert list(done.failed) == ["m.txt"]
    assert reason in done.failed["m.txt"]
    assert [
        event.text for event in heard if isinstance(event, Warned) and "m.txt" in event.text and reason in event.text
    ]
    assert (done.added, done.changed, done.deleted, done.unchanged) == (("new.txt",), (), (), 2)
    assert texts(kb) == {**before, "new.txt": "a new file"}
    with pytest.raises((DataError, MissingPackage), match=r"m\.txt|the package"):
        kb.sync_folder(docs, on_error="raise")
    monkeypatch.undo()
    (docs / "m.txt").unlink()
    (docs / "m.txt").write_text("whole again")
    assert kb.sync_folder(docs).changed == ("m.txt",)


def _let_the_reader_raise(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the reader of text raise at one file, as a parser of a third party may."""
    text = READERS.load("text")

    def parse(said: str, path: Path, watch: Watcher) -> Draft:
        assert text.parse is not None
        if path.name == "m.txt":
            raise error
        return text.parse(said, path, watch)

    broken = DocumentReader(suffixes=text.suffixes, parse=parse, name="text")
    readers = {**READERS.all(), "text": broken}
    monkeypatch.setattr(type(READERS), "all", lambda kind: readers)


def test_an_interrupt_is_no_bad_file(kb: KnowledgeBase, docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _let_the_reader_raise(KeyboardInterrupt(), monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        kb.sync_folder(docs)


CHILD = """
    import json, os, sys
    from test_knowledge_base import Words
    from dizuo.vectors.knowledge.knowledge_base import KnowledgeBase
    docs = sys.argv[1]
    kb = KnowledgeBase.open("memory://child", Words())
    first = kb.sync_folder(docs)
    for name, mode in (("m.txt", 0), ("sub", 0), ("listed", 0o444)):
        os.chmod(f"{docs}/{name}", mode)
    os.setgid(65534); os.setuid(65534)
    done = kb.sync_folder(docs)
    print(json.dumps([sorted(kb.documents()), dict(done.failed), list(done.deleted), done.unchanged]))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="root gives up its rights for this")
def test_what_may_not_be_read_is_named_and_kept(docs: Path) -> None:
    import json

    (docs / "listed").mkdir()
    (docs / "listed" / "names_only.txt").write_text("seen and not read")
    for folder in [docs, *docs.parents]:
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(docs)],
        capture_output=True, text=True, timeout=120, env=environment,
    )  # fmt: skip
    (docs / "sub").chmod(0o755)
    assert run.returncode == 0, run.stderr
    kept, failed, deleted, unchanged = json.loads(run.stdout)
    assert kept == ["a.txt", "listed/names_only.txt", "m.txt", "sub/z.txt"]
    assert (deleted, unchanged) == ([], 1)
    assert failed.keys() == {"listed/names_only.txt", "m.txt", "sub/", "sub/z.txt"}
    assert all("Permission denied" in reason for reason in failed.values())
    assert str(docs / "m.txt") in failed["m.txt"]


def test_a_file_that_vanishes_between_the_listing_and_the_reading_is_kept(
    kb: KnowledgeBase, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kb.sync_folder(docs)
    (docs / "a.txt").write_text("alpha text, changed")
    _do_at(docs / "a.txt", lambda: (docs / "m.txt").unlink(), monkeypatch)
    done = kb.sync_folder(docs)
    assert done.changed == ("a.txt",)
    assert "m.txt cannot be read: it vanished" in done.failed["m.txt"]
    assert set(texts(kb)) == {"a.txt", "m.txt", "sub/z.txt"}
    assert kb.sync_folder(docs).deleted == ("m.txt",)


def _do_at(path: Path, act: Any, monkeypatch: pytest.MonkeyPatch, times: int = 1) -> None:
    """Do something at the moment at which a file is read, a few times."""
    read_bytes, left = Path.read_bytes, [times]

    def read(self: Path) -> bytes:
        raw = read_bytes(self)
        if self == path and left[0]:
            left[0] -= 1
            act()
        return raw

    monkeypatch.setattr(Path, "read_bytes", read)


@pytest.mark.parametrize("times", [1, 2, 99])
def test_a_file_that_changes_while_it_is_read_is_read_again_or_named(
    times: int, kb: KnowledgeBase, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its digest must be that of what was read: else it would be taken for unchanged when it changes back."""
    states = iter(range(1, 1000))
    _do_at(docs / "m.txt", lambda: (docs / "m.txt").write_text(f"state {next(states)}"), monkeypatch, times)
    done = kb.sync_folder(docs)
    if times == 99:
        assert "it changes while it is read" in done.failed["m.txt"]
        assert "m.txt" not in kb.documents()
        return
    assert not done.failed
    assert texts(kb)["m.txt"] == f"state {times}"
    (docs / "m.txt").write_text("the file that turns bad")
    assert kb.sync_folder(docs).changed == ("m.txt",)
    (docs / "m.txt").write_text(f"state {times}")
    assert kb.sync_folder(docs).changed == ("m.txt",)


def test_names_that_are_not_utf8_are_read_and_shown(kb: KnowledgeBase, docs: Path) -> None:
    bad = os.fsencode(docs) + b"/caf\xe9.txt"
    Path(os.fsdecode(bad)).write_text("coffee")
    Path(os.fsdecode(os.fsencode(docs) + b"/d\xff")).mkdir()
    Path(os.fsdecode(os.fsencode(docs) + b"/d\xff/x.txt")).write_text("below")
    Path(os.fsdecode(os.fsencode(docs) + b"/none\xe9.txt")).write_bytes(b"")
    done = kb.sync_folder(docs)
    assert {"caf\\xe9.txt", "d\\xff/x.txt"} <= set(done.added)
    assert list(done.failed) == ["none\\xe9.txt"]
    assert kb.search("coffee", k=1, mode="words")[0].source == "caf\\xe9.txt"
    assert kb.sync_folder(docs).unchanged == 5
    (docs / "caf\\xe9.txt").write_text("a file that is really called so")
    clash = kb.sync_folder(docs)
    assert "another file has this name" in clash.failed["caf\\xe9.txt"]


def test_links_and_hidden_files_and_other_kinds_are_counted_and_named(
    kb: KnowledgeBase, docs: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "far.txt").write_text("far away")
    (docs / "linked").symlink_to(outside)
    (docs / "up").symlink_to(docs)
    (docs / "file.txt").symlink_to(outside / "far.txt")
    for name in ("one.png", "two.PNG", "table.xlsx", "Makefile", ".hidden.txt", "notes.txt~"):
        (docs / name).write_text("x")
    make_fifo(docs / "pipe")
    heard: list[Event] = []
    done = kb.sync_folder(docs, watch=heard.append)
    assert set(done.added) == {"a.txt", "m.txt", "sub/z.txt", "file.txt"}
    assert done.failed == {}
    assert done.unread == {
        ".png": 2, ".txt~": 1, ".xlsx": 1, "FIFO": 1, "hidden": 1, "linked folder": 2, "without a suffix": 1,
    }  # fmt: skip
    (told,) = [event.text for event in heard if isinstance(event, Warned)]
    assert told.startswith("9 entries are not read: 2 .png (one.png, two.PNG), 2 linked folder (linked, up), ")
    assert kb.sync_folder(docs, patterns=["linked/*", "sub/**"], prune=False).added == ("linked/far.txt",)


def test_a_kind_that_is_not_read_any_more_keeps_its_documents(
    kb: KnowledgeBase, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (docs / "n.log").write_text("a log")
    kb.sync_folder(docs)
    text = READERS.load("text")
    less = DocumentReader(suffixes=(".txt",), parse=text.parse, name="text")
    monkeypatch.setattr(type(READERS), "all", lambda kind: {"text": less})
    done = kb.sync_folder(docs)
    assert (done.deleted, done.failed) == ((), {"n.log": "nobody reads it any more (.log)"})
    assert "n.log" in kb.documents()


def test_a_link_to_a_folder_that_is_gone_keeps_what_was_below_it(kb: KnowledgeBase, docs: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    (disk / "d.txt").write_text("on the disk")
    (docs / "mount").symlink_to(disk)
    patterns = ["**/*", "mount/**"]
    assert "mount/d.txt" in kb.sync_folder(docs, patterns=patterns).added
    disk.rename(tmp_path / "gone")
    done = kb.sync_folder(docs, patterns=patterns)
    assert done.deleted == ()
    assert done.failed.keys() == {"mount", "mount/d.txt"}
    assert "mount/d.txt" in kb.documents()


EMPTY = {
    "an empty folder": lambda docs: [path.unlink() for path in docs.rglob("*.txt")],
    "another folder": lambda docs: [
        path.rename(path.with_name(f"other_{path.name}")) for path in list(docs.rglob("*.txt"))
    ],
    "files of other kinds": lambda docs: [path.rename(path.with_suffix(".bin")) for path in list(docs.rglob("*.txt"))],
}


@pytest.mark.parametrize("how", EMPTY)
def test_a_sync_that_would_remove_everything_wants_to_be_told_so(how: str, kb: KnowledgeBase, docs: Path) -> None:
    kb.sync_folder(docs)
    before = texts(kb)
    EMPTY[how](docs)
    with pytest.raises(RemovesEverything, match=r"would remove all 3 documents, which .*docs has not") as caught:
        kb.sync_folder(docs)
    assert "remove_all=True" in str(caught.value)
    assert texts(kb) == before, "nothing was changed"
    assert kb.sync_folder(docs, prune=False).deleted == ()
    assert len(kb.sync_folder(docs, remove_all=True).deleted) == 3
    assert set(texts(kb)) == {path.relative_to(docs).as_posix() for path in docs.rglob("*.txt")}


def test_one_file_does_not_remove_all_others_unasked(kb: KnowledgeBase, docs: Path) -> None:
    kb.sync_folder(docs)
    with pytest.raises(RemovesEverything, match="would remove all other 2 documents"):
        kb.sync_folder(docs / "a.txt")
    assert kb.sync_folder(docs / "a.txt", prune=False).unchanged == 1
    assert kb.sync_folder(docs / "a.txt", remove_all=True).deleted == ("m.txt", "sub/z.txt")
    assert kb.sync_folder(docs / "a.txt").unchanged == 1


def test_documents_that_leave_nothing_of_the_old_want_to_be_told_so(kb: KnowledgeBase) -> None:
    kb.sync([])
    kb.sync(documents({"a": "one", "b": "two"}))
    for given in ({}, {"c": "three"}):
        with pytest.raises(RemovesEverything, match="would remove all 2 documents, which what was given has not"):
            kb.sync(documents(given))
        assert {"a", "b"} <= kb.documents().keys()
        kb.delete(["c"])
    assert kb.sync(documents({"c": "three"}), remove_all=True).deleted == ("a", "b")
    assert kb.sync([], remove_all=True).deleted == ("c",)


def test_a_folder_that_is_not_there_is_refused_before_anything_is_changed(kb: KnowledgeBase, docs: Path) -> None:
    kb.sync_folder(docs)
    make_fifo(docs.parent / "fifo.txt")
    for root, message in (
        (docs / "gone", "does not exist"), ("", "the folder has no name"), (docs.parent / "fifo.txt", "is a FIFO"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=message):
            kb.sync_folder(root)
    assert set(kb.documents()) == {"a.txt", "m.txt", "sub/z.txt"}


def test_a_file_is_read_anew_when_its_encoding_is_named(kb: KnowledgeBase, docs: Path) -> None:
    (docs / "m.txt").write_bytes("Отпуск".encode("koi8-r"))
    (docs / "u.txt").write_text("今天天气很好，我们去公园散步。", "utf-8")
    first = kb.sync_folder(docs)
    assert first.warnings.keys() == {"m.txt"}
    assert "which is a guess" in first.warnings["m.txt"][0]
    named = kb.sync_folder(docs, encoding="cp866")
    assert (named.changed, named.unchanged, named.warnings) == (("m.txt",), 3, {})
    assert texts(kb)["m.txt"] == "Отпуск".encode("koi8-r").decode("cp866")
    assert kb.sync_folder(docs, encoding="cp866").unchanged == 4
    assert kb.sync_folder(docs).changed == ("m.txt",)


def test_half_a_character_in_a_document_is_told(kb: KnowledgeBase, docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = READERS.load("text")

    def parse(said: str, path: Path, watch: Watcher) -> Draft:
        draft = Draft("x \ud83d y \udc00")
        draft.heading(1, "head\ud800")
        draft.mark(0, 7)
        return draft

    broken = DocumentReader(suffixes=text.suffixes, parse=parse, name="text")
    monkeypatch.setattr(type(READERS), "all", lambda kind: {"text": broken})
    done = kb.sync_folder(docs, patterns=["a.txt"])
    assert done.warnings["a.txt"] == ("a.txt has 4 half characters in its text, which became U+FFFD, the first at 2",)
    assert texts(kb)["a.txt"] == "x \ufffd y \ufffd"
    with pytest.raises(DataError, match="'b' has half a character in it"):
        kb.sync([Document.of("\ud800", "b")])


def test_files_below_gives_what_can_be_read_and_tells_the_rest(docs: Path) -> None:
    (docs / "broken.txt").symlink_to("nowhere")
    heard: list[Event] = []
    assert [name for name, _ in files_below(docs, watch=heard.append)] == ["a.txt", "m.txt", "sub/z.txt"]
    assert heard == [Warned("broken.txt was not read: it is a link to what is not there")]


class Zeros(Words):
    """An embedder that knows no word of one text: its vector is zero, which no database compares by cosine."""

    def _make(self, texts: list[str]) -> Any:
        vectors = super()._make(texts)
        for row, text in enumerate(texts):
            if "unknown" in text:
                vectors[row] = 0
        return vectors


def test_a_document_whose_chunks_are_refused_is_named_and_the_others_are_in(docs: Path) -> None:
    (docs / "m.txt").write_text("unknown " * 30)
    with KnowledgeBase.open("memory://zeros", Zeros()) as kb:
        done = kb.sync_folder(docs)
        assert (done.added, list(done.failed)) == (("a.txt", "sub/z.txt"), ["m.txt"])
        assert "m.txt is not whole: 2 of its 2 chunks were not stored: " in done.failed["m.txt"]
        assert kb.documents().keys() == {"a.txt", "sub/z.txt"}
        assert kb.sync_folder(docs).failed.keys() == {"m.txt"}, "it is tried again"
        (docs / "m.txt").write_text("known now")
        assert kb.sync_folder(docs).changed == ("m.txt",)
        assert texts(kb) == {**GOOD, "m.txt": "known now"}
        with pytest.raises(VectorError, match="b is not whole: 1 of its 1 chunks was not stored"):
            kb.sync([Document.of("unknown", "b")], prune=False)
