"""What every reader of document files does.

class TestTex(DocumentReaderSuite):
    name = "tex"
    pieces = ("Animals", "Cats sleep.")
    constructs = {
        "emphasis": Construct(lambda s: rf"{BEFORE}\\par \\emph{{{s}}}\\par {BEHIND}"),
        "a comment": Construct(lambda s: f"{BEFORE}\\n\\n% {s}\\n{BEHIND}", left_out="comments"),
    }

    def write(self, folder):
        path = folder / "animals.tex"
        path.write_text(r"\\section{Animals} Cats sleep.")
        return path
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from dizuo.errors import DataError
from dizuo.events import ignore
from dizuo.testing.readers import damaged
from dizuo.vectors.knowledge.documents import Document, chunk_document, files_below, read_document, suffixes
from dizuo.vectors.knowledge.documents.readers import READERS, DocumentReader

__all__ = ["BEFORE", "BEHIND", "SENTENCE", "Construct", "DocumentReaderSuite", "find_faults"]

BEFORE, SENTENCE, BEHIND = "Leave is thirty days a year.", "Notice is three months.", "Pay comes on the last day."
"""What stands in the file of a construct: a paragraph, the construct with its sentence, another paragraph."""


@dataclass(frozen=True, slots=True)
class Construct:
    """A way in which a format can hold a sentence, such as a table's cell or a tracked insertion."""

    write: Callable[[str], str | bytes]
    """A sentence → a whole file, with the paragraph `BEFORE`, the sentence in its construct, the paragraph `BEHIND`."""
    left_out: str = ""
    """The kind that the reader must name, once; empty where it must read the sentence."""
    also: tuple[str, ...] = ()
    """Kinds that are left out beside a sentence that is read."""
    times: int = 1
    """How often the sentence is read: a cell that covers two rows is in both."""


def find_faults(document: Document, construct: Construct) -> Iterator[str]:
    """Yield what is wrong with a document that was read of a construct's file.

    The sentence is read as one, white space aside, and whatever is not read is named.
    """
    text = " ".join(document.text.split())
    num_read = text.count(SENTENCE)
    named = {item.kind: item.count for item in document.left_out}
    wanted = {kind: named.get(kind, 0) for kind in construct.also}
    if construct.left_out:
        wanted[construct.left_out] = 1
    if num_read != (0 if construct.left_out else construct.times):
        yield f"the sentence was read {num_read} times: {document.text!r}"
    if named != wanted or 0 in wanted.values():
        yield f"left out is {named}, not {wanted}"
    for other in (BEFORE, BEHIND):
        if text.count(other) != 1:
            yield f"{other!r} was read {text.count(other)} times: {document.text!r}"
    if text.find(BEHIND) < text.find(BEFORE):
        yield f"the order is lost: {document.text!r}"


class DocumentReaderSuite:
    """Subclass it with the reader's `name`, a method that writes a file, and what must be read of it."""

    name: str
    """The name of its file, or of its entry point."""
    pieces: tuple[str, ...]
    """Texts that the written file has, in order: each must be found behind the one before."""
    headings: tuple[str, ...] = ()
    """Headings that the last piece stands under, outermost first."""
    constructs: Mapping[str, Construct] = {}
    """The ways in which the format can hold text, by name. List all that its specification has."""

    def write(self, folder: Path) -> Path:
        """Write a file, and return it."""
        raise NotImplementedError

    @pytest.fixture
    def reader(self) -> DocumentReader:
        """Return the reader under test."""
        return READERS.load(self.name)

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        """Return the written file."""
        return self.write(tmp_path)

    def test_it_is_found_by_its_name(self, reader: DocumentReader) -> None:
        assert self.name in READERS.names()
        assert reader.name == self.name
        assert reader.suffixes
        assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in reader.suffixes)

    def test_it_is_chosen_by_suffix(self, reader: DocumentReader, path: Path) -> None:
        assert {suffixes()[suffix] for suffix in reader.suffixes} == {self.name}, "another reader has its suffixes"
        assert [file for _, file in files_below(path.parent)] == [path]
        if reader.parse is not None:
            draft = reader.parse(reader.decode(path.read_bytes(), None).text, path, ignore)
        else:
            assert reader.read is not None
            draft = reader.read(path, ignore)
        assert read_document(path).text == draft.finish(path.name).text

    def test_all_pieces_are_read_in_order(self, path: Path) -> None:
        document = read_document(path)
        at = 0
        for piece in self.pieces:
            assert piece in document.text[at:], f"{piece!r} is not read, or not in its place"
            at = document.text.index(piece, at) + len(piece)
        block = next(block for block in document.blocks if block.start < at <= block.end)
        assert block.headings == self.headings

    def test_a_sentence_in_any_construct_is_read_or_named(self, path: Path) -> None:
        faults = []
        for name, construct in self.constructs.items():
            content = construct.write(SENTENCE)
            path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
            faults += [f"{name}: {fault}" for fault in find_faults(read_document(path), construct)]
        assert not faults, "\n".join(faults)

    def test_blocks_are_in_order_and_cover_the_text(self, path: Path) -> None:
        document = read_document(path)
        end, page = 0, 1
        for block in document.blocks:
            assert block.start < block.end
            assert document.text[end : block.start].strip() == "", "text lies between two blocks"
            assert block.page is None or block.page >= page, "pages come in order, from 1"
            end, page = block.end, block.page or page
        assert document.text[end:].strip() == ""
        assert end <= len(document.text)

    def test_a_file_is_read_the_same_every_time(self, path: Path) -> None:
        assert read_document(path) == read_document(path)
        assert read_document(path, source="elsewhere").source == "elsewhere"

    def test_it_becomes_chunks_that_lose_nothing(self, path: Path) -> None:
        document = read_document(path)
        chunks = chunk_document(document, size=40)
        assert "".join("".join(chunk.text.split()) for chunk in chunks) == "".join(document.text.split())
        assert all(chunk.text == document.text[chunk.start : chunk.end] for chunk in chunks)

    def test_an_empty_file_is_an_error(self, path: Path) -> None:
        path.write_bytes(b"")
        with pytest.raises(DataError, match=path.name):
            read_document(path)

    def test_a_damaged_file_is_read_or_is_one_error_that_names_it(self, path: Path) -> None:
        for content in damaged(path.read_bytes()):
            path.write_bytes(content)
            try:
                text, refusal = read_document(path).text, None
            except DataError as error:
                text, refusal = "", error
            text.encode("utf-8")
            assert text.strip() or (refusal is not None and path.name in refusal.message)

    def test_a_file_that_is_not_there_is_an_error(self, path: Path) -> None:
        path.unlink()
        with pytest.raises(DataError, match=path.name):
            read_document(path)
