"""Sort keys: metadata values as texts that compare as the values do, for databases that compare nothing but texts.

A sort key is one letter for the kind and then what gives the order within it. A filter on a metadata key becomes a
comparison of sort keys by code point:

    null     z
    bool     b0, b1
    number   n + 16 hexadecimal digits of the nearest float64 in sort order + 4 for what an integer has more than that
    text     s + the text
    list     l + U+001F + its scalar elements in this form, each followed by U+001F (for `contains`)
    mapping  o

So 2020 is 2020.0, 2^53 is not 2^53 + 1, True is not 1, and the numbers are what lies between `n` and `o`. The bits of
floats are in sort order when the sign bit of positive numbers and all bits of negative ones are flipped (Herf 2001,
"Radix tricks").
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from json.encoder import encode_basestring as _quoted
from typing import Any

from dizuo.vectors.filters.tree import Compare, Scalar, StartsWith
from dizuo.vectors.points import JSON, Metadata

__all__ = ["element_key", "json_member", "key_range", "order_bits", "sort_key", "sort_keys", "sort_keys_json"]

_DOUBLE, _LONG = struct.Struct(">d"), struct.Struct(">Q")
_SIGN, _ALL = 1 << 63, (1 << 64) - 1
_SEPARATOR = "\x1f"


def sort_keys(metadata: Metadata) -> dict[str, str]:
    """Return the sort key of the value under every key of a record's metadata."""
    return {key: "s" + value if type(value) is str else sort_key(value) for key, value in metadata.items()}


def sort_keys_json(rows: Sequence[Metadata]) -> list[str | None]:
    """Return `sort_keys` of many records as JSON texts, None for empty ones.

    The same values occur again and again in metadata, so each pair of key and value is written once.
    """
    pieces: dict[tuple[str, type, Any], str] = {}
    texts: list[str | None] = []
    for row in rows:
        parts = []
        for key, value in row.items():
            kind = type(value)
            if kind is list or kind is tuple or kind is dict:
                parts.append(json_member(key, value))
                continue
            held = pieces.get((key, kind, value))
            if held is None:
                held = pieces[key, kind, value] = json_member(key, value)
            parts.append(held)
        texts.append(f"{{{','.join(parts)}}}" if parts else None)
    return texts


def json_member(key: str, value: JSON) -> str:
    """Return a metadata key and the sort key of its value as a member of a JSON object."""
    return f"{_quoted(key)}:{_quoted(sort_key(value))}"


def sort_key(value: JSON) -> str:
    """Return the sort key of a value."""
    kind = type(value)
    if kind is str:
        return "s" + str(value)
    if kind is bool:
        return "b1" if value else "b0"
    if kind is int or kind is float:
        return _number(value)  # type: ignore[arg-type]
    if value is None:
        return "z"
    if isinstance(value, list | tuple):
        return "l" + _SEPARATOR + "".join(_escaped(sort_key(item)) + _SEPARATOR for item in value if _is_scalar(item))
    return "o"


def element_key(value: Scalar) -> str:
    """Return the text that is part of the sort key of every list that contains the value."""
    return _SEPARATOR + _escaped(sort_key(value)) + _SEPARATOR


def key_range(leaf: Compare | StartsWith) -> tuple[str, str]:
    """Return the half-open range [low, high) of the sort keys for which an ordered comparison or a prefix holds."""
    if isinstance(leaf, StartsWith):
        return "s" + leaf.prefix, _after("s" + leaf.prefix)
    edge = sort_key(leaf.value)
    low, high = edge[0], chr(ord(edge[0]) + 1)
    if leaf.operator == "<":
        return low, edge
    if leaf.operator == "<=":
        return low, edge + "\0"
    return (edge + "\0", high) if leaf.operator == ">" else (edge, high)


def order_bits(value: float) -> int:
    """Return a float64 as an integer from 0 to 2^64 − 1 in the order of numbers; −0.0 is 0.0."""
    bits = int(_LONG.unpack(_DOUBLE.pack(value + 0.0))[0])  # + 0.0 makes −0.0 into 0.0
    return bits ^ _ALL if bits & _SIGN else bits | _SIGN


def _number(value: int | float) -> str:
    near = float(value)
    beyond = value - int(near) if type(value) is int and not -(2**53) <= value <= 2**53 else 0
    return f"n{order_bits(near):016x}{0x8000 + beyond:04x}"


def _after(prefix: str) -> str:
    """Return the smallest text that is larger than every text that begins with this."""
    last = ord(prefix[-1])
    if last == 0x10FFFF:
        return _after(prefix[:-1])
    return prefix[:-1] + chr(0xE000 if last == 0xD7FF else last + 1)


def _escaped(text: str) -> str:
    return text.replace("\x1e", "\x1e0").replace(_SEPARATOR, "\x1e1")


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | bool | int | float)
