"""MathML as one line of text: `(a+b)/2`, `x^2`, `√(n)`. Source: MathML Core, section 3."""

from __future__ import annotations

from typing import Any

__all__ = ["arrange_formula"]

_SCRIPTS = {
    "msup": ("^",), "msub": ("_",), "msubsup": ("_", "^"), "mover": ("^",), "munder": ("_",), "munderover": ("_", "^"),
    "mfrac": ("/",),
}  # fmt: skip
_BETWEEN = {"mtable": "; ", "mtr": ", ", "mlabeledtr": ", "}


def arrange_formula(tag: str, children: list[Any]) -> list[Any]:
    """Return what is read of a formula's element: its children, with signs as texts between them.

    Args:
        tag: of the element, such as `mfrac`; those that only group are left as they are.
        children: its nodes.
    """
    parts = [child for child in children if not (child.tag == "-text" and not (child.text_content or "").strip())]
    if tag in _SCRIPTS and len(parts) > 1:
        signs = _SCRIPTS[tag]
        arranged: list[Any] = _group(parts[0]) if tag == "mfrac" else [parts[0]]
        for number, part in enumerate(parts[1:]):
            arranged += [signs[min(number, len(signs) - 1)], *_group(part)]
        return arranged
    if tag == "mroot" and len(parts) > 1:
        return [*parts[1:], "√(", parts[0], ")"]
    if tag == "msqrt":
        return ["√(", *parts, ")"]
    if tag in _BETWEEN:
        return [item for part in parts for item in (_BETWEEN[tag], part)][1:]
    return [" "] if tag == "mspace" else parts


def _group(node: Any) -> list[Any]:
    """Return a node in parentheses, if it is more than one letter, number or name."""
    text = "".join((node.text() or "").split())
    return [node] if len(text) <= 1 or text.isalnum() else ["(", node, ")"]
