"""How a record of ours is written in Pinecone, and a filter of ours in its language.

Pinecone holds text, float64 numbers, booleans and lists of text, 40 KB a record. So a record's metadata there are `i`
its id, `m` its metadata and `d` its document as JSON texts (compressed from 4,000 characters on), `t` and some numbers
for filters (`exact/tags_and_numbers.py`), `c` a checksum of the vector, `u` the stamp of the call that wrote it,
and `v` the bytes of the vector, if JSON may change its numbers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dizuo.errors import VectorError
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
    "HELD",
    "count_bytes",
    "metadata_fields",
    "namespace_name",
    "read_rows",
    "record_key",
    "space_name",
    "split_requests",
    "write_filter",
    "write_rows",
]

HELD = 40 * 1024
"""Bytes of metadata that a record holds."""
REQUEST_ROWS, REQUEST_BYTES = 1000, 2_000_000
LONG = 4000
"""Characters from which on a text is compressed."""
NUMBER = 24
"""Bytes of the longest float32 written exactly, with its comma."""
LIST = 5000
"""Values of one `$in`; Pinecone takes 10,000."""
_PLAIN_KEY = re.compile(r"(?!sha-)[A-Za-z0-9][A-Za-z0-9_.:#-]{0,63}")
_PLAIN_SPACE = re.compile(r"(?!b32-)[A-Za-z0-9][A-Za-z0-9_-]{0,59}")
_ORDERS = {"<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte", "==": "$eq"}


def record_key(id: str) -> str:
    """Return Pinecone's id of a record: the same where it is plain ASCII, else a hash."""
    return id if _PLAIN_KEY.fullmatch(id) else "sha-" + hashlib.sha256(id.encode()).hexdigest()[:40]


def space_name(namespace: str) -> str:
    """Return Pinecone's name of a namespace."""
    if not namespace:
        return "__default__"
    if _PLAIN_SPACE.fullmatch(namespace):
        return namespace
    return "b32-" + base64.b32encode(namespace.encode()).decode().rstrip("=").lower()


def namespace_name(space: str) -> str:
    """Return our name of one of Pinecone's namespaces."""
    if space in ("", "__default__"):
        return ""
    if not space.startswith("b32-"):
        return space
    text = space[4:].upper()
    return base64.b32decode(text + "=" * (-len(text) % 8)).decode()


def metadata_fields(metadata: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return the fields that depend on a record's metadata."""
    flat = flatten(metadata)
    return {"m": _pack(text), "t": flat.tags, **flat.numbers}


def count_bytes(fields: Mapping[str, Any]) -> int:
    """Return the bytes of a record's metadata as JSON."""
    return len(json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode())


def write_rows(
    block: Block, *, extra_number: bool, stamp: str, keep: bool
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the rows of an upsert, and by id why others cannot be held.

    Args:
        block: all columns.
        extra_number: every vector gets a last number 1; the package's front page says why.
        stamp: of this call.
        keep: keep the bytes of every vector in the metadata too; those that JSON may change are kept anyway.
    """
    rows: list[dict[str, Any]] = []
    refused: dict[str, str] = {}
    columns = (block.ids, block.vectors, block.metadata, block.metadata_texts, block.documents)
    for id, vector, metadata, text, document in zip(*columns, strict=True):
        raw = vector.tobytes()
        fields: dict[str, Any] = {"i": id, "d": _pack(json.dumps(document, ensure_ascii=False)), "u": stamp}
        fields |= {"c": zlib.crc32(raw), **metadata_fields(metadata, text)}
        if keep or _is_fragile(vector):
            fields["v"] = base64.b64encode(raw).decode("ascii")
        size = count_bytes(fields)
        if size > HELD:
            refused[id] = f"its metadata and document take {size:,} bytes in Pinecone, which holds {HELD:,}"
            continue
        values = vector.tolist()
        if extra_number:
            values.append(1.0)
        rows.append({"id": record_key(id), "values": values, "metadata": fields})
    return rows, refused


def _is_fragile(vector: Floats) -> bool:
    """Return whether a number is −0.0 or below the normal ones: JSON on its way through JavaScript loses the sign."""
    small = np.abs(vector) < np.finfo(np.float32).tiny
    return bool((small & ((vector != 0) | np.signbit(vector))).any())


def split_requests(rows: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield rows in requests of at most 1000 rows and 2 MB."""
    part: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        more = NUMBER * len(row["values"]) + count_bytes(row["metadata"]) + 200
        if part and (len(part) == REQUEST_ROWS or size + more > REQUEST_BYTES):
            yield part
            part, size = [], 0
        part.append(row)
        size += more
    if part:
        yield part


def read_rows(rows: Sequence[Any], columns: Columns, dim: int, address: str) -> Block:
    """Return what Pinecone sent as a block.

    Raises:
        VectorError: a vector is not the one that was sent to it.
    """
    fields = [row.metadata or {} for row in rows]
    vectors: Floats | None = None
    if "vectors" in columns:
        vectors = np.empty((len(rows), dim), np.float32)
        for index, row in enumerate(rows):
            held = fields[index]
            if "v" in held:
                vectors[index] = np.frombuffer(base64.b64decode(held["v"]), np.float32)
            else:
                vectors[index] = row.values[:dim]
            if zlib.crc32(vectors[index].tobytes()) != int(held["c"]):
                raise VectorError(
                    f"{address} gave back another vector of {held['i']!r} than it was given",
                    hint="write the records again with keep_bytes=true, which keeps the vectors' bytes beside them",
                )
    return Block(
        [held["i"] for held in fields],
        vectors,
        [_unpack(held["m"]) for held in fields] if "metadata" in columns else None,
        [json.loads(_unpack(held["d"])) for held in fields] if "documents" in columns else None,
    )


def write_filter(condition: Condition) -> dict[str, Any]:
    """Return a condition in Pinecone's language. It has none that is never true, so that one is not allowed here."""
    match condition:
        case Has(tag):
            return {"t": {"$in": [tag]}}
        case Lacks(tag):
            return {"t": {"$nin": [tag]}}
        case Number(column, order, value):
            return {column: {_ORDERS[order]: value}}
        case AllOf(parts):
            lacking, others = split_tags(parts, Lacks)
            rest = [write_filter(part) for part in others]
            return _combine("$and", [*_tag_lists("$nin", lacking), *rest] or [{"t": {"$in": [ON_EVERY_RECORD]}}])
        case AnyOf(parts) if parts:
            having, others = split_tags(parts, Has)
            rest = [write_filter(part) for part in others]
            return _combine("$or", [*_tag_lists("$in", having), *rest])
    raise AssertionError(condition)


def _tag_lists(operator: str, tags: list[str]) -> list[dict[str, Any]]:
    return [{"t": {operator: tags[start : start + LIST]}} for start in range(0, len(tags), LIST)]


def _combine(operator: str, inner: list[dict[str, Any]]) -> dict[str, Any]:
    return inner[0] if len(inner) == 1 else {operator: inner}


def _pack(text: str) -> str:
    """Return a JSON text, or `z` and it compressed; no JSON text begins with z."""
    if len(text) < LONG:
        return text
    return "z" + base64.b85encode(zlib.compress(text.encode(), 9)).decode("ascii")


def _unpack(text: str) -> str:
    return zlib.decompress(base64.b85decode(text[1:])).decode() if text.startswith("z") else text
