"""Records and hits: what goes into a store, what comes out, and the columns that carry both.

A `Point` is one record, a `Hit` is one answer of a search. `VectorStore` and a database exchange `Block`s only: columns
of ids, float32 vectors, metadata and documents. A column stays in the form in which it came (Python lists or Arrow)
and is converted once, when somebody reads the other form. So writing in bulk makes no Python object per row.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "JSON",
    "Block",
    "Floats",
    "Hit",
    "Hits",
    "Metadata",
    "Part",
    "Parts",
    "Point",
    "Vector",
    "Vectors",
    "decode",
    "decode_all",
    "encode",
]

Floats: TypeAlias = NDArray[np.float32]
Vector: TypeAlias = Sequence[float] | NDArray[np.floating] | NDArray[np.integer]
"""One vector as users give it."""
Vectors: TypeAlias = Sequence[Vector] | NDArray[np.floating] | NDArray[np.integer]
"""Several of them, as a list or as an array [n, dim]."""
JSON: TypeAlias = "str | int | float | bool | Sequence[JSON] | Mapping[str, JSON] | None"
"""What metadata may hold under a key."""
Metadata: TypeAlias = Mapping[str, JSON]
"""Metadata where a function takes it. Where a user reads it, its values are `Any`, as those of `json.loads` are: who
reads a key knows what it holds, and would have to cast it everywhere."""


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """One record.

    Args:
        id: text of 1 to 512 bytes in UTF-8, without NUL.
        vector: `dim` numbers; stored as float32, bit for bit.
        metadata: JSON values under text keys. Integers fit in 64 bits, floats are finite. Tuples become lists.
        document: the text that the vector stands for; hybrid search reads it.
    """

    id: str
    vector: Vector
    metadata: Mapping[str, Any] = field(default_factory=dict)
    document: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Score and rank that a hit has in one of the two searches of a hybrid search."""

    score: float
    rank: int
    """1 is the best."""


Parts: TypeAlias = Mapping[str, Mapping[str, Part]]
"""The parts of the hits of a hybrid search, by id."""


@dataclass(frozen=True, slots=True, eq=False)
class Hit:
    """One answer.

    `score` is always higher where vectors are nearer: the cosine in [−1, 1], the inner product, or minus the true
    distance. In a hybrid search it is the fused score, and `parts` has the components: `hit.parts["dense"]`,
    `hit.parts["lexical"]`.
    """

    id: str
    score: float
    metadata: dict[str, Any]
    document: str | None = None
    vector: Floats | None = None
    """Only where `vectors=True` was asked for."""
    parts: Mapping[str, Part] = field(default_factory=dict)
    """Of a hybrid search, by `dense` and `lexical`; empty otherwise."""


class Hits(list[Hit]):
    """The hits of one query, best first, ties by id; and how they were found."""

    __slots__ = ("fetched", "path")

    def __init__(self, hits: Sequence[Hit] = (), *, path: str = "exact", fetched: int = 0) -> None:
        super().__init__(hits)
        self.path = path
        """`exact` or `index`: whether all matching vectors were compared or an approximate index was asked."""
        self.fetched = fetched
        """Rows that the database sent for this answer."""

    @property
    def ids(self) -> list[str]:
        """The ids, best first."""
        return [hit.id for hit in self]


# json.dumps with arguments makes an encoder for every call, which costs more than the encoding itself.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def encode(metadata: Metadata) -> str:
    """Return metadata as JSON text that `decode` turns back into equal values of equal types."""
    return _ENCODER.encode(metadata)


def decode(text: str) -> dict[str, Any]:
    """Return the metadata that `encode` wrote."""
    metadata: dict[str, Any] = json.loads(text)
    return metadata


def decode_all(texts: Sequence[str]) -> list[Any] | None:
    """Return the JSON values of many texts in one reading, or None where one of them is no JSON by itself.

    One call for all instead of one for each saves most of the time. A random mark stands between the texts, so that two
    broken texts never make a valid one together.
    """
    mark = secrets.token_hex(16)
    try:
        values: list[Any] = json.loads("[" + f',"{mark}",'.join(texts) + "]") if texts else []
    except ValueError:
        return None
    if len(values) != max(0, 2 * len(texts) - 1) or any(value != mark for value in values[1::2]):
        return None
    return values[::2]


class Block:
    """Columns of n records. A column that was not asked for is absent and must not be read.

    Args:
        ids: list of text, or an Arrow string array.
        vectors: float32 [n, dim], rows contiguous.
        metadata: list of dictionaries, list of JSON texts (`encode`), or an Arrow string array of these.
        documents: list of text or None, or an Arrow string array.
        namespaces: only in scans over all namespaces: list of text, or an Arrow string array.
        parsed: the metadata as dictionaries too, where somebody has read the texts already; nobody changes them.
        metadata_columns: the metadata as Arrow columns too (`writing/metadata_columns.py`), where somebody has read
            them already. Parts of a block do not have them.

    Read a column in the form you need; the conversion happens once:

    | Python | Arrow |
    |---|---|
    | `block.ids` | `block.ids_arrow` |
    | `block.vectors` (float32 [n, dim]) | `block.vectors_arrow` (fixed-size list, no copy) |
    | `block.metadata` (dictionaries) | `block.metadata_arrow` (JSON text) |
    | `block.metadata_texts` (JSON text) | `block.metadata_arrow` |
    | `block.documents` | `block.documents_arrow` |
    | `block.tokens` (for BM25; empty where there is no document) | |
    """

    def __init__(
        self,
        ids: Sequence[str] | pa.Array,
        vectors: Floats | None = None,
        metadata: Sequence[Metadata] | Sequence[str] | pa.Array | None = None,
        documents: Sequence[str | None] | pa.Array | None = None,
        namespaces: Sequence[str] | pa.Array | None = None,
        parsed: list[dict[str, Any]] | None = None,
        metadata_columns: Mapping[str, pa.Array] | None = None,
    ) -> None:
        self._ids, self._vectors, self._metadata = ids, vectors, metadata
        self._documents, self._namespaces, self._parsed = documents, namespaces, parsed
        self.metadata_columns = metadata_columns
        self.prepared: Any = None
        """What a store made of these rows ahead of its `upsert`; nobody else reads it."""

    def __len__(self) -> int:
        return len(self._ids)

    def __repr__(self) -> str:
        return f"Block({len(self)} rows: {', '.join(self.columns)})"

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that are there, ids not counted."""
        held = {"vectors": self._vectors, "metadata": self._metadata, "documents": self._documents}
        return tuple(name for name, column in held.items() if column is not None)

    @cached_property
    def ids(self) -> list[str]:
        """The ids."""
        return _to_list(self._ids)

    @cached_property
    def ids_arrow(self) -> pa.Array:
        """The ids as an Arrow string array."""
        return _to_arrow(self._ids)

    @property
    def vectors(self) -> Floats:
        """The vectors, float32 [n, dim]."""
        assert self._vectors is not None, "this block has no vectors"
        return self._vectors

    @cached_property
    def vectors_arrow(self) -> pa.Array:
        """The vectors as an Arrow array of fixed-size lists over the same memory."""
        import pyarrow as pa

        flat = pa.array(np.ascontiguousarray(self.vectors).reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, self.vectors.shape[1])

    @cached_property
    def metadata(self) -> list[dict[str, Any]]:
        """The metadata as dictionaries."""
        if isinstance(self._metadata, list) and self._metadata and not isinstance(self._metadata[0], str):
            return self._metadata
        if self._parsed is not None:
            return self._parsed
        values = decode_all(self.metadata_texts)
        return [decode(text) for text in self.metadata_texts] if values is None else values

    @cached_property
    def metadata_texts(self) -> list[str]:
        """The metadata as JSON text."""
        assert self._metadata is not None, "this block has no metadata"
        column = _to_list(self._metadata)
        return column if not column or isinstance(column[0], str) else [encode(row) for row in column]

    @cached_property
    def metadata_arrow(self) -> pa.Array:
        """The metadata as an Arrow array of JSON text."""
        if isinstance(self._metadata, list):
            return _to_arrow(self.metadata_texts)
        assert self._metadata is not None, "this block has no metadata"
        return _to_arrow(self._metadata)

    @cached_property
    def documents(self) -> list[str | None]:
        """The documents; None where a record has none."""
        assert self._documents is not None, "this block has no documents"
        return _to_list(self._documents)

    @cached_property
    def documents_arrow(self) -> pa.Array:
        """The documents as an Arrow string array."""
        assert self._documents is not None, "this block has no documents"
        return _to_arrow(self._documents)

    @cached_property
    def tokens(self) -> list[list[str]]:
        """The documents as tokens for BM25, the same on every database."""
        from dizuo.vectors.lexical import document_tokens

        return [[] if document is None else document_tokens(document) for document in self.documents]

    @cached_property
    def namespaces(self) -> list[str]:
        """The namespaces, in scans over all of them."""
        assert self._namespaces is not None, "this block has no namespaces"
        return _to_list(self._namespaces)

    def take(self, rows: Sequence[int] | NDArray[np.intp]) -> Block:
        """Return the block of these rows, in this order."""
        index = np.asarray(rows, dtype=np.intp)

        def pick(column: Any) -> Any:
            if column is None or isinstance(column, np.ndarray):
                return None if column is None else column[index]
            return [column[row] for row in index.tolist()] if isinstance(column, list) else column.take(index)

        return Block(*(pick(column) for column in self._all))

    def in_namespaces(self, namespaces: Sequence[str] | pa.Array) -> Block:
        """Return the same rows with the column `namespaces`."""
        return Block(self._ids, self._vectors, self._metadata, self._documents, namespaces, self._parsed)

    def only(self, columns: Container[str]) -> Block:
        """Return the same rows without the columns (of `vectors`, `metadata`, `documents`) that are not among these."""
        metadata = "metadata" in columns
        return Block(
            self._ids,
            self._vectors if "vectors" in columns else None,
            self._metadata if metadata else None,
            self._documents if "documents" in columns else None,
            self._namespaces,
            self._parsed if metadata else None,
        )

    def slice(self, start: int, stop: int) -> Block:
        """Return the rows from start (included) to stop (excluded), over the same memory."""

        def cut(column: Any) -> Any:
            if column is None or isinstance(column, list | np.ndarray):
                return None if column is None else column[start:stop]
            return column.slice(start, max(0, min(stop, len(self)) - start))

        return Block(*(cut(column) for column in self._all))

    @property
    def _all(self) -> tuple[Any, ...]:
        return (self._ids, self._vectors, self._metadata, self._documents, self._namespaces, self._parsed)

    def num_ids(self) -> int:
        """Return the number of distinct ids."""
        if isinstance(self._ids, list):
            return len(set(self._ids))
        import pyarrow.compute as pc

        return int(pc.count_distinct(self._ids).as_py())

    def row_bytes(self) -> NDArray[np.int64]:
        """Return the bytes of each row: vector, id, and the texts in UTF-8."""
        each = np.full(len(self), 0 if self._vectors is None else 4 * self._vectors.shape[1], np.int64)
        for column in (self._ids, self._metadata, self._documents):
            if isinstance(column, list):
                each += np.fromiter(map(_count_bytes, column), np.int64, len(column))
            elif column is not None:
                import pyarrow.compute as pc

                each += pc.binary_length(column).fill_null(0).to_numpy(zero_copy_only=False)
        return each

    def num_bytes(self) -> int:
        """Return the bytes of all rows."""
        return int(self.row_bytes().sum())

    def points(self) -> list[Point]:
        """Return the rows as points."""
        return [Point(*row) for row in zip(self.ids, self.vectors, self.metadata, self.documents, strict=True)]


def _to_list(column: Any) -> list[Any]:
    if isinstance(column, list):
        return column
    return column.to_pylist() if hasattr(column, "to_pylist") else list(column)


def _to_arrow(column: Any) -> Any:
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.Array):
        return column if column.type == pa.string() else column.cast(pa.string())
    return pa.array(column, pa.string())


def _count_bytes(value: Any) -> int:
    if value is None:
        return 0
    text = value if isinstance(value, str) else encode(value)
    return len(text) if text.isascii() else len(text.encode("utf-8"))
