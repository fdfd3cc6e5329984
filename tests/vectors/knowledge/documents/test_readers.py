"""Files of every kind: their text, their structure, and what is wrong with the broken ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dizuo.errors import DataError
from dizuo.events import Event, Warned
from dizuo.vectors.knowledge.documents import Document, files_below, read_document, suffixes


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def said(document: Document) -> list[tuple[str, tuple[str, ...]]]:
    return [(document.text[block.start : block.end], block.headings) for block in document.blocks]


def check_blocks(document: Document) -> None:
    """Blocks are in order, apart, and nothing but white space lies between them."""
    last = 0
    for block in document.blocks:
        assert document.text[last : block.start].strip() == ""
        assert block.start < block.end
        last = block.end
    assert document.text[last:].strip() == ""


def test_plain_text_keeps_the_files_own_offsets(tmp_path: Path) -> None:
    document = read_document(write(tmp_path, "a.txt", "One\r\nstill one\r\n\r\n  Two 数据  \r\n\n\n"))
    check_blocks(document)
    assert [text for text, _ in said(document)] == ["One\r\nstill one", "Two 数据"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "shift_jis"])
def test_text_is_read_in_its_encoding(encoding: str, tmp_path: Path) -> None:
    text = "向量検索の文書です。" * 30
    assert read_document(write(tmp_path, "a.txt", text.encode(encoding, "ignore"))).text.startswith("向量検索")


def test_markdown_keeps_its_text_and_gives_its_headings(tmp_path: Path) -> None:
    text = (
        "---\ntitle: x\n---\n# Guide\n\nIntro *text*\ngoes on.\n\n## Set-up\n\n- one\n- two\n\n"
        "```python\n# no heading\n```\n"
        "Sub\n---\n| a | b |\n|---|---|\n| 1 | 2 |\n\n[ref]: http://x\n\n# End\n<div>raw</div>\n"
    )
    document = read_document(write(tmp_path, "a.md", text), source="docs/a.md")
    check_blocks(document)
    assert (document.text, document.title, document.source) == (text, "Guide", "docs/a.md")
    assert said(document) == [
        ("---\ntitle: x\n---", ()),
        ("# Guide", ("Guide",)),
        ("Intro *text*\ngoes on.", ("Guide",)),
        ("## Set-up", ("Guide", "Set-up")),
        ("- one\n- two", ("Guide", "Set-up")),
        ("```python\n# no heading\n```", ("Guide", "Set-up")),
        ("Sub\n---", ("Guide", "Sub")),
        ("| a | b |\n|---|---|\n| 1 | 2 |", ("Guide", "Sub")),
        ("[ref]: http://x", ("Guide", "Sub")),
        ("# End", ("End",)),
        ("<div>raw</div>", ("End",)),
    ]
    assert [block.is_heading for block in document.blocks].count(True) == 4


def test_html_gives_what_a_browser_shows(tmp_path: Path) -> None:
    html = (
        "<!doctype html><html><head><title>The  Page</title><style>p{}</style></head><body><script>no()</script>"
        "<h1>Top <em>one</em></h1><p>First\n  <b>para</b>graph<br>line &amp; more<p>Second<div hidden>secret</div>"
        "<h2>Code</h2><pre>a\n  b</pre><ul><li>x<li>y</ul>loose<table><tr><th>k<th>v<tr><td>1<td>2</table></body>"
    )
    document = read_document(write(tmp_path, "a.html", html))
    check_blocks(document)
    assert document.title == "The Page"
    assert said(document) == [
        ("Top one", ("Top one",)),
        ("First paragraph\nline & more", ("Top one",)),
        ("Second", ("Top one",)),
        ("Code", ("Top one", "Code")),
        ("a\n  b", ("Top one", "Code")),
        ("x", ("Top one", "Code")),
        ("y", ("Top one", "Code")),
        ("loose", ("Top one", "Code")),
        ("k\tv", ("Top one", "Code")),
        ("1\t2", ("Top one", "Code")),
    ]


def test_html_of_another_encoding_and_of_great_depth_is_read(tmp_path: Path) -> None:
    gb = "<meta charset=gb2312><p>向量数据库".encode("gb2312")
    assert read_document(write(tmp_path, "gb.html", gb)).text == "向量数据库"
    deep = read_document(write(tmp_path, "deep.html", "<div>" * 3000 + "deep" + "</div>" * 3000))
    assert deep.text == "deep"


def pdf(pages: list[str], *, titles: list[tuple[str, int]] | None = None) -> Any:
    """Return a pypdf writer with real text on its pages."""
    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = PdfWriter()
    facts = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
    font = DictionaryObject({NameObject(key): NameObject(value) for key, value in facts.items()})
    for text in pages:
        page = writer.add_blank_page(300, 300)
        stream = DecodedStreamObject()
        lines = "".join(f"({line}) Tj 0 -20 Td " for line in text.split("\n") if line)
        stream.set_data(f"BT /F1 12 Tf 20 250 Td {lines} ET".encode())
        page[NameObject("/Contents")] = writer._add_object(stream)
        fonts = DictionaryObject({NameObject("/F1"): writer._add_object(font)})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    for title, number in titles or []:
        writer.add_outline_item(title, number)
    return writer


def test_pdf_gives_text_by_page_under_its_outline(tmp_path: Path) -> None:
    pdf(["Cover page", "", "Chapter text\nmore"], titles=[("Start", 0), ("One", 2)]).write(tmp_path / "a.pdf")
    heard: list[Event] = []
    document = read_document(tmp_path / "a.pdf", watch=heard.append)
    check_blocks(document)
    assert said(document) == [("Cover page", ("Start",)), ("Chapter text\nmore", ("One",))]
    assert [block.page for block in document.blocks] == [1, 3]
    assert [event.text for event in heard if isinstance(event, Warned)] == [
        "a.pdf: not read: pages without text (1: page 2); text that is a picture needs OCR first"
    ]


def test_an_encrypted_pdf_is_read_only_without_a_user_password(tmp_path: Path) -> None:
    owner = pdf(["Readable"])
    owner.encrypt("", "owner", algorithm="AES-256")
    owner.write(tmp_path / "owner.pdf")
    assert read_document(tmp_path / "owner.pdf").text == "Readable"
    user = pdf(["Secret"])
    user.encrypt("user", algorithm="AES-256")
    user.write(tmp_path / "user.pdf")
    with pytest.raises(DataError, match=r"user\.pdf is encrypted and needs a password"):
        read_document(tmp_path / "user.pdf")


def test_a_page_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    from pypdf.generic import NameObject, NumberObject

    writer = pdf(["fine", "broken"])
    writer.pages[1][NameObject("/Contents")].get_object()[NameObject("/Filter")] = NameObject("/NoSuchFilter")
    writer.pages[1][NameObject("/Rotate")] = NumberObject(0)
    writer.write(tmp_path / "a.pdf")
    with pytest.raises(DataError, match=r"a\.pdf page 2 cannot be read"):
        read_document(tmp_path / "a.pdf")


def test_docx_gives_paragraphs_and_tables_in_order(tmp_path: Path) -> None:
    import docx

    word: Any = docx.Document()
    word.add_paragraph("Handbook", style="Title")
    word.add_heading("Rules", 1)
    word.add_paragraph("First rule.")
    table = word.add_table(rows=2, cols=3)
    table.cell(0, 0).merge(table.cell(0, 1)).text = "wide"
    table.cell(0, 2).text, table.cell(1, 0).text = "c", "d\ne"
    word.add_heading("More", 2)
    word.add_paragraph("数据库")
    word.add_heading("End", 1)
    word.save(str(tmp_path / "a.docx"))
    document = read_document(tmp_path / "a.docx")
    check_blocks(document)
    assert said(document) == [
        ("Handbook", ("Handbook",)),
        ("Rules", ("Handbook", "Rules")),
        ("First rule.", ("Handbook", "Rules")),
        ("wide\tc\nd e", ("Handbook", "Rules")),
        ("More", ("Handbook", "Rules", "More")),
        ("数据库", ("Handbook", "Rules", "More")),
        ("End", ("Handbook", "End")),
    ]


BAD = {
    "an unknown kind": ("a.xyz", b"x", r"a\.xyz: no reader for \.xyz"),
    "a near miss": ("a.mdd", b"x", r"did you mean '\.md'"),
    "an empty text": ("a.txt", b" \n ", r"a\.txt has no text in it"),
    "an HTML without text": ("a.html", b"<p><script>x</script>", r"a\.html has no text in it"),
    "bytes": ("a.txt", bytes(range(256)) * 4, r"a\.txt is not text in any known encoding"),
    "a cut PDF": ("a.pdf", b"%PDF-1.7\n1 0 obj <<", r"a\.pdf is no PDF that can be read"),
    "no PDF": ("a.pdf", b"hello" * 99, r"a\.pdf is no PDF that can be read"),
    "no DOCX": ("a.docx", b"hello", r"a\.docx is no Word document"),
    "an old or encrypted Word file": (
        "a.docx",
        b"\xd0\xcf\x11\xe0" + b"x" * 99,
        "is encrypted, or a Word doc",
    ),
}


@pytest.mark.parametrize(("name", "content", "message"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_named_with_what_is_wrong(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_document(write(tmp_path, name, content))
    assert caught.value.hint


def test_a_pdf_without_any_text_asks_for_ocr(tmp_path: Path) -> None:
    pdf(["", ""]).write(tmp_path / "scan.pdf")
    with pytest.raises(DataError, match="has no text on any of its 2 pages") as caught:
        read_document(tmp_path / "scan.pdf")
    assert "OCR" in str(caught.value)


def test_a_folder_gives_the_files_that_can_be_read_in_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a.md", "sub/c.html", ".hidden.md", ".git/x.md", "image.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path, name, "x")
    assert [name for name, _ in files_below(tmp_path)] == ["a.md", "b.txt", "sub/c.html"]
    assert [name for name, _ in files_below(tmp_path, patterns=["*.txt", "sub/*"])] == ["b.txt", "sub/c.html"]
    assert [name for name, _ in files_below(tmp_path / "b.txt")] == ["b.txt"]
    assert {".md", ".pdf", ".docx", ".html", ".txt"} <= suffixes().keys()
    with pytest.raises(DataError, match="does not exist"):
        list(files_below(tmp_path / "gone"))
