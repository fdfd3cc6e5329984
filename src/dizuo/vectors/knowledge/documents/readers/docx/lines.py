"""`Lines` makes the text of one paragraph of what stands in it, whatever that is wrapped in.

Every element that is not named here is taken for a wrapper, and what is in it is read. So a wrapper that nobody
thought of loses nothing; text in a place where none is known is counted as left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from dizuo.vectors.knowledge.documents.document import Draft
from dizuo.vectors.knowledge.documents.readers.docx.drawings import describe_pictures, read_part
from dizuo.vectors.knowledge.documents.readers.docx.equations import read_equation
from dizuo.vectors.knowledge.documents.readers.docx.names import (
    attribute,
    child,
    children,
    descendants,
    has_text,
    is_on,
    leaves,
    outermost,
    tag,
)
from dizuo.vectors.knowledge.documents.readers.docx.package import Package, Relation
from dizuo.vectors.knowledge.documents.readers.docx.styles import Styles
from dizuo.vectors.knowledge.documents.readers.docx.symbols import read_symbol

__all__ = ["Line", "Lines", "choose_branch", "is_property"]

_TEXTS = {"w:t", "m:t", "a:t"}
_SIGNS = {"w:tab": "\t", "w:ptab": "\t", "w:br": "\n", "w:cr": "\n", "a:br": "\n", "w:noBreakHyphen": "-"}
_NO_TEXT = {"w:instrText", "w:delInstrText", "w:fldData", "w:binData", "wp:posOffset", "wp:align"}
"""Elements with characters that nobody is shown: codes of fields, and numbers of the layout."""
_LAYOUT = ("wp:", "o:")
_REMOVED = {"w:del", "w:moveFrom", "w:delText"}
_EMBEDDED = {
    "w:altChunk": "embedded documents",
    "w:subDoc": "subdocuments in files of their own",
    "w:control": "embedded objects",
    "o:OLEObject": "embedded objects",
    "w:contentPart": "ink drawings",
}


@dataclass(slots=True)
class Line:
    """The text of a paragraph, and what is anchored in it and stands beside it on the page."""

    parts: list[str] = field(default_factory=list)
    boxes: list[Element] = field(default_factory=list)
    """Text boxes, which hold paragraphs and tables of their own."""
    notes: list[tuple[str, str]] = field(default_factory=list)
    """(`footnotes` or `endnotes`, id)."""
    asides: list[str] = field(default_factory=list)
    """Texts of pictures, charts and diagrams."""

    @property
    def text(self) -> str:
        """What was read so far."""
        return "".join(self.parts)

    def take_anchored(self, other: Line) -> None:
        """Take over what is anchored in another line, whose text goes its own way."""
        self.boxes += other.boxes
        self.notes += other.notes
        self.asides += other.asides


@dataclass(slots=True)
class _Field:
    """A field: a code such as `PAGE`, and what Word made of it."""

    code: str = ""
    hidden: list[str] = field(default_factory=list)
    """Text within the code, such as a nested field's result."""
    has_result: bool = False


class Lines:
    """Reads the paragraphs of one part.

    Args:
        package: for parts that a drawing refers to.
        relations: of the part that is read.
        styles: of the document.
        draft: is told what is left out.
    """

    def __init__(self, package: Package, relations: dict[str, Relation], styles: Styles, draft: Draft) -> None:
        self._package = package
        self._relations = relations
        self._styles = styles
        self._draft = draft
        self._fields: list[_Field] = []
        self.moved: list[str] = []
        """Texts that were moved from where they stand in the file."""

    def read(self, node: Element, line: Line) -> None:
        """Add what stands in an element to a line."""
        for inner in node:
            self.read_element(inner, line)

    def end_paragraph(self, line: Line) -> None:
        """Say that a paragraph ends. A code of a field that goes on was none: its file is damaged."""
        for item in self._fields:
            if not item.has_result:
                line.parts += item.hidden
                item.hidden, item.has_result = [], True

    def read_element(self, node: Element, line: Line) -> None:
        """Add an element to a line, according to what it is."""
        name = tag(node)
        if is_property(name):
            self._count_choices(node)
        elif name in _TEXTS:
            self._add(node.text or "", line)
        elif name in _SIGNS:
            self._add(_SIGNS[name], line)
        elif name in _REMOVED:
            self.leave_out_removed(node)
        elif name in _EMBEDDED:
            self.leave_out_embedded(node)
        elif name in _READERS:
            _READERS[name](self, node, line)
        elif name not in _NO_TEXT:
            if (node.text or "").strip() and not name.startswith(_LAYOUT):
                self._draft.leave_out("elements of an unknown kind", where=node.tag.rpartition("}")[2])
            self.read(node, line)

    def _add(self, text: str, line: Line) -> None:
        item = next((item for item in self._fields if not item.has_result), None)
        (line.parts if item is None else item.hidden).append(text)

    def leave_out_embedded(self, node: Element) -> None:
        """Note something that holds a document of another kind."""
        place = self._relations.get(attribute(node, "id") or "")
        name = place.target.rpartition("/")[2] if place else ""
        self._draft.leave_out(_EMBEDDED[tag(node)], where=name)

    def leave_out_removed(self, node: Element) -> None:
        """Note a tracked deletion; what was moved is read at its new place."""
        text = "".join(inner.text or "" for inner in node.iter() if tag(inner) in ("w:t", "w:delText", "m:t"))
        if not text.strip():
            return
        if tag(node) == "w:moveFrom":
            self.moved.append(text)
        else:
            self._draft.leave_out("tracked deletions", hint="accept or reject the changes in Word")

    # ---- one method per element that is more than a wrapper

    def _read_run(self, node: Element, line: Line) -> None:
        if not self._styles.is_hidden(node):
            self.read(node, line)
        elif has_text(node):
            self._draft.leave_out("runs of hidden text")

    def _read_symbol(self, node: Element, line: Line) -> None:
        font = attribute(node, "font") or ""
        character = read_symbol(font, attribute(node, "char") or "")
        if character is None:
            self._draft.leave_out("symbols", where=f"font {font}")
        else:
            self._add(character, line)

    def _read_field_mark(self, node: Element, line: Line) -> None:
        kind = attribute(node, "fldCharType")
        if kind == "begin":
            self._fields.append(_Field())
            self._read_form(node, line)
        elif self._fields and kind == "separate":
            self._fields[-1].has_result = True
        elif self._fields and kind == "end":
            item = self._fields.pop()
            if not item.has_result:
                self._leave_out_field(item.code)

    def _read_form(self, node: Element, line: Line) -> None:
        """Read a check box or a drop-down list of a form, whose state is in the field's data."""
        data = child(node, "w:ffData")
        box, choices = child(data, "w:checkBox"), child(data, "w:ddList")
        if box is not None:
            checked = child(box, "w:checked")
            line.parts.append("☒" if is_on(child(box, "w:default") if checked is None else checked) else "☐")
        elif choices is not None:
            entries = [attribute(entry, "val") or "" for entry in children(choices, "w:listEntry")]
            chosen = (
                attribute(child(choices, "w:result"), "val") or attribute(child(choices, "w:default"), "val") or "0"
            )
            number = int(chosen) if chosen.isdecimal() else 0
            line.parts.append(entries[number] if number < len(entries) else "")
            self._draft.leave_out("choices of drop-down lists", max(0, len(entries) - 1))
        if self._fields and (box is not None or choices is not None):
            self._fields[-1].has_result = True

    def _read_code(self, node: Element, line: Line) -> None:
        if self._fields:
            self._fields[-1].code += node.text or ""

    def _read_simple_field(self, node: Element, line: Line) -> None:
        if has_text(node):
            self.read(node, line)
        else:
            self._leave_out_field(attribute(node, "instr") or "")

    def _leave_out_field(self, code: str) -> None:
        self._draft.leave_out("fields without a result", where=code.split()[0] if code.strip() else "")

    def _read_ruby(self, node: Element, line: Line) -> None:
        """Read the base, then in parentheses what stands above it; in the file it is the other way round."""
        above = Line()
        for inner in node:
            self.read_element(inner, above if tag(inner) == "w:rt" else line)
        if above.text.strip():
            self._add(f"({above.text})", line)
        line.take_anchored(above)

    def _read_note_mark(self, node: Element, line: Line) -> None:
        kind = "footnotes" if tag(node) == "w:footnoteReference" else "endnotes"
        line.notes.append((kind, attribute(node, "id") or ""))

    def _read_equation(self, node: Element, line: Line) -> None:
        def read_other(inner: Element) -> str:
            part = Line()
            self.read_element(inner, part)
            line.take_anchored(part)
            return part.text

        text = read_equation(node, read_other)
        # A shape that is put together in a way of its own has parts where none are looked for.
        known = "\n".join([text, *line.asides])
        lost = [leaf for leaf in leaves(node, *_REMOVED, "w:txbxContent") if leaf.strip() not in known]
        text = " ".join([text, *lost])
        line.boxes += [box for box in outermost(node, "w:txbxContent") if box not in line.boxes]
        self._add(text, line)

    def _read_alternatives(self, node: Element, line: Line) -> None:
        branch = choose_branch(node)
        if branch is not None:
            self.read(branch, line)

    def _read_box(self, node: Element, line: Line) -> None:
        line.boxes.append(node)

    def _read_drawing(self, node: Element, line: Line) -> None:
        texts, num_silent = describe_pictures(node)
        line.asides += texts
        self._draft.leave_out("pictures without a description", num_silent)
        self.read(node, line)

    def _read_reference(self, node: Element, line: Line) -> None:
        """Read a chart or a diagram, which are parts of their own."""
        place = self._relations.get(attribute(node, "dm" if tag(node) == "dgm:relIds" else "id") or "")
        root = self._package.read(place.target) if place else None
        text = "" if root is None else read_part(root)
        if text:
            line.asides.append(text)
        else:
            self._draft.leave_out("charts and diagrams without text")

    def _read_shape_paragraph(self, node: Element, line: Line) -> None:
        part = Line()
        self.read(node, part)
        line.asides.append(part.text)
        line.take_anchored(part)

    def _read_word_art(self, node: Element, line: Line) -> None:
        line.asides.append(attribute(node, "string") or "")

    def _read_inner_paragraph(self, node: Element, line: Line) -> None:
        """Read a paragraph that stands within another one, where none should be."""
        self._add("\n", line)
        self.read(node, line)

    def _count_choices(self, node: Element) -> None:
        """Count what a content control offers; what was chosen is its content."""
        for choices in descendants(node, "w:dropDownList", "w:comboBox"):
            self._draft.leave_out("choices of drop-down lists", sum(1 for _ in children(choices, "w:listItem")))


_READERS: dict[str, Callable[[Lines, Element, Line], None]] = {
    "w:r": Lines._read_run,
    "w:sym": Lines._read_symbol,
    "w:fldChar": Lines._read_field_mark,
    "w:instrText": Lines._read_code,
    "w:fldSimple": Lines._read_simple_field,
    "w:ruby": Lines._read_ruby,
    "w:footnoteReference": Lines._read_note_mark,
    "w:endnoteReference": Lines._read_note_mark,
    "m:oMath": Lines._read_equation,
    "mc:AlternateContent": Lines._read_alternatives,
    "w:txbxContent": Lines._read_box,
    "w:drawing": Lines._read_drawing,
    "w:pict": Lines._read_drawing,
    "w:object": Lines._read_drawing,
    "c:chart": Lines._read_reference,
    "cx:chart": Lines._read_reference,
    "dgm:relIds": Lines._read_reference,
    "a:p": Lines._read_shape_paragraph,
    "v:textpath": Lines._read_word_art,
    "w:p": Lines._read_inner_paragraph,
    "w:tbl": Lines._read_inner_paragraph,
}


def is_property(name: str) -> bool:
    """Return whether an element says how something looks, as `w:rPr` and `w:tblGrid` do, and holds no text."""
    return name.endswith("Pr") or name in ("w:tblGrid", "w:tblPrEx", "w:rubyPr")


def choose_branch(node: Element) -> Element | None:
    """Return the branch of alternatives that is read: the first with text in it, for all say the same.

    A text box stands in its file twice, as DrawingML and as VML for Word 2007.
    """
    branches = [inner for inner in node if tag(inner) in ("mc:Choice", "mc:Fallback")]
    return next((branch for branch in branches if has_text(branch)), branches[0] if branches else None)
