"""Rows in PostgreSQL's binary formats, built by column: COPY streams and pgvector values.

COPY BINARY is a header, and per row a count of fields and each field as length and bytes (PostgreSQL manual, "COPY",
file formats). A pgvector value is int16 dim, int16 zero, and big-endian float32 (pgvector, src/vector.c, vector_send).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from dizuo.vectors.points import Floats

__all__ = ["copy_stream", "from_wire", "int_field", "json_field", "text_field", "to_wire", "vector_fields"]

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_INT32 = struct.Struct(">i").pack
_NULL = _INT32(-1)
_CHUNK = 4096


def copy_stream(columns: Sequence[Iterable[bytes]]) -> Iterator[bytes]:
    """Yield a COPY BINARY stream of columns of fields (length and bytes)."""
    yield _HEADER
    count = struct.pack(">h", len(columns))
    pieces: list[bytes] = []
    for row in zip(*columns, strict=True):
        pieces.append(count)
        pieces += row
        if len(pieces) > _CHUNK:
            yield b"".join(pieces)
            pieces.clear()
    yield b"".join(pieces) + _END


def text_field(text: str | None) -> bytes:
    """Return a text field."""
    if text is None:
        return _NULL
    raw = text.encode("utf-8")
    return _INT32(len(raw)) + raw


def json_field(text: str) -> bytes:
    """Return a jsonb field: version 1 and the text."""
    raw = text.encode("utf-8")
    return _INT32(len(raw) + 1) + b"\x01" + raw


def int_field(value: int) -> bytes:
    """Return an int4 field."""
    return b"\0\0\0\x04" + _INT32(value)


def vector_fields(vectors: Floats) -> Iterator[bytes]:
    """Yield the vector fields of float32 [n, dim]."""
    rows, dim = vectors.shape
    fields = np.empty((rows, 8 + 4 * dim), np.uint8)
    fields[:, :8] = np.frombuffer(struct.pack(">ihh", 4 + 4 * dim, dim, 0), np.uint8)
    fields[:, 8:] = vectors.astype(">f4").view(np.uint8)
    raw, size = fields.tobytes(), 8 + 4 * dim
    return (raw[start : start + size] for start in range(0, len(raw), size))


def to_wire(vector: Floats) -> bytes:
    """Return one vector as pgvector sends it."""
    return struct.pack(">hh", len(vector), 0) + vector.astype(">f4").tobytes()


def from_wire(values: Sequence[Any], dim: int) -> Floats:
    """Return float32 [n, dim] of vectors as pgvector sends them."""
    raw = np.frombuffer(b"".join(values), np.uint8).reshape(len(values), 4 + 4 * dim)
    return np.ascontiguousarray(raw[:, 4:]).view(">f4").astype(np.float32)
