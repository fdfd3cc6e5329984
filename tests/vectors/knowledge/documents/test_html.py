"""Pages: rows of tables, layouts, what runs on in a line and what ends it, and what is counted instead of read."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from html_constructs import _BLOCKS, _INLINE, html
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser
from test_readers import check_blocks, said

from dizuo.testing.vectors.document_reader import SENTENCE, find_faults
from dizuo.vectors.knowledge.documents import Document, read_document


def read(folder: Path, page: str) -> Document:
    (folder / "a.html").write_text(page, "utf-8")
    document = read_document(folder / "a.html")
    check_blocks(document)
    return document


NESTED = sorted({*_INLINE, *_BLOCKS} - {"pre", "listing", "xmp", "ol", "ul", "dl", "menu", "dir", "form", "a", "nobr"})
"""Elements that may stand within each other, themselves included."""


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([*NESTED, "td", "li", "dd"]), max_size=8))
def test_a_sentence_in_elements_within_elements_is_read_once(tmp_path: Path, names: list[str]) -> None:
    inside = "§"
    for name in names:
        inside = {
            "td": f"<table><tr><td>k<td>{inside}</table>",
            "li": f"<ul><li>{inside}</ul>",
            "dd": f"<dl><dd>{inside}</dl>",
        }.get(name, f"<{name}>{inside}</{name}>")
    construct = html(inside)
    assert not list(find_faults(read(tmp_path, str(construct.write(SENTENCE))), construct))


ELEMENTS = [
    "p", "div", "span", "b", "table", "tr", "td", "th", "tbody", "thead", "caption", "ruby", "rt", "rp", "rb", "rtc",
    "ul", "li", "ol", "dl", "dt", "dd", "h1", "h2", "pre", "textarea", "button", "select", "option", "optgroup",
    "math", "mfrac", "mrow", "mi", "msup", "msqrt", "mroot", "mtable", "mtr", "mtd", "semantics", "svg", "text",
    "title", "foreignObject", "details", "summary", "figure", "figcaption", "fieldset", "legend", "form", "label",
    "object", "video", "canvas", "x-foo", "slot", "dialog", "a", "blockquote", "nav", "main", "mtext",
    "center", "font", "marquee", "nobr", "section",
]  # fmt: skip


def grow(chance: random.Random, depth: int, words: list[str]) -> str:
    """Return an element that holds others, whether or not HTML allows them there, and words; some are never closed."""
    inner = ""
    for _ in range(chance.randint(1, 3)):
        if depth < chance.randint(1, 7):
            inner += grow(chance, depth + 1, words)
        else:
            words.append(f"word{len(words)}.")
            inner += f" {words[-1]} "
    name = chance.choice(ELEMENTS)
    return f"<{name}>{inner}" + (f"</{name}>" if chance.random() < 0.8 else "")


@pytest.mark.parametrize("seed", range(40))
def test_no_word_is_lost_or_doubled_wherever_it_stands(seed: int, tmp_path: Path) -> None:
    """What a parser drops is not ours to find: the words are those that its tree has once."""
    chance, words = random.Random(seed), list[str]()
    page = f"<p>first</p>{grow(chance, 0, words)}{grow(chance, 0, words)}"
    body = LexborHTMLParser(page).body
    assert body is not None
    held = [word for word in words if body.text().count(f" {word} ") == 1]
    document = read(tmp_path, page)
    found = {word: document.text.count(word) for word in held}
    if any(item.kind == "choices of drop-down lists" for item in document.left_out):
        assert max(found.values()) <= 1
    else:
        assert found == dict.fromkeys(held, 1)


ROWS = {
    "paragraphs in cells": ("<tr><td><p>Berlin</p></td><td><p>30</p></td></tr>", ["Berlin\t30"]),
    "several paragraphs": ("<tr><td><p>a</p><p>b</p><td>c", ["a b\tc"]),
    "lists and divisions": ("<tr><td><ul><li>a<li>b</ul><td><div>c<div>d</div></div>", ["a b\tc d"]),
    "breaks": ("<tr><td>a<br>b<td>c", ["a b\tc"]),
    "white space": ("<tr>\n <td>\n a\n </td>\n <td>b</td>\n</tr>\n", ["a\tb"]),
    "an empty cell": ("<tr><td>a<td><td>c", ["a\t\tc"]),
    "an empty row": ("<tr><td><td><tr><td>a<td>b", ["a\tb"]),
    "heads": ("<thead><tr><th>k<th>v<tbody><tr><th>a<td>1", ["k\tv", "a\t1"]),
    "a cell over two columns": ("<tr><td colspan=2>a<td>b", ["a\tb"]),
    "a cell over three rows": ("<tr><td rowspan=3>a<td>1<tr><td>2<tr><td>3", ["a\t1", "a\t2", "a\t3"]),
    "a cell over rows in the middle": ("<tr><td>a<td rowspan=2>m<td>1<tr><td>b<td>2", ["a\tm\t1", "b\tm\t2"]),
    "a cell over rows at the end": ("<tr><td>a<td rowspan=2>m<tr><td>b", ["a\tm", "b\tm"]),
    "a cell to the end of the table": ("<tr><td rowspan=0>a<td>1<tr><td>2", ["a\t1", "a\t2"]),
    "a wide and tall cell": ("<tr><td rowspan=2 colspan=2>a<td>1<tr><td>2", ["a\t1", "a\t2"]),
    "spans that make no sense": ("<tr><td rowspan=x colspan=-1>a<td>1<tr><td>2<td>3", ["a\t1", "2\t3"]),
    "a table in a cell": (
        "<tr><td>Paris<td><table><tr><td>a<td>b<tr><td>c<td>d</table>", ["Paris\ta b; c d"],
    ),
    "a table of one column": ("<tr><td><p>one<p>two<tr><td>three", ["one", "two", "three"]),
    "a layout": ("<tr><td><h2>Leave</h2><p>Thirty.<td>menu", ["Leave", "Thirty.", "menu"]),
    "a data table in a layout": (
        "<tr><td><h2>Leave</h2><table><tr><td>a<td><p>b</table><td>menu", ["Leave", "a\tb", "menu"],
    ),
    "a table in a layout of one cell": ("<tr><td><table><tr><td>a<td>b</table>", ["a\tb"]),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "blocks"), ROWS.values(), ids=ROWS.keys())
def test_a_row_is_one_block_whatever_stands_in_its_cells(rows: str, blocks: list[str], tmp_path: Path) -> None:
    assert [text for text, _ in said(read(tmp_path, f"<table>{rows}</table>"))] == blocks


def test_a_long_cell_over_many_rows_is_not_repeated(tmp_path: Path) -> None:
    """A page of 100 KB must not become a text of 100 MB."""
    rows = "".join(f"<tr><td>{number}" for number in range(1, 1000))
    document = read(tmp_path, f"<table><tr><td rowspan=1000>{'long ' * 1000}<td>0{rows}</table>")
    assert document.text.count("long") == 1000
    assert len(document.blocks) == 1000


LINES = {
    "unknown elements run on": ("<p>Hello <x-name>Ada</x-name>!", ["Hello Ada!"]),
    "a button runs on": ("<p>Press <button>OK</button> now", ["Press OK now"]),
    "a word is not cut": ("<p><b>L</b>eave <wbr>Kündi&shy;gung", ["Leave Kündigung"]),
    "ruby is a word and its reading": ("<p><ruby>漢<rp>(<rt>kan<rp>)</rp>字<rt>ji</ruby>です", ["漢字(kanji)です"]),
    "a choice stands in its sentence": (
        "<p>City: <select><option>Rome<option selected>Bonn</select>.", ["City: Bonn ."],
    ),
    "a value stands in its sentence": ("<p>Name: <input value='Ada Li'>, born", ["Name: Ada Li , born"]),
    "a formula": (
        "<p><math><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2</mn></mfrac></math> is",
        ["(a+b)/2 is"],
    ),
    "powers and roots": (
        "<math><msup><mi>x</mi><mn>2</mn></msup><mo>=</mo><msqrt><mi>n</mi></msqrt></math>", ["x^2=√(n)"],
    ),
    "a sum": (
        "<math><munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>n</mi></munderover></math>",
        ["∑_(i=1)^n"],
    ),
    "white space of a text field": ("<textarea>a\n  b</textarea>", ["a\n  b"]),
    "a term and its definition": ("<dl><dt>Leave<dd>Thirty days</dl>", ["Leave", "Thirty days"]),
    "a page in a frame": ("<p>a<iframe srcdoc='<p>b<p>c'></iframe>d", ["a", "b", "c", "d"]),
}  # fmt: skip


@pytest.mark.parametrize(("page", "blocks"), LINES.values(), ids=LINES.keys())
def test_what_runs_on_in_a_line_and_what_ends_it(page: str, blocks: list[str], tmp_path: Path) -> None:
    assert [text for text, _ in said(read(tmp_path, page))] == blocks


def test_the_title_is_that_of_the_page_and_not_of_a_drawing(tmp_path: Path) -> None:
    document = read(tmp_path, "<svg><title>a clock</title></svg><h1>Leave</h1>")
    assert (document.title, document.text) == ("Leave", "a clock\n\nLeave")


def test_what_is_not_read_is_named_with_its_count(tmp_path: Path) -> None:
    document = read(tmp_path, "<p>x<img src=a><img src=b><div hidden>a</div><div hidden></div><img src=c alt=''>")
    assert {item.kind: item.count for item in document.left_out} == {
        "pictures without a description": 2,
        "hidden elements": 1,
    }
