"""Word documents: headings, wrappers within wrappers, tables, equations, and what is counted instead of read."""

# ruff: noqa: E501  (a table is read line by line)

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from docx_constructs import BLOCKS, BY, INLINE, NOTE, block, docx, drawing, p, r, row, table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_readers import check_blocks, said

from dizuo.errors import DataError
from dizuo.events import Event
from dizuo.testing.vectors.document_reader import SENTENCE, find_faults
from dizuo.vectors.knowledge.documents import Document, read_document


def read(folder: Path, content: bytes, **options: Any) -> Document:
    (folder / "a.docx").write_bytes(content)
    document = read_document(folder / "a.docx", **options)
    check_blocks(document)
    return document


def left_out(document: Document) -> dict[str, int]:
    return {item.kind: item.count for item in document.left_out}


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(sorted(INLINE)), max_size=6),
    st.lists(st.sampled_from(sorted(BLOCKS)), max_size=4),
)
def test_a_sentence_in_wrappers_within_wrappers_is_read_once(
    tmp_path: Path, inner: list[str], outer: list[str]
) -> None:
    """No list of wrappers is complete: what counts is that they may stand in each other, in any order."""
    xml = r("§")
    for name in inner:
        xml = INLINE[name].replace(r("§"), xml)
    blocks = f"<w:p>{xml}</w:p>"
    for name in outer:
        blocks = BLOCKS[name].replace("§", blocks)
    construct = block(blocks)
    content = construct.write(SENTENCE)
    assert isinstance(content, bytes)
    document = read(tmp_path, content)
    assert not list(find_faults(document, construct))


ELEMENTS = [
    "w:p", "w:r", "w:tbl", "w:tr", "w:tc", "w:sdt", "w:sdtContent", "w:ins", "w:moveTo", "w:smartTag", "w:customXml",
    "w:hyperlink", "w:fldSimple", "w:dir", "w:bdo", "w:txbxContent", "w:drawing", "wp:inline", "a:graphic",
    "a:graphicData", "wps:wsp", "wps:txbx", "w:pict", "v:shape", "v:textbox", "v:group", "w:object", "m:oMathPara",
    "m:oMath", "m:r", "m:f", "m:num", "m:den", "m:d", "m:e", "m:sSup", "m:sup", "m:nary", "m:sub", "m:m", "m:mr",
    "w:ruby", "w:rubyBase", "w:rt", "w:body", "a:p", "a:r", "w:document", "w:new", "m:new", "wps:new", "x:new",
]  # fmt: skip


def grow(chance: random.Random, depth: int, words: list[str]) -> str:
    """Return an element that holds others, whether or not the schema allows them there, and words at the ends."""
    inner = ""
    for _ in range(chance.randint(1, 3)):
        if depth < chance.randint(1, 7):
            inner += grow(chance, depth + 1, words)
        else:
            words.append(f"word{len(words)}.")
            leaf = chance.choice(["<w:r><w:t>{}</w:t></w:r>", "<w:t>{}</w:t>", "<m:t>{}</m:t>", p("{}")])
            inner += leaf.format(words[-1])
    name = chance.choice(ELEMENTS)
    return f"<{name}>{inner}</{name}>"


@pytest.mark.parametrize("seed", range(40))
def test_no_word_is_lost_or_doubled_wherever_it_stands(seed: int, tmp_path: Path) -> None:
    chance, words = random.Random(seed), list[str]()
    document = read(tmp_path, docx(grow(chance, 0, words) + grow(chance, 0, words)))
    assert {word: document.text.count(word) for word in words} == dict.fromkeys(words, 1)


def test_hundreds_of_wrappers_within_each_other_are_no_depth(tmp_path: Path) -> None:
    xml = "<w:sdt><w:sdtContent>" * 120 + p("deep") + "</w:sdtContent></w:sdt>" * 120
    assert read(tmp_path, docx(xml)).text == "deep"


def test_what_python_docx_writes_and_what_we_write_are_the_same_format(tmp_path: Path) -> None:
    """The files of these tests are written by hand; a parser that is not ours opens them, too."""
    import docx as python_docx

    word: Any = python_docx.Document(io.BytesIO(docx(p("one") + table(row(p("k"), p("v"))))))
    assert [paragraph.text for paragraph in word.paragraphs] == ["one"]
    assert [cell.text for cell in word.tables[0].rows[0].cells] == ["k", "v"]


def test_headings_are_known_by_outline_level_through_styles_that_build_on_each_other(tmp_path: Path) -> None:
    def styled(text: str, style: str) -> str:
        return p(text, f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>')

    document = read(
        tmp_path,
        docx(
            styled("Handbook", "Titel")  # the ids of a German Word; the names in the file are English
            + styled("Leave", "berschrift1")
            + p("Days", '<w:pPr><w:outlineLvl w:val="1"/></w:pPr>')
            + p("Thirty.")
            + styled("Pay", "Clause")  # based on heading 1
            + styled("Monthly.", "Plain")  # based on heading 1, with the level of body text
            + styled("Notice", "Heading2")  # a style that the file does not have
            + p("Not a heading", '<w:pPr><w:pStyle w:val="berschrift1"/><w:outlineLvl w:val="9"/></w:pPr>')
        ),
    )
    assert said(document) == [
        ("Handbook", ("Handbook",)),
        ("Leave", ("Handbook", "Leave")),
        ("Days", ("Handbook", "Leave", "Days")),
        ("Thirty.", ("Handbook", "Leave", "Days")),
        ("Pay", ("Handbook", "Pay")),
        ("Monthly.", ("Handbook", "Pay")),
        ("Notice", ("Handbook", "Pay", "Notice")),
        ("Not a heading", ("Handbook", "Pay", "Notice")),
    ]


def test_what_is_anchored_in_a_paragraph_follows_it_under_its_heading(tmp_path: Path) -> None:
    heading = '<w:pPr><w:outlineLvl w:val="0"/></w:pPr>'
    box = f"<wps:txbx><w:txbxContent>{p('In the box', heading)}</w:txbxContent></wps:txbx>"
    body = (
        p("Leave", heading)
        + f'<w:p>{r("Text")}{drawing(box)}<w:r><w:footnoteReference w:id="2"/></w:r>{r(" goes on.")}</w:p>'
        + p("Next")
        + '<w:sectPr><w:headerReference w:type="default" r:id="h"/></w:sectPr>'
    )
    parts = {"n": ("footnotes", NOTE.format(p("A note."))), "h": ("header", f"<w:hdr>{p('Handbook 4711')}</w:hdr>")}
    assert said(read(tmp_path, docx(body, parts))) == [
        ("Leave", ("Leave",)),
        ("Text goes on.", ("Leave",)),
        ("In the box", ("Leave",)),  # whatever its style, it is no heading of what follows
        ("A note.", ("Leave",)),
        ("Next", ("Leave",)),
        ("Handbook 4711", ()),
    ]


def test_tables_are_rows_with_merged_and_nested_cells_in_their_place(tmp_path: Path) -> None:
    above = "<w:tcPr><w:vMerge/></w:tcPr><w:p/>"
    nested = table(row(p("a"), p("b")), row(p("c"), p("d")))
    document = read(
        tmp_path,
        docx(
            table(
                row(p("City"), p("Days")),
                row('<w:tcPr><w:vMerge w:val="restart"/></w:tcPr>' + p("Berlin"), p("30")),
                row(above, p("31") + p("or 32")),
                f'<w:tr><w:trPr><w:gridBefore w:val="1"/></w:trPr><w:tc>{p("late")}</w:tc></w:tr>',
                row(p("Paris"), nested + "<w:p/>"),
            )
        ),
    )
    assert document.text.split("\n") == ["City\tDays", "Berlin\t30", "Berlin\t31 or 32", "late", "Paris\ta b; c d"]
    assert len(document.blocks) == 1


def test_a_layout_of_cells_keeps_its_headings(tmp_path: Path) -> None:
    heading = '<w:pPr><w:outlineLvl w:val="0"/></w:pPr>'
    document = read(tmp_path, docx(table(row(p("Leave", heading) + p("Thirty."), p("aside")))))
    assert said(document) == [("Leave", ("Leave",)), ("Thirty.", ("Leave",)), ("aside", ("Leave",))]


def numbered(text: str, level: int = 0, id: int = 1) -> str:
    return p(text, f'<w:pPr><w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{id}"/></w:numPr></w:pPr>')


def numbering(*levels: tuple[str, str], more: str = "", extra: str = "") -> dict[str, tuple[str, str]]:
    """Return a numbering part of one list with these (form, text) levels."""
    shown = "".join(
        f'<w:lvl w:ilvl="{number}"><w:start w:val="1"/><w:numFmt w:val="{form}"/><w:lvlText w:val="{text}"/></w:lvl>'
        for number, (form, text) in enumerate(levels)
    )
    return {
        "n": (
            "numbering",
            f'<w:numbering><w:abstractNum w:abstractNumId="0">{shown}{extra}</w:abstractNum>'
            f'<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>{more}</w:numbering>',
        )
    }


def test_automatic_numbers_are_counted_as_word_shows_them(tmp_path: Path) -> None:
    parts = numbering(
        ("decimal", "Article %1."), ("decimal", "%1.%2"), ("lowerLetter", "(%3)"),
        more='<w:num w:numId="2"><w:abstractNumId w:val="0"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="7"/>'
        "</w:lvlOverride></w:num>",
    )  # fmt: skip
    body = (
        numbered("Leave") + numbered("Days", 1) + numbered("thirty", 2) + numbered("more", 2) + p("Plain.")
        + numbered("Sickness", 1) + numbered("a note", 2) + numbered("Pay") + numbered("Monthly", 1)
        + p("") + numbered("", 1)  # an empty paragraph has no number that counts
        + numbered("Bonus", 1) + numbered("Notice", 0, 2) + numbered("End", 0, 2) + numbered("No list", 0, 0)
    )  # fmt: skip
    assert [text for text, _ in said(read(tmp_path, docx(body, parts)))] == [
        "Article 1. Leave", "1.1 Days", "(a) thirty", "(b) more", "Plain.", "1.2 Sickness", "(a) a note",
        "Article 2. Pay", "2.1 Monthly", "2.2 Bonus", "Article 7. Notice", "Article 8. End", "No list",
    ]  # fmt: skip


FORMS = {
    "decimal": "1 2 3", "decimalZero": "01 02 03", "lowerLetter": "a b c", "upperLetter": "A B C",
    "lowerRoman": "i ii iii", "upperRoman": "I II III", "ordinal": "1st 2nd 3rd", "chineseCounting": "一 二 三",
    "bullet": "x x x", "none": "x x x", "a form of another version": "1 2 3",
}  # fmt: skip


@pytest.mark.parametrize(("form", "labels"), FORMS.items(), ids=FORMS.keys())
def test_numbers_have_the_form_of_their_level(form: str, labels: str, tmp_path: Path) -> None:
    document = read(tmp_path, docx(numbered("x") * 3, numbering((form, "%1"))))
    assert [text.split()[0] for text, _ in said(document)] == labels.split()


def test_headings_numbered_by_their_style_are_cited_with_their_numbers(tmp_path: Path) -> None:
    style = (
        '<w:style w:type="paragraph" w:styleId="H"><w:name w:val="heading 1"/><w:pPr><w:numPr><w:numId w:val="1"/>'
        "</w:numPr></w:pPr></w:style>"
    )
    parts = {**numbering(("upperRoman", "%1.")), "styles": ("styles", f"<w:styles>{style}</w:styles>")}
    heading = '<w:pPr><w:pStyle w:val="H"/></w:pPr>'
    document = read(tmp_path, docx(p("Leave", heading) + p("Thirty.") + p("Pay", heading), parts))
    assert said(document) == [("I. Leave", ("I. Leave",)), ("Thirty.", ("I. Leave",)), ("II. Pay", ("II. Pay",))]


def test_cells_are_numbered_and_letters_go_on_behind_z(tmp_path: Path) -> None:
    rows = table(*(row(numbered("x"), p("v")) for _ in range(28)))
    lines = read(tmp_path, docx(rows, numbering(("lowerLetter", "%1)")))).text.split("\n")
    assert [lines[0], lines[25], lines[26], lines[27]] == ["a) x\tv", "z) x\tv", "aa) x\tv", "bb) x\tv"]


def m(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


EQUATIONS = {
    "a+b": m("a+b"),
    "(a+b)/2": f"<m:f><m:num>{m('a+b')}</m:num><m:den>{m('2')}</m:den></m:f>",
    "x^2": f"<m:sSup><m:e>{m('x')}</m:e><m:sup>{m('2')}</m:sup></m:sSup>",
    "x_i": f"<m:sSub><m:e>{m('x')}</m:e><m:sub>{m('i')}</m:sub></m:sSub>",
    "x_i^(n+1)": f"<m:sSubSup><m:e>{m('x')}</m:e><m:sub>{m('i')}</m:sub><m:sup>{m('n+1')}</m:sup></m:sSubSup>",
    "√(n)": f'<m:rad><m:radPr><m:degHide m:val="1"/></m:radPr><m:deg/><m:e>{m("n")}</m:e></m:rad>',
    "3√(n)": f"<m:rad><m:deg>{m('3')}</m:deg><m:e>{m('n')}</m:e></m:rad>",
    "∑_(i=1)^n i": f'<m:nary><m:naryPr><m:chr m:val="∑"/></m:naryPr><m:sub>{m("i=1")}</m:sub><m:sup>{m("n")}</m:sup><m:e>{m("i")}</m:e></m:nary>',
    "∫ x": f"<m:nary><m:sub/><m:sup/><m:e>{m('x')}</m:e></m:nary>",
    "(a|b)": f"<m:d><m:e>{m('a')}</m:e><m:e>{m('b')}</m:e></m:d>",
    "[a]": f'<m:d><m:dPr><m:begChr m:val="["/><m:endChr m:val="]"/></m:dPr><m:e>{m("a")}</m:e></m:d>',
    "lim_(n→∞) x": f"<m:func><m:fName><m:limLow><m:e>{m('lim')}</m:e><m:lim>{m('n→∞')}</m:lim></m:limLow></m:fName><m:e>{m('x')}</m:e></m:func>",
    "a, b; c, d": f"<m:m><m:mr><m:e>{m('a')}</m:e><m:e>{m('b')}</m:e></m:mr><m:mr><m:e>{m('c')}</m:e><m:e>{m('d')}</m:e></m:mr></m:m>",
    "x\u0302": f"<m:acc><m:e>{m('x')}</m:e></m:acc>",
}  # fmt: skip


@pytest.mark.parametrize(("text", "xml"), EQUATIONS.items(), ids=EQUATIONS.keys())
def test_an_equation_is_one_line(text: str, xml: str, tmp_path: Path) -> None:
    assert read(tmp_path, docx(f"<w:p><m:oMath>{xml}</m:oMath></w:p>")).text == text


def test_what_is_not_read_is_named_once_per_file_with_its_count(tmp_path: Path) -> None:
    comments = "".join(f'<w:comment w:id="{n}">{p("no")}</w:comment>' for n in range(3))
    body = p("Text") + f"<w:p>{'<w:del><w:r><w:delText>x</w:delText></w:r></w:del>' * 2}</w:p>"
    heard: list[Event] = []
    document = read(
        tmp_path, docx(body, {"c": ("comments", f"<w:comments>{comments}</w:comments>")}), watch=heard.append
    )
    assert left_out(document) == {"tracked deletions": 2, "comments": 3}
    assert [str(getattr(event, "text", "")) for event in heard] == [
        "a.docx: not read: tracked deletions (2), comments (3); accept or reject the changes in Word"
    ]


def test_moved_text_that_changed_on_its_way_is_read_where_it_is(tmp_path: Path) -> None:
    body = f"<w:p><w:moveFrom {BY}>{r('The clause.')}</w:moveFrom></w:p><w:p><w:moveTo {BY}>{r('The new clause.')}</w:moveTo></w:p>"
    document = read(tmp_path, docx(body))
    assert (document.text, left_out(document)) == ("The new clause.", {"texts that were moved away": 1})


def change(path: Path, part: str, content: Callable[[bytes], bytes]) -> None:
    """Change one part of a package."""
    with zipfile.ZipFile(path) as whole:
        files = {name: whole.read(name) for name in whole.namelist()}
    files[part] = content(files[part])
    with zipfile.ZipFile(path, "w") as changed:
        for name, data in files.items():
            changed.writestr(name, data)


@pytest.mark.parametrize("part", ["word/document.xml", "word/styles.xml", "word/n.xml", "_rels/.rels"])
def test_a_damaged_part_is_an_error_that_names_the_file_and_the_part(part: str, tmp_path: Path) -> None:
    path = tmp_path / "a.docx"
    path.write_bytes(docx(p("Text"), {"n": ("footnotes", NOTE.format(p("x")))}))
    change(path, part, lambda content: content[:-10])
    with pytest.raises(DataError, match=rf"a\.docx is no Word document that can be read: .* in {part}"):
        read_document(path)


def test_another_office_file_is_no_word_document(tmp_path: Path) -> None:
    path = tmp_path / "a.docx"
    path.write_bytes(docx(p("Text")))
    change(path, "word/document.xml", lambda content: b"<workbook/>")
    with pytest.raises(DataError, match=r"a\.docx is no Word document"):
        read_document(path)
