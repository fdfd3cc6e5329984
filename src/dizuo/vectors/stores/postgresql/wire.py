"""Rows in the binary formats of PostgreSQL, built by column: COPY streams and vectors of pgvector.

COPY BINARY is a header, and per row a count of fields and each field as length and bytes (PostgreSQL manual, "COPY",
file formats). A pgvector value is int16 dim, int16 zero, and big-endian float32 (pgvector, src/vector.c, vector_send).

A column of fields is a list of pieces that follow one another in every row: Arrow arrays of bytes [n], or bytes that
are the same in all rows. Arrow joins them row by row, 0.3 µs a row, where a Python object per field took 1.5.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dizuo.vectors.points import Floats

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "TEXTS",
    "Fields",
    "bytes_fields",
    "copy_rows",
    "copy_stream",
    "from_wire",
    "int_fields",
    "json_fields",
    "long_fields",
    "one_long",
    "one_text",
    "text_array",
    "text_fields",
    "to_wire",
    "vector_fields",
]

Fields: TypeAlias = "list[pa.Array | bytes]"

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_INT32 = struct.Struct(">i").pack
_NULL = _INT32(-1)
TEXT, TEXTS = 25, 1009
"""Numbers of the types text and text[], the same in every database (PostgreSQL, pg_type.dat)."""
_ROWS = 1000
"""Rows that are joined at a time (1.7 MB at 384 numbers), while the server reads those before."""


def copy_rows(connection: Any, table: str, columns: Sequence[Fields], rows: int) -> None:
    """Write so many rows into a table.

    Args:
        connection: to the database.
        table: its quoted name, with those of the columns in parentheses.
        columns: their fields.
        rows: how many.
    """
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copy:
        for piece in copy_stream(columns, rows):
            copy.write(piece)


def copy_stream(columns: Sequence[Fields], rows: int) -> Iterator[bytes | memoryview]:
    """Yield a COPY BINARY stream of so many rows."""
    import pyarrow.compute as pc

    yield _HEADER
    pieces = [struct.pack(">h", len(columns)), *(piece for column in columns for piece in column)]
    for start in range(0, rows, _ROWS):
        part = (piece if isinstance(piece, bytes) else piece.slice(start, _ROWS) for piece in pieces)
        yield memoryview(pc.binary_join_element_wise(*part, b"").buffers()[2])
    yield _END


def text_fields(texts: pa.Array) -> Fields:
    """Return the fields of a string array."""
    import pyarrow as pa

    if texts.null_count == len(texts):
        return [_NULL]
    return [_lengths(texts), texts.cast(pa.binary()).fill_null(b"")]


def one_text(text: str) -> Fields:
    """Return the fields of a text that every row has."""
    data = text.encode()
    return [struct.pack(">i", len(data)) + data]


def one_long(value: int) -> Fields:
    """Return the int8 fields of an integer that every row has."""
    return [struct.pack(">iq", 8, value)]


def bytes_fields(values: pa.Array) -> Fields:
    """Return the bytea fields of an array of bytes without nulls."""
    return [_lengths(values), values]


def json_fields(texts: pa.Array) -> Fields:
    """Return the jsonb fields, version 1 and the text, of a string array without nulls."""
    import pyarrow as pa

    return [_lengths(texts, more=1), b"\x01", texts.cast(pa.binary())]


def int_fields(values: NDArray[np.integer]) -> Fields:
    """Return the int4 fields of integers [n]."""
    return [_INT32(4), _wide(values.astype(">i4")[:, None])]


def long_fields(values: NDArray[np.integer]) -> Fields:
    """Return the int8 fields of integers [n]."""
    return [struct.pack(">i", 8), _wide(values.astype(">i8")[:, None])]


def vector_fields(vectors: Floats) -> Fields:
    """Return the vector fields of float32 [n, dim]."""
    dim = vectors.shape[1]
    return [struct.pack(">ihh", 4 + 4 * dim, dim, 0), _wide(vectors.astype(">f4"))]


def text_array(texts: pa.Array) -> bytes:
    """Return a text[] of a string array without nulls: dimensions, no nulls, type, size, first subscript, fields."""
    import pyarrow.compute as pc

    head = struct.pack(">iiIii", 1, 0, TEXT, len(texts), 1)
    return head + bytes(memoryview(pc.binary_join_element_wise(*text_fields(texts), b"").buffers()[2]))


def _lengths(texts: pa.Array, *, more: int = 0) -> pa.Array:
    import pyarrow.compute as pc

    lengths = pc.add(pc.binary_length(texts), more).fill_null(-1)
    return _wide(lengths.to_numpy(zero_copy_only=False).astype(">i4")[:, None])


def _wide(values: NDArray[Any]) -> pa.Array:
    """Return the bytes of each row of an array [n, m], over the same memory."""
    import pyarrow as pa

    rows, size = len(values), values.shape[1] * values.itemsize
    ends = np.arange(0, (rows + 1) * size, size, dtype=np.int32)
    return pa.Array.from_buffers(pa.binary(), rows, [None, pa.py_buffer(ends), pa.py_buffer(values)])


def to_wire(vector: Floats) -> bytes:
    """Return one vector as pgvector sends it."""
    return struct.pack(">hh", len(vector), 0) + vector.astype(">f4").tobytes()


def from_wire(values: Sequence[Any], dim: int) -> Floats:
    """Return float32 [n, dim] of vectors as pgvector sends them."""
    raw = np.frombuffer(b"".join(values), np.uint8).reshape(len(values), 4 + 4 * dim)
    return np.ascontiguousarray(raw[:, 4:]).view(">f4").astype(np.float32)
