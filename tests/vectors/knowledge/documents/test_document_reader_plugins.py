"""Every reader of document files of ours is held to the suite that a third party's is held to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from docx_constructs import DOCX
from html_constructs import HTML, XHTML
from markdown_constructs import MARKDOWN
from pdf_constructs import PDF
from test_readers import pdf

from dizuo import plugins
from dizuo.errors import PluginError
from dizuo.events import Event, Warned
from dizuo.testing import DocumentReaderSuite
from dizuo.testing.vectors.document_reader import BEFORE, BEHIND, SENTENCE, Construct, find_faults
from dizuo.vectors.knowledge.documents import Document, LeftOut, read_document
from dizuo.vectors.knowledge.documents.readers import READERS, DocumentReader


class TestText(DocumentReaderSuite):
    name = "text"
    pieces = ("One\nstill one", "Two 数据")

    def write(self, folder: Path) -> Path:
        path = folder / "animals.txt"
        path.write_text("One\nstill one\n\n  Two 数据  \n\n")
        return path


class TestMarkdown(DocumentReaderSuite):
    name = "markdown"
    pieces = ("title: x", "# Animals", "Cats *sleep*.", "- one\n- two", "Dogs bark.")
    headings = ("Animals", "Dogs")
    constructs = MARKDOWN

    def write(self, folder: Path) -> Path:
        path = folder / "animals.md"
        path.write_text("---\ntitle: x\n---\n# Animals\n\nCats *sleep*.\n\n- one\n- two\n\n## Dogs\n\nDogs bark.\n")
        return path


class TestHtml(DocumentReaderSuite):
    name = "html"
    pieces = ("Animals", "Cats sleep & eat.", "Dogs bark.")
    headings = ("Animals", "Dogs")
    constructs = HTML

    def write(self, folder: Path) -> Path:
        path = folder / "animals.html"
        path.write_text(
            "<title>Zoo</title><script>no()</script><h1>Animals</h1><p>Cats <b>sleep</b> &amp; eat."
            "<h2>Dogs</h2><p>Dogs bark."
        )
        return path


class TestXhtml(TestHtml):
    constructs = XHTML

    def write(self, folder: Path) -> Path:
        return super().write(folder).rename(folder / "animals.xhtml")


class TestPdf(DocumentReaderSuite):
    name = "pdf"
    pieces = ("Cats sleep", "Dogs bark")
    headings = ("Dogs",)
    constructs = PDF

    def write(self, folder: Path) -> Path:
        path = folder / "animals.pdf"
        pdf(["Cats sleep", "Dogs bark"], titles=[("Animals", 0), ("Dogs", 1)]).write(path)
        return path


class TestDocx(DocumentReaderSuite):
    name = "docx"
    pieces = ("Animals", "Cats sleep.", "a\tb", "Dogs bark.")
    headings = ("Animals", "Dogs")
    constructs = DOCX

    def write(self, folder: Path) -> Path:
        import docx

        word: Any = docx.Document()
        word.add_heading("Animals", 1)
        word.add_paragraph("Cats sleep.")
        table = word.add_table(rows=1, cols=2)
        table.cell(0, 0).text, table.cell(0, 1).text = "a", "b"
        word.add_heading("Dogs", 2)
        word.add_paragraph("Dogs bark.")
        word.save(str(folder / "animals.docx"))
        return folder / "animals.docx"


READ = f"{BEFORE}\n\n{SENTENCE}\n\n{BEHIND}"
LOST = f"{BEFORE}\n\n{BEHIND}"
FAULTS = {
    "it reads the sentence": (READ, (), Construct(str), 0),
    "it names what it leaves out": (LOST, (LeftOut("notes", 1),), Construct(str, left_out="notes"), 0),
    "it loses the sentence": (LOST, (), Construct(str), 1),
    "it cuts the sentence": (READ.replace("three", "three\n\nor"), (), Construct(str), 1),
    "it reads the sentence twice": (f"{READ}\n\n{SENTENCE}", (), Construct(str), 1),
    "it does not name what it leaves out": (LOST, (), Construct(str, left_out="notes"), 1),
    "it counts wrongly": (LOST, (LeftOut("notes", 2),), Construct(str, left_out="notes"), 1),
    "it reads what it says to leave out": (READ, (LeftOut("notes", 1),), Construct(str, left_out="notes"), 1),
    "it names what it need not": (READ, (LeftOut("notes", 1),), Construct(str), 1),
    "it does not name what stands beside": (READ, (), Construct(str, also=("notes",)), 1),
    "it loses what stands before": (READ.replace(BEFORE, ""), (), Construct(str), 1),
    "it turns the order round": (f"{BEHIND}\n\n{SENTENCE}\n\n{BEFORE}", (), Construct(str), 1),
}


@pytest.mark.parametrize(("text", "left_out", "construct", "number"), FAULTS.values(), ids=FAULTS.keys())
def test_the_suite_finds_what_is_wrong_with_a_reader(
    text: str, left_out: tuple[LeftOut, ...], construct: Construct, number: int
) -> None:
    assert len(list(find_faults(Document("a", text, left_out=left_out), construct))) == number


def test_the_constructs_of_our_formats_are_many() -> None:
    assert min(len(DOCX), len(HTML), len(MARKDOWN), len(PDF)) >= 60


def test_every_reader_of_ours_runs_through_the_suite() -> None:
    held = {suite.name for suite in DocumentReaderSuite.__subclasses__() if suite.__module__ == __name__}
    assert held == set(READERS.names())


def test_a_reader_of_a_third_party_is_found_under_the_name_that_it_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder has moved since, and the group has not."""
    facts = tmp_path / "tex_reader-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: tex-reader\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[dizuo.vectors.documents.readers]\ntex = tex_reader\n")
    (tmp_path / "tex_reader.py").write_text(
        "from dizuo.vectors.knowledge.documents.document import Draft\n"
        "from dizuo.vectors.knowledge.documents.readers import DocumentReader\n"
        "def read(path, watch):\n"
        "    draft = Draft(path.read_text())\n"
        "    draft.leave_out('comments', 2, hint='take the % away')\n"
        "    draft.leave_out('comments', where='line 7')\n"
        "    draft.leave_out('macros', 0)\n"
        "    return draft\n"
        "READER = DocumentReader(suffixes=('.tex',), read=read)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    plugins._entry_points.cache_clear()
    try:
        (tmp_path / "a.tex").write_text("Cats sleep.")
        heard: list[Event] = []
        document = read_document(tmp_path / "a.tex", watch=heard.append)
        assert (document.text, document.left_out) == (
            "Cats sleep.",
            (LeftOut("comments", 3, "line 7", "take the % away"),),
        )
        assert heard == [Warned("a.tex: not read: comments (3: line 7); take the % away")]
    finally:
        plugins._entry_points.cache_clear()


def test_a_reader_reads_a_file_or_a_text_and_not_both() -> None:
    text = READERS.load("text")
    with pytest.raises(PluginError, match="DocumentReader also needs 'read'"):
        DocumentReader(suffixes=(".tex",))
    with pytest.raises(PluginError, match="has 'read' or 'parse', not both"):
        DocumentReader(suffixes=(".tex",), read=READERS.load("pdf").read, parse=text.parse)
