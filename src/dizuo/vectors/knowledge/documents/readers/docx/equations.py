"""Equations of a Word document as one line of text: `(a+b)/2`, `x^2`, `√(n)` (ISO/IEC 29500-1, 22.1).

Word's own linear format, in short. Brackets, sums and accents are attributes in the XML and no text, so that reading
the text alone would lose them.
"""

from __future__ import annotations

from collections.abc import Callable
from xml.etree.ElementTree import Element

from dizuo.vectors.knowledge.documents.readers.docx.names import attribute, child, children, is_on, tag

__all__ = ["read_equation"]


def read_equation(node: Element, read_other: Callable[[Element], str]) -> str:
    """Return an equation, or a part of one, as text.

    Args:
        node: any element of the namespace of mathematics.
        read_other: returns the text of an element of another namespace, such as a tracked insertion.
    """

    def read(inner: Element | None) -> str:
        return "" if inner is None else "".join(read_one(item) for item in inner)

    def read_one(inner: Element) -> str:
        name = tag(inner)
        if name == "m:t":
            return inner.text or ""
        if name.endswith("Pr"):
            return ""
        shape = _SHAPES.get(name)
        if shape is not None:
            return shape(inner, read)
        return read(inner) if name.startswith("m:") else read_other(inner)

    return read_one(node)


Read = Callable[[Element | None], str]


def _group(text: str) -> str:
    """Return a part in parentheses, if it is more than one letter, number or name."""
    return text if len(text) <= 1 or text.isalnum() or (text[0] == "(" and text[-1] == ")") else f"({text})"


def _read_fraction(node: Element, read: Read) -> str:
    return f"{_group(read(child(node, 'm:num')))}/{_group(read(child(node, 'm:den')))}"


def _read_scripts(node: Element, read: Read) -> str:
    return read(child(node, "m:e")) + _read_limits(node, read)


def _read_scripts_before(node: Element, read: Read) -> str:
    return _read_limits(node, read) + read(child(node, "m:e"))


def _read_limits(node: Element, read: Read) -> str:
    below, above = read(child(node, "m:sub")), read(child(node, "m:sup"))
    return (f"_{_group(below)}" if below else "") + (f"^{_group(above)}" if above else "")


def _read_root(node: Element, read: Read) -> str:
    degree = "" if is_on(child(node, "m:radPr", "m:degHide")) else read(child(node, "m:deg"))
    return f"{degree}√({read(child(node, 'm:e'))})"


def _read_sum(node: Element, read: Read) -> str:
    sign = attribute(child(node, "m:naryPr", "m:chr"), "val")
    return f"{'∫' if sign is None else sign}{_read_limits(node, read)} {read(child(node, 'm:e'))}"


def _read_brackets(node: Element, read: Read) -> str:
    def sign(name: str, default: str) -> str:
        given = attribute(child(node, "m:dPr", name), "val")
        return default if given is None else given

    inner = sign("m:sepChr", "|").join(read(item) for item in children(node, "m:e"))
    return f"{sign('m:begChr', '(')}{inner}{sign('m:endChr', ')')}"


def _read_accent(node: Element, read: Read) -> str:
    sign = attribute(child(node, "m:accPr", "m:chr"), "val")
    return read(child(node, "m:e")) + ("\u0302" if sign is None else sign)


def _read_limit(sign: str) -> Callable[[Element, Read], str]:
    return lambda node, read: f"{read(child(node, 'm:e'))}{sign}{_group(read(child(node, 'm:lim')))}"


def _read_matrix(node: Element, read: Read) -> str:
    return "; ".join(", ".join(read(cell) for cell in children(row, "m:e")) for row in children(node, "m:mr"))


def _read_lines(node: Element, read: Read) -> str:
    return "; ".join(read(line) for line in children(node, "m:e"))


def _read_function(node: Element, read: Read) -> str:
    return f"{read(child(node, 'm:fName'))} {read(child(node, 'm:e'))}"


_SHAPES: dict[str, Callable[[Element, Read], str]] = {
    "m:f": _read_fraction,
    "m:sSub": _read_scripts,
    "m:sSup": _read_scripts,
    "m:sSubSup": _read_scripts,
    "m:sPre": _read_scripts_before,
    "m:rad": _read_root,
    "m:nary": _read_sum,
    "m:d": _read_brackets,
    "m:acc": _read_accent,
    "m:limLow": _read_limit("_"),
    "m:limUpp": _read_limit("^"),
    "m:m": _read_matrix,
    "m:eqArr": _read_lines,
    "m:func": _read_function,
}
