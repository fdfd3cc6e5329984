"""PDF: where on its page a heading begins, fields and notes, and what is counted instead of read."""

# ruff: noqa: E501  (a table is read line by line)

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from pdf_constructs import IMAGE, filled_in, lines, pdf, upon
from test_readers import check_blocks, said

from dizuo.vectors.knowledge.documents import Document, read_document


def read(folder: Path, content: str | bytes) -> Document:
    assert isinstance(content, bytes)
    (folder / "a.pdf").write_bytes(content)
    document = read_document(folder / "a.pdf")
    check_blocks(document)
    return document


def outlined(pages: Sequence[str], entries: Sequence[tuple[str, int, str]]) -> bytes:
    """Return a PDF with an outline: (title, page, how its destination fits the page)."""
    numbers = range(101, 101 + len(entries))
    objects: dict[int, str | bytes] = {100: f"<< /First 101 0 R /Last {numbers[-1]} 0 R /Count {len(entries)} >>"}
    for number, (title, page, fit) in zip(numbers, entries):
        following = f"/Next {number + 1} 0 R" if number < numbers[-1] else ""
        before = f"/Prev {number - 1} 0 R" if number > 101 else ""
        dest = f"[ {10 + 2 * page} 0 R {fit} ]"
        objects[number] = f"<< /Title ({title}) /Parent 100 0 R {following} {before} /Dest {dest} >>"
    return pdf([{"content": page} for page in pages], "/Outlines 100 0 R", objects)


PAGE = lines("Leave", "Thirty days.", "Pay", "Monthly.", "Leave", "More of it.", top=700)  # each line 14 points lower
CASES = {
    "titles that stand in the text": (
        [PAGE], [("Leave", 0, "/Fit"), ("Pay", 0, "/Fit")],
        [("Leave", "Leave"), ("Thirty days.", "Leave"), ("Pay", "Pay"), ("Monthly.\nLeave\nMore of it.", "Pay")],
    ),
    "a title that stands there twice, in the outline's order": (
        [PAGE], [("Leave", 0, "/Fit"), ("Pay", 0, "/Fit"), ("Leave", 0, "/Fit")],
        [("Leave", "Leave"), ("Thirty days.", "Leave"), ("Pay", "Pay"), ("Monthly.", "Pay"), ("Leave", "Leave"),
         ("More of it.", "Leave")],
    ),
    "a title that stands there twice, by its height": (
        [PAGE], [("Pay", 0, "/XYZ 72 680 0"), ("Leave", 0, "/XYZ 72 656 0")],
        [("Leave\nThirty days.", None), ("Pay", "Pay"), ("Monthly.", "Pay"), ("Leave", "Leave"),
         ("More of it.", "Leave")],
    ),
    "the lower one by its height": (
        [PAGE], [("Leave", 0, "/FitH 656")],
        [("Leave\nThirty days.\nPay\nMonthly.", None), ("Leave", "Leave"), ("More of it.", "Leave")],
    ),
    "a title that does not stand in the text, by its height": (
        [PAGE], [("Wages", 0, "/XYZ 72 680 0")],
        [("Leave\nThirty days.", None), ("Pay\nMonthly.\nLeave\nMore of it.", "Wages")],
    ),
    "a title that stands nowhere": ([PAGE], [("Wages", 0, "/Fit")], [("Leave\nThirty days.\nPay\nMonthly.\nLeave\nMore of it.", "Wages")]),
    "numbers before titles": (
        [lines("1.2 Leave", "Thirty.", "\\247 5 Pay", "Monthly.", "Chapter IV: Notice", "Three.")],
        [("Leave", 0, "/Fit"), ("Pay", 0, "/Fit"), ("Notice", 0, "/Fit")],
        [("1.2 Leave", "Leave"), ("Thirty.", "Leave"), ("§ 5 Pay", "Pay"), ("Monthly.", "Pay"),
         ("Chapter IV: Notice", "Notice"), ("Three.", "Notice")],
    ),
    "numbers that differ in their points": (
        [lines("1. Leave", "Thirty.")], [("1 LEAVE", 0, "/Fit")], [("1. Leave", "1 LEAVE"), ("Thirty.", "1 LEAVE")],
    ),
    "a sentence that begins like a title": (
        [lines("Leave is due.", "Leave", "Thirty.")], [("Leave", 0, "/Fit")],
        [("Leave is due.", None), ("Leave", "Leave"), ("Thirty.", "Leave")],
    ),
    "a title of two lines": (
        [lines("Before.", "Leave of", "absence", "Thirty.")], [("Leave of absence", 0, "/Fit")],
        [("Before.", None), ("Leave of\nabsence", "Leave of absence"), ("Thirty.", "Leave of absence")],
    ),
    "what stands above the first title belongs to the page before": (
        [lines("Leave", "Thirty."), lines("days.", "Pay", "Monthly.")], [("Leave", 0, "/Fit"), ("Pay", 1, "/Fit")],
        [("Leave", "Leave"), ("Thirty.", "Leave"), ("days.", "Leave"), ("Pay", "Pay"), ("Monthly.", "Pay")],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("pages", "entries", "wanted"), CASES.values(), ids=CASES.keys())
def test_text_stands_under_the_heading_above_it(
    pages: list[str], entries: list[tuple[str, int, str]], wanted: list[tuple[str, str | None]], tmp_path: Path
) -> None:
    document = read(tmp_path, outlined(pages, entries))
    assert [(text, headings[-1] if headings else None) for text, headings in said(document)] == wanted


FIELDS = {
    "a name": ("/FT /Tx /T (Period) /V (three months)", "Period: three months"),
    "a label": ("/FT /Tx /T (f1) /TU (Period of notice) /V (three months)", "Period of notice: three months"),
    "a number": ("/FT /Tx /T (Days) /V (30)", "Days: 30"),
    "a check box": ("/FT /Btn /T (Married) /V /Yes /AS /Yes", "Married: Yes"),
    "a check box that is not set": ("/FT /Btn /T (Married) /V /Off /AS /Off", None),
    "an empty field": ("/FT /Tx /T (Period)", None),
    "what is shown for a choice": ("/FT /Ch /T (City) /Opt [ [ (bn) (Bonn) ] ] /V (bn)", "City: Bonn"),
}


@pytest.mark.parametrize(("field", "text"), FIELDS.values(), ids=FIELDS.keys())
def test_a_field_is_read_with_its_name(field: str, text: str | None, tmp_path: Path) -> None:
    document = read(tmp_path, filled_in(field).write(""))
    assert [block for block, _ in said(document)][1:] == ([text] if text else [])
    assert document.left_out == ()


def test_a_form_without_any_text_on_its_pages_is_read(tmp_path: Path) -> None:
    made = pdf([{}], "/AcroForm << /Fields [ 100 0 R ] >>", {100: "<< /FT /Tx /T (Days) /V (30) >>"})
    document = read(tmp_path, made)
    assert (document.text, [str(item) for item in document.left_out]) == (
        "Days: 30",
        ["pages without text (1: page 1)"],
    )


def test_what_is_not_read_is_named_with_its_place(tmp_path: Path) -> None:
    picture = {"content": "/X0 Do", "resources": "/XObject << /X0 100 0 R >>"}
    text = {"content": lines("Text.") + "/X0 Do", "resources": picture["resources"]}
    document = read(tmp_path, pdf([text, picture, picture, text, picture], "", {100: IMAGE}))
    assert [str(item) for item in document.left_out] == ["pages without text (3: pages 2–3, 5)", "pictures (1)"]


def test_the_pages_of_notes_are_named_and_the_first_ten_are_enough(tmp_path: Path) -> None:
    note = "<< /Type /Annot /Subtype /Text /Rect [ 0 0 9 9 ] /Contents (no) >>"
    pages = [{"content": lines("Text."), "more": "/Annots [ 100 0 R 100 0 R ]"}]
    assert [str(item) for item in read(tmp_path, pdf(pages * 2, "", {100: note})).left_out] == [
        "notes (4: page 1, page 2)"
    ]
    (item,) = read(tmp_path, pdf(pages * 12, "", {100: note})).left_out
    assert item.count == 24
    assert item.where.endswith("page 9, page 10, …")


def test_the_names_of_attached_files_are_told(tmp_path: Path) -> None:
    file = "/Subtype /FileAttachment /FS << /Type /Filespec /F (wages.xlsx) /EF << >> >>"
    assert [str(item) for item in read(tmp_path, upon(file).write("")).left_out] == ["attached files (1: wages.xlsx)"]


def test_characters_that_a_font_does_not_explain_are_counted(tmp_path: Path) -> None:
    hexes = "".join(f"{0xE000 + number:04X}" for number in range(5))
    cmap = f"begincmap 1 begincodespacerange <00> <FF> endcodespacerange 1 beginbfchar <41> <{hexes}> endbfchar endcmap"
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /Mine /ToUnicode 101 0 R >>"
    content = lines("Text.") + "BT /F2 12 Tf 72 300 Td (A) Tj ET"
    page = {"content": content, "resources": "", "more": ""}
    made = pdf([page], "", {100: font, 101: f"<< /Length {len(cmap)} >>\nstream\n{cmap}\nendstream"})
    document = read(tmp_path, made.replace(b"/F1 3 0 R", b"/F1 3 0 R /F2 100 0 R"))
    assert [str(item) for item in document.left_out] == ["characters of fonts without Unicode (5: page 1)"]


def test_a_drawing_that_pypdf_gives_up_is_counted(tmp_path: Path) -> None:
    page = {"content": lines("Text.") + "/X0 Do", "resources": "/XObject << /X0 100 0 R >>"}
    document = read(tmp_path, pdf([page], "", {100: "<< /Type /XObject /Length 0 >>\nstream\n\nendstream"}))
    assert [item.kind for item in document.left_out] == ["drawings that cannot be read"]
