"""How a record of ours is written in Marqo, and a filter of ours in its language.

A structured index has the fields that it was made with and no others, so numbers of any key cannot be fields of their
own. They become tags as all else does (`exact/tags_and_numbers.py`): a number's 64 bits in the order of numbers
are 16 hexadecimal digits, every beginning of which is a tag, and an order is one of at most 240 beginnings. That is
exact for every float64 and needs nothing but the test whether a list of texts holds one, which Marqo answers by `IN`.

Vespa, below Marqo, refuses texts with control characters and non-characters, and by default compares texts without
regard to case: all texts are JSON with such characters escaped, all tags are in lower case.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dizuo.vectors.exact.sort_keys import order_bits
from dizuo.vectors.exact.tags_and_numbers import (
    ON_EVERY_RECORD,
    AllOf,
    AnyOf,
    Condition,
    Has,
    Lacks,
    Number,
    flatten,
    split_tags,
)
from dizuo.vectors.points import Block, Floats
from dizuo.vectors.protocol.store import Columns

__all__ = [
    "FIELDS",
    "HELD",
    "PLACES",
    "field_names",
    "find_mark",
    "mark_field",
    "metadata_fields",
    "read_rows",
    "record_key",
    "space_name",
    "write_filter",
    "write_rows",
]

HELD = 99_960
"""Characters of a document as JSON that Marqo takes (MARQO_MAX_DOC_BYTES is 100,000), without its mark."""
PLACES = 2**52
"""Every record has a place below this, by its id: what it is scanned by."""
FIELDS: list[dict[str, Any]] = [
    {"name": "vector", "type": "custom_vector"},
    {"name": "bytes", "type": "text"},
    {"name": "ident", "type": "text"},
    {"name": "meta", "type": "text"},
    {"name": "document", "type": "text"},
    {"name": "space", "type": "text", "features": ["filter"]},
    {"name": "tags", "type": "array<text>", "features": ["filter"]},
    {"name": "place", "type": "long", "features": ["filter"]},
]
"""Of the index; `vector` is its only tensor field."""
NAMES = {"vectors": "bytes", "metadata": "meta", "documents": "document"}
LONG = 4000
"""Characters from which on a text is compressed."""
DIGITS = "0123456789abcdef"
LIST = 1000
"""Values of one `IN`."""
_REFUSED = re.compile("[\0-\x1f\x7f\ufdd0-\ufdef]|[\ufffe\uffff" + "".join(
    f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(1, 17)
) + "]")  # fmt: skip


def record_key(space: str, id: str) -> str:
    """Return Marqo's id of a record."""
    return hashlib.sha256(f"{space}:{id}".encode()).hexdigest()[:40]


def space_name(namespace: str, generation: str) -> str:
    """Return the name of a namespace in filters; no two collections have the same."""
    return "n" + hashlib.sha256(f"{generation}{namespace}".encode()).hexdigest()[:24]


def mark_field(generation: str) -> str:
    """Return the field whose name is the mark of an index.

    An index has the fields that it was made with. So its settings tell the mark, and documents that have the field are
    refused by an index that somebody has made in the place of theirs.
    """
    return f"generation_{generation}"


def find_mark(fields: Sequence[Mapping[str, Any]]) -> str:
    """Return the mark of an index with these fields; empty where it was made before there were marks."""
    marks = [field["name"].removeprefix("generation_") for field in fields if field["name"].startswith("generation_")]
    return marks[0] if marks else ""


def metadata_fields(metadata: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return the fields that depend on a record's metadata."""
    flat = flatten(metadata)
    orders = [tag for column, value in flat.numbers.items() for tag in _prefixes(column, value)]
    return {"meta": _pack(text), "tags": [*flat.tags, *orders]}


def write_rows(space: str, block: Block) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return the documents of an upsert by our ids, and why others cannot be held."""
    rows: dict[str, dict[str, Any]] = {}
    refused: dict[str, str] = {}
    columns = (block.ids, block.vectors, block.metadata, block.metadata_texts, block.documents)
    for id, vector, metadata, text, document in zip(*columns, strict=True):
        key = record_key(space, id)
        row = {
            "_id": key,
            "vector": {"vector": vector.tolist(), "content": ""},
            "bytes": base64.b64encode(vector.tobytes()).decode("ascii"),
            "ident": _escape(json.dumps(id, ensure_ascii=False)),
            "document": _pack(json.dumps(document, ensure_ascii=False)),
            "space": space,
            "place": int(key[:13], 16),
            **metadata_fields(metadata, text),
        }
        size = len(json.dumps(row))
        if size > HELD:
            refused[id] = f"it takes {size:,} characters as a document of Marqo, which holds {HELD:,}"
        else:
            rows[id] = row
    return rows, refused


def field_names(columns: Columns) -> list[str]:
    """Return the fields that an answer with these columns needs."""
    return ["ident", *(NAMES[column] for column in sorted(columns))]


def read_rows(rows: Sequence[Mapping[str, Any]], columns: Columns, dim: int) -> Block:
    """Return what Marqo sent as a block."""
    vectors: Floats | None = None
    if "vectors" in columns:
        raw = b"".join(base64.b64decode(row["bytes"]) for row in rows)
        vectors = np.frombuffer(raw, np.float32).reshape(len(rows), dim)
    return Block(
        [json.loads(row["ident"]) for row in rows],
        vectors,
        [_unpack(row["meta"]) for row in rows] if "metadata" in columns else None,
        [json.loads(_unpack(row["document"])) for row in rows] if "documents" in columns else None,
    )


def write_filter(condition: Condition, space: str, low: int | None = None, high: int | None = None) -> str:
    """Return a condition in a namespace, and from place `low` to `high` (both included), in Marqo's language."""
    parts = [f"space:{space}"]
    if low is not None:
        parts.append(f"place:[{low} TO {high}]")
    if condition != AllOf(()):
        parts.append(_write_condition(condition))
    return " AND ".join(parts)


def _write_condition(condition: Condition) -> str:
    match condition:
        case Has(tag):
            return f"tags:{tag}"
        case Lacks(tag):
            return _write_condition(AllOf((Lacks(tag),)))
        case Number(column, order, value):
            return _write_in(_order_tags(column, order, value))
        case AllOf(parts):
            lacking, others = split_tags(parts, Lacks)
            rest = [_write_condition(part) for part in others]
            # Vespa only knows a negation that takes something away from other matches.
            without = [f"(tags:{ON_EVERY_RECORD} AND NOT {_write_in(lacking)})"] if lacking else []
            return "(" + " AND ".join([*rest, *without]) + ")"
        case AnyOf(parts):
            having, others = split_tags(parts, Has)
            rest = [_write_condition(part) for part in others]
            return "(" + " OR ".join([*([_write_in(having)] if having else []), *rest]) + ")"
    raise AssertionError(condition)


def _write_in(tags: list[str]) -> str:
    if not tags:  # such as `below −∞`: a tag that no record has
        return "tags:none"
    lists = [f"tags IN ({', '.join(tags[start : start + LIST])})" for start in range(0, len(tags), LIST)]
    return lists[0] if len(lists) == 1 else "(" + " OR ".join(lists) + ")"


def _prefixes(column: str, value: float) -> list[str]:
    digits = _digits(value)
    return [column + digits[:length] for length in range(1, 17)]


def _order_tags(column: str, order: str, value: float) -> list[str]:
    """Return the tags of all numbers that are in this order to the value."""
    digits = _digits(value)
    if order == "==":
        return [column + digits]
    tags = [column + digits] if order in ("<=", ">=") else []
    for position, digit in enumerate(digits):
        at = DIGITS.index(digit)
        beyond = DIGITS[:at] if order in ("<", "<=") else DIGITS[at + 1 :]
        tags += [column + digits[:position] + other for other in beyond]
    return tags


def _digits(value: float) -> str:
    """Return a float64 as 16 hexadecimal digits that are in the order of the numbers."""
    return f"{order_bits(value):016x}"


def _pack(text: str) -> str:
    """Return a JSON text that Vespa takes, or `z` and it compressed; no JSON text begins with z."""
    if len(text) < LONG:
        return _escape(text)
    return "z" + base64.b64encode(zlib.compress(text.encode(), 9)).decode("ascii")


def _unpack(text: str) -> str:
    return zlib.decompress(base64.b64decode(text[1:])).decode() if text.startswith("z") else text


def _escape(text: str) -> str:
    """Return a JSON text with the characters escaped that Vespa refuses; they only stand within its strings."""
    return _REFUSED.sub(lambda match: json.dumps(match[0])[1:-1], text)
