"""What lies upon the pages of a PDF: values of form fields, and notes (ISO 32000-2, 12.5 and 12.7)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from dizuo.vectors.knowledge.documents.document import Draft

__all__ = ["Annotations"]

_HIDDEN = 0b10
_PASSWORD = 1 << 13
_PUSH_BUTTON = 1 << 16
_DRAWN = ("/Stamp", "/Watermark", "/FreeText", "/Redact", "/Line", "/Square", "/Circle", "/Polygon", "/PolyLine")
"""Kinds that are drawn upon the page, and may have text in their drawing that stands nowhere else."""
_TAG = re.compile(r"<[^<>]*>")
_RECORDINGS = {"/Sound", "/Movie", "/Screen", "/RichMedia"}
_EMBEDDED = {"/3D", "/Projection"}


@dataclass(slots=True)
class Annotations:
    """Reads the annotations of pages, one page after the other.

    Args:
        draft: is told what is left out.
    """

    draft: Draft
    attached: list[str] = field(default_factory=list)
    """Names of files that are attached to a place on a page."""
    _fields: set[str] = field(default_factory=set)
    """Names of fields whose value was read: a field may stand on several pages."""
    _on_pages: set[int] = field(default_factory=set)
    """Ids of what lies upon pages; pypdf keeps the objects as long as its reader."""

    def read(self, page: Any, number: int) -> list[str]:
        """Return the values of a page's fields, as `name: value`, and the texts that are written onto the page."""
        texts = []
        for item in _get(page, "/Annots") or ():
            try:
                node = item.get_object()
                self._on_pages.add(id(node))
                text = self._read_annotation(node, number)
                shown = _read_appearance(node, page)
                if "".join(shown.split()) not in "".join(text.split()):
                    text = f"{text}\n{shown}"
            except Exception:  # damaged objects, which pypdf meets with whatever its parsers raise
                self.draft.leave_out("damaged notes or fields", where=f"page {number}")
                continue
            if text.strip():
                texts.append(text)
        return texts

    def read_other_fields(self, form: Any) -> list[str]:
        """Return the values of a form's fields that stand on no page.

        Args:
            form: the catalog's dictionary of the form.
        """
        texts = []
        stack, seen = [form], set[int]()
        while stack:
            node = stack.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            try:
                kids = [kid.get_object() for key in ("/Fields", "/Kids") for kid in _get(node, key) or ()]
                stack += reversed(kids)
                text = "" if kids or id(node) in self._on_pages else self._read_field(node, hidden=False)
            except Exception:
                self.draft.leave_out("damaged notes or fields")
                continue
            texts += [text] if text.strip() else []
        return texts

    def _read_annotation(self, node: Any, number: int) -> str:
        kind = str(_get(node, "/Subtype") or "")
        contents = _as_text(_get(node, "/Contents"))
        hidden = int(_get(node, "/F") or 0) & _HIDDEN
        if kind == "/Widget":
            return self._read_field(node, hidden=bool(hidden))
        if kind == "/FreeText" and not hidden:
            return contents or _TAG.sub("", _as_text(_get(node, "/RC")))
        if kind == "/FileAttachment":
            name = _get(_get(node, "/FS"), "/UF") or _get(_get(node, "/FS"), "/F")
            self.attached.append(str(name or "a file without a name"))
        elif kind in _RECORDINGS:
            self.draft.leave_out("recordings", where=f"page {number}")
        elif kind in _EMBEDDED:
            self.draft.leave_out("embedded objects", where=f"page {number}")
        if contents.strip() and kind != "/Popup":  # a popup shows the note that it belongs to
            self.draft.leave_out("notes", where=f"page {number}")
        return ""

    def _read_field(self, node: Any, *, hidden: bool) -> str:
        chain = list(_parents(node))
        name = ".".join(str(one["/T"]) for one in reversed(chain) if "/T" in one)
        kind = str(_inherit(chain, "/FT") or "")
        flags = int(_inherit(chain, "/Ff") or 0)
        if name in self._fields and kind != "/Btn":  # each button of a name has a state of its own
            return ""
        if name:
            self._fields.add(name)
        if kind == "/Sig":
            self.draft.leave_out("signatures", int(_inherit(chain, "/V") is not None))
            return ""
        value = self._read_button(node, chain, flags) if kind == "/Btn" else self._read_value(chain)
        if not value.strip():
            return ""
        if kind == "/Tx" and flags & _PASSWORD:
            self.draft.leave_out("passwords")
            return ""
        if hidden:
            self.draft.leave_out("hidden fields")
            return ""
        label = str(_inherit(chain, "/TU") or name)
        return f"{label}: {value}" if label else value

    def _read_value(self, chain: list[Any]) -> str:
        """Return what was written or chosen; of a choice, what is shown for it."""
        value = _inherit(chain, "/V")
        shown = {}
        for option in _inherit(chain, "/Opt") or ():
            option = option.get_object() if hasattr(option, "get_object") else option
            if isinstance(option, list) and len(option) > 1:
                shown[str(option[0])] = str(option[1])
        chosen = [_as_text(one) for one in value] if isinstance(value, list) else [_as_text(value)]
        options = _inherit(chain, "/Opt")
        if options:
            self.draft.leave_out(
                "choices of drop-down lists", max(0, len(options) - len([one for one in chosen if one]))
            )
        return ", ".join(shown.get(one, one) for one in chosen if one)

    def _read_button(self, node: Any, chain: list[Any], flags: int) -> str:
        """Return the caption of a push button, or which state a check box or radio button is in when it is on."""
        if flags & _PUSH_BUTTON:
            return str(_get(_get(node, "/MK"), "/CA") or "")
        state = str(_get(node, "/AS") or _inherit(chain, "/V") or "")
        return "" if state in ("", "/Off") else state.lstrip("/")


def _read_appearance(node: Any, page: Any) -> str:
    """Return the text in the drawing that shows an annotation; a button's is a tick of some font, and is left."""
    flags = int(_get(node, "/F") or 0)
    is_field = _get(node, "/Subtype") == "/Widget" and _inherit(list(_parents(node)), "/FT") in ("/Tx", "/Ch", None)
    if flags & _HIDDEN or not (is_field or _get(node, "/Subtype") in _DRAWN):
        return ""
    if int(_inherit(list(_parents(node)), "/Ff") or 0) & _PASSWORD:
        return ""
    drawing = _get(_get(node, "/AP"), "/N")
    return str(page.extract_xform_text(drawing)) if hasattr(drawing, "get_data") else ""


def _parents(node: Any) -> Iterator[Any]:
    """Yield a field and those that it is a part of."""
    seen: set[int] = set()
    while node is not None and id(node) not in seen:
        seen.add(id(node))
        yield node
        node = _get(node, "/Parent")


def _inherit(chain: list[Any], key: str) -> Any:
    return next((value for one in chain if (value := _get(one, key)) is not None), None)


def _get(node: Any, key: str) -> Any:
    """Return a value of a dictionary, wherever it is kept, or None."""
    if not hasattr(node, "get"):
        return None
    value = node.get(key)
    value = value.get_object() if hasattr(value, "get_object") else value
    return None if type(value).__name__ == "NullObject" else value


def _as_text(value: Any) -> str:
    """Return a text, a name or a stream as text."""
    value = value.get_object() if hasattr(value, "get_object") else value
    if value is None or type(value).__name__ == "NullObject":
        return ""
    if hasattr(value, "get_data"):
        raw: bytes = value.get_data()
        return raw.decode("utf-16" if raw[:2] in (b"\xfe\xff", b"\xff\xfe") else "utf-8", "replace")
    return str(value).lstrip("/") if type(value).__name__ == "NameObject" else str(value)
