"""Finds what an HTML file says its encoding is, without decoding it, as browsers do.

HTML standard, "prescan a byte stream to determine its encoding" and "get an XML encoding". A `<meta>` inside a comment
or inside another tag's attribute says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dizuo.vectors.knowledge.documents.decoding.labels import codec_of_label

__all__ = ["find_label"]

_BEGINNING = 1024
"""Bytes in which browsers look for a label before they decode."""
_TAG = re.compile(rb"<!--|<(meta)(?=[\t\n\f\r /])|</?([A-Za-z])|<[!/?]", re.IGNORECASE)
_COMMENT_END = re.compile(rb"--!?>|(?<=<!)-->|(?<=<!-)->")
_ATTRIBUTE = re.compile(
    rb"""[\t\n\f\r /]*+([^\t\n\f\r />=][^\t\n\f\r />=]*+)"""
    rb"""(?:[\t\n\f\r ]*+=[\t\n\f\r ]*+(?:"([^"]*+)"|'([^']*+)'|([^\t\n\f\r >]*+)))?"""
)
_IN_CONTENT = re.compile(
    rb"""charset[\t\n\f\r ]*=[\t\n\f\r ]*(?:"([^"]*)"|'([^']*)'|([^\t\n\f\r ;"'][^\t\n\f\r ;]*))""", re.I
)
_XHTML = b"http://www.w3.org/1999/xhtml"
_XML = re.compile(rb"""<\?xml[^>]*?\bencoding[\x00-\x20]*=[\x00-\x20]*(["'])([^"'\x00-\x20]*)\1""")


def find_label(raw: bytes) -> str | None:
    """Return the label of a page's encoding as it is written, or None.

    In order: a `<meta>` in the first 1,024 bytes, an XML declaration, a `<meta>` further on, where browsers begin anew
    when they come to it. A page that says it is XHTML is read as XML: its declaration comes first.
    """
    declared = _XML.match(raw)
    in_xml = declared[2].decode("latin-1") if declared else None
    if in_xml and _XHTML in raw[:_BEGINNING]:
        return in_xml
    return _scan(raw[:_BEGINNING]) or in_xml or _scan(raw)


def _scan(raw: bytes) -> str | None:
    """Return the label of the first `<meta>` that has one which means something; else of the first that has one."""
    first: str | None = None
    at = 0
    while (tag := _TAG.search(raw, at)) is not None:
        if tag[0] == b"<!--":
            end = _COMMENT_END.search(raw, tag.start() + 2)
            if end is None:
                break
            at = end.end()
        elif tag[1] or tag[2]:
            at = tag.end() if tag[1] else _skip_name(raw, tag.end())
            attributes: dict[bytes, bytes] = {}
            for name, value, end_of in _attributes(raw, at):
                attributes.setdefault(name, value)
                at = end_of
            label = _label_of(attributes) if tag[1] else None
            if label is not None and codec_of_label(label) is not None:
                return label
            first = first or label
        else:
            close = raw.find(b">", tag.end())
            if close < 0:
                break
            at = close + 1
    return first


def _skip_name(raw: bytes, at: int) -> int:
    """Return where a tag's name ends."""
    end = re.compile(rb"[\t\n\f\r />]").search(raw, at)
    return end.start() if end else len(raw)


def _attributes(raw: bytes, at: int) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield (name, value, where it ends) of a tag's attributes, names in lower case."""
    while (attribute := _ATTRIBUTE.match(raw, at)) is not None:
        at = attribute.end()
        value = next((group for group in attribute.groups()[1:] if group is not None), b"")
        yield attribute[1].lower(), value, at


def _label_of(attributes: dict[bytes, bytes]) -> str | None:
    """Return what a `<meta>` says: its `charset`, or that of its `content` where it stands for an HTTP header."""
    if b"charset" in attributes:
        return attributes[b"charset"].strip().decode("latin-1")
    if attributes.get(b"http-equiv", b"").lower() == b"content-type":
        said = _IN_CONTENT.search(attributes.get(b"content", b""))
        if said:
            return (said[1] or said[2] or said[3] or b"").decode("latin-1")
    return None
