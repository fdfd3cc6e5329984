"""`Body` goes through the paragraphs and tables of a part, in the order in which they stand, and fills the draft."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from xml.etree.ElementTree import Element

from dizuo.vectors.knowledge.documents.document import Draft
from dizuo.vectors.knowledge.documents.readers.docx.lines import Line, Lines, choose_branch, is_property
from dizuo.vectors.knowledge.documents.readers.docx.names import attribute, child, descendants, has_text, tag
from dizuo.vectors.knowledge.documents.readers.docx.numbering import Numbering
from dizuo.vectors.knowledge.documents.readers.docx.styles import Styles
from dizuo.vectors.knowledge.documents.tables import Table

__all__ = ["Body"]

_BLOCKS = ("w:p", "w:tbl", "w:sectPr", "w:altChunk")


class Body:
    """Reads the blocks of one part.

    Args:
        lines: reads the paragraphs of this part.
        styles: tell headings.
        numbering: numbers paragraphs.
        draft: takes the text.
        read_note: reads a note by its kind and id, behind the paragraph that refers to it.
        is_main: whether headings are headings; in text boxes, notes and headers they are not.
    """

    def __init__(
        self,
        lines: Lines,
        styles: Styles,
        numbering: Numbering,
        draft: Draft,
        read_note: Callable[[str, str], None],
        *,
        is_main: bool,
    ) -> None:
        self._lines = lines
        self._styles = styles
        self._numbering = numbering
        self._draft = draft
        self._read_note = read_note
        self._is_main = is_main
        self._open: Line | None = None
        self.references: list[tuple[str, str]] = []
        """(`w:headerReference` or `w:footerReference`, id) of all sections, in order."""

    def read(self, node: Element) -> None:
        """Read the blocks in an element: a body, a note, a header."""
        self._read_blocks(node)
        self._close_line()

    def _read_blocks(self, node: Element) -> None:
        for inner in node:
            self._read_block(inner)

    def _read_block(self, node: Element) -> None:
        name = tag(node)
        if name == "w:p":
            self._read_paragraph(node)
        elif name == "w:tbl":
            self._read_table(node)
        elif name == "w:sectPr":
            self._note_section(node)
        elif name == "mc:AlternateContent":
            branch = choose_branch(node)
            if branch is not None:
                self._read_blocks(branch)
        elif name in ("w:del", "w:moveFrom"):
            self._lines.leave_out_removed(node)
        elif next(descendants(node, *_BLOCKS), None) is not None and not _is_line(name):
            self._read_blocks(node)
        else:  # text without a paragraph around it, an equation, something embedded, or nothing at all
            line = Line()
            self._lines.read_element(node, line)
            self._lines.end_paragraph(line)
            self._add_line(line)

    def _read_paragraph(self, node: Element) -> None:
        line = self._open or Line()
        self._open = None
        self._fill_line(node, line)
        section = child(node, "w:pPr", "w:sectPr")
        if section is not None:
            self._note_section(section)
        # A paragraph whose mark at its end is deleted, or which is the big first letter of the next, is joined to it.
        joins = child(node, "w:pPr", "w:rPr", "w:del") is not None
        if joins or attribute(child(node, "w:pPr", "w:framePr"), "dropCap") in ("drop", "margin"):
            self._open = line
            return
        level = self._styles.level(node) if self._is_main else None
        self._add_line(line, level)

    def _fill_line(self, node: Element, line: Line) -> None:
        """Add the text of a paragraph to a line, behind its number."""
        at = len(line.parts)
        self._lines.read(node, line)
        self._lines.end_paragraph(line)
        if "".join(line.parts[at:]).strip():
            label = self._numbering.count(node)
            line.parts.insert(at, f"{label} " if label else "")

    def _close_line(self) -> None:
        if self._open is not None:
            line, self._open = self._open, None
            self._add_line(line)

    def _add_line(self, line: Line, level: int | None = None) -> None:
        is_heading = level is not None and bool(line.text.strip())
        if level is not None and is_heading:
            self._draft.heading(level, line.text)
        self._draft.add(line.text, is_heading=is_heading)
        self._add_beside(line)

    def _add_beside(self, line: Line) -> None:
        """Add what is anchored in a line as blocks of its own behind it."""
        for text in line.asides:
            self._draft.add(text)
        was_main, self._is_main = self._is_main, False
        for box in line.boxes:
            self._read_blocks(box)
            self._close_line()
        self._is_main = was_main
        for kind, id in line.notes:
            self._read_note(kind, id)

    def _note_section(self, node: Element) -> None:
        self.references += [
            (tag(inner), attribute(inner, "id") or "")
            for inner in node
            if tag(inner) in ("w:headerReference", "w:footerReference")
        ]

    # ---- tables

    def _read_table(self, node: Element) -> None:
        """Read a table as lines of cells; one that has headings in it is a layout, and is read cell by cell."""
        self._close_line()
        if self._is_main and any(self._styles.level(inner) is not None for inner in descendants(node, "w:p")):
            for row in self._parts(node):
                for cell in self._parts(row) if tag(row) == "w:tr" else [row]:
                    if tag(cell) == "w:tc":
                        self._read_blocks(cell)
                    else:
                        self._read_block(cell)
            return
        beside = Line()
        beside.asides += [
            attribute(child(node, "w:tblPr", name), "val") or "" for name in ("w:tblCaption", "w:tblDescription")
        ]
        self._draft.add("\n".join(self._read_rows(node, beside)))
        self._add_beside(beside)

    def _read_rows(self, node: Element, beside: Line) -> list[str]:
        table = Table()
        lines = []
        for row in self._parts(node):
            table.skip(_number(child(row, "w:trPr", "w:gridBefore"), 0))
            for cell in self._parts(row) if tag(row) == "w:tr" else [row]:
                self._read_cell(cell, table, beside)
            lines.append(table.end_row())
        return [line for line in lines if line]

    def _read_cell(self, node: Element, table: Table, beside: Line) -> None:
        text = self._flatten(node, beside)
        columns = _number(child(node, "w:tcPr", "w:gridSpan"), 1)
        merged = child(node, "w:tcPr", "w:vMerge")
        if merged is not None and attribute(merged, "val") != "restart" and not text.strip():
            table.repeat(columns=columns)
        elif child(node, "w:tcPr", "w:hMerge") is not None and not text.strip():
            table.skip(columns)
        else:
            table.cell(text, columns=columns)

    def _parts(self, node: Element) -> Iterator[Element]:
        """Yield rows of a table, or cells of a row, out of all wrappers; and text that stands where they should."""
        for inner in node:
            name = tag(inner)
            if name in ("w:tr", "w:tc"):
                mark = ("w:trPr", "w:del") if name == "w:tr" else ("w:tcPr", "w:cellDel")
                if child(inner, *mark) is None:
                    yield inner
                else:
                    self._lines.leave_out_removed(inner)
            elif name in ("w:p", "w:tbl", "w:r"):
                yield inner
            elif name == "mc:AlternateContent":
                branch = choose_branch(inner)
                if branch is not None:
                    yield from self._parts(branch)
            elif name in ("w:del", "w:moveFrom"):
                self._lines.leave_out_removed(inner)
            elif is_property(name):
                continue
            elif next(descendants(inner, "w:tr", "w:tc", "w:p", "w:tbl", "w:r"), None) is not None:
                yield from self._parts(inner)
            elif has_text(inner):
                yield inner

    def _flatten(self, node: Element, beside: Line) -> str:
        """Return the text of a cell on one line; the rows of a table in it are apart by semicolons."""
        name = tag(node)
        if name == "w:tbl":
            return "; ".join(row.replace("\t", " ") for row in self._read_rows(node, beside))
        if name == "w:p" or _is_line(name) or next(descendants(node, *_BLOCKS), None) is None:
            line = Line()
            if name == "w:p":
                self._fill_line(node, line)
            else:
                self._lines.read_element(node, line)
                self._lines.end_paragraph(line)
            beside.take_anchored(line)
            return line.text
        if name == "mc:AlternateContent":
            branch = choose_branch(node)
            return "" if branch is None else self._flatten(branch, beside)
        if name in ("w:del", "w:moveFrom"):
            self._lines.leave_out_removed(node)
            return ""
        texts = [self._flatten(inner, beside) for inner in node if not is_property(tag(inner))]
        return " ".join(text for text in texts if text.strip())


def _is_line(name: str) -> bool:
    """Return whether an element belongs into a paragraph, though blocks stand in it: text boxes do."""
    return name in ("w:r", "w:drawing", "w:pict", "w:object")


def _number(node: Element | None, default: int) -> int:
    value = attribute(node, "val") or ""
    return int(value) if value.isdecimal() else default
