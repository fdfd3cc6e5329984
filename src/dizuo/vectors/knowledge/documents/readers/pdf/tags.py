"""The tags of a PDF: what it says its figures show, and for what text its drawings stand (ISO 32000-2, 14.9)."""

from __future__ import annotations

from typing import Any

__all__ = ["read_tags"]

_MOST = 1_000_000
"""Elements that are looked at; a tree that goes in circles has an end here, too."""


def read_tags(reader: Any, pages: list[Any]) -> tuple[dict[int, list[str]], bool]:
    """Return page (from 1) → the alternative and the actual texts of its elements; and whether the tree is whole.

    The texts of elements without a page are on the last. A tree that is broken is read as far as it goes.
    """
    numbers = {page.indirect_reference.idnum: number for number, page in enumerate(pages, start=1)}
    texts: dict[int, list[str]] = {}
    try:
        stack = [(reader.root_object.get("/StructTreeRoot"), len(pages))]
        for _ in range(_MOST):
            if not stack:
                break
            node, number = stack.pop()
            node = node.get_object() if hasattr(node, "get_object") else node
            if isinstance(node, list):
                stack += [(inner, number) for inner in reversed(node)]
            elif hasattr(node, "raw_get"):
                place = node.raw_get("/Pg") if "/Pg" in node else None
                number = numbers.get(getattr(place, "idnum", -1), number)
                texts.setdefault(number, []).extend(str(node[key]) for key in ("/Alt", "/ActualText") if key in node)
                stack.append((node.get("/K"), number))
    except Exception:  # pypdf meets broken objects with whatever its parsers raise
        return texts, False
    return texts, True
