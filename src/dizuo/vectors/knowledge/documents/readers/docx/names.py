"""Names in the XML of a Word document: `w:p` for a paragraph, whichever of its namespaces the file uses.

ISO/IEC 29500 has two sets of namespaces: the transitional one, which Word writes unless asked, and the strict one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from xml.etree.ElementTree import Element

__all__ = ["attribute", "child", "children", "descendants", "has_text", "is_on", "leaves", "outermost", "tag"]

_PREFIXES = {
    "http://schemas.openxmlformats.org/wordprocessingml/2006/main": "w",
    "http://purl.oclc.org/ooxml/wordprocessingml/main": "w",
    "http://schemas.openxmlformats.org/officeDocument/2006/math": "m",
    "http://purl.oclc.org/ooxml/officeDocument/math": "m",
    "http://schemas.openxmlformats.org/drawingml/2006/main": "a",
    "http://purl.oclc.org/ooxml/drawingml/main": "a",
    "http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing": "wp",
    "http://purl.oclc.org/ooxml/drawingml/wordprocessingDrawing": "wp",
    "http://schemas.microsoft.com/office/word/2010/wordprocessingDrawing": "wp",
    "http://schemas.openxmlformats.org/drawingml/2006/picture": "pic",
    "http://purl.oclc.org/ooxml/drawingml/picture": "pic",
    "http://schemas.openxmlformats.org/drawingml/2006/chart": "c",
    "http://purl.oclc.org/ooxml/drawingml/chart": "c",
    "http://schemas.microsoft.com/office/drawing/2014/chartex": "cx",
    "http://schemas.openxmlformats.org/drawingml/2006/diagram": "dgm",
    "http://purl.oclc.org/ooxml/drawingml/diagram": "dgm",
    "http://schemas.openxmlformats.org/markup-compatibility/2006": "mc",
    "urn:schemas-microsoft-com:vml": "v",
    "urn:schemas-microsoft-com:office:office": "o",
}
_TEXTS = {"w:t", "m:t", "a:t"}
_OTHER_TEXT = {"v:textpath", "c:chart", "cx:chart", "dgm:relIds", "w:sym"}


@cache
def _shorten(name: str) -> str:
    namespace, _, local = name.rpartition("}")
    return f"{_PREFIXES.get(namespace[1:], '?')}:{local}"


def tag(node: Element) -> str:
    """Return an element's name with its usual prefix; the prefix of a namespace that is not known is `?`."""
    return _shorten(node.tag)


def attribute(node: Element | None, local: str) -> str | None:
    """Return an attribute by its name without namespace, or None."""
    if node is None:
        return None
    return next((value for name, value in node.items() if name.rpartition("}")[2] == local), None)


def child(node: Element | None, *path: str) -> Element | None:
    """Return the element at a path of names below this one, or None."""
    for name in path:
        if node is None:
            return None
        node = next((inner for inner in node if tag(inner) == name), None)
    return node


def children(node: Element | None, name: str) -> Iterator[Element]:
    """Yield an element's children of one name."""
    if node is not None:
        yield from (inner for inner in node if tag(inner) == name)


def descendants(node: Element, *names: str) -> Iterator[Element]:
    """Yield the elements of some names anywhere below."""
    yield from (inner for inner in node.iter() if inner is not node and tag(inner) in names)


def outermost(node: Element, name: str) -> Iterator[Element]:
    """Yield the elements of a name below, without those within each other."""
    for inner in node:
        if tag(inner) == name:
            yield inner
        else:
            yield from outermost(inner, name)


def leaves(node: Element, *without: str) -> Iterator[str]:
    """Yield the texts in an element that are more than white space, but for those in some elements."""
    name = tag(node)
    if name in _TEXTS and (node.text or "").strip():
        yield node.text or ""
    for inner in node:
        if tag(inner) not in without:
            yield from leaves(inner, *without)


def is_on(node: Element | None) -> bool:
    """Return whether a switch such as `<w:vanish/>` is there and not turned off."""
    return node is not None and attribute(node, "val") not in ("0", "false", "off")


def has_text(node: Element) -> bool:
    """Return whether there is anything to read in an element, tracked deletions not counted."""
    return any(
        (name := tag(inner)) in _OTHER_TEXT or (name in _TEXTS and (inner.text or "").strip()) for inner in node.iter()
    )
