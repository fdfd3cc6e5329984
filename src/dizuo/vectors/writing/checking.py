"""From whatever a user hands in to checked blocks of a size that the engine takes; nothing bad is ever sent.

Points are checked one by one, Arrow columns as columns. A block holds at most `batch_rows` rows and `batch_bytes`
bytes, whatever the size of the stream; an id that comes twice within a block keeps its last row.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dizuo.errors import VectorError
from dizuo.vectors.points import Block, Floats, Point, decode_all, encode
from dizuo.vectors.protocol.faults import Refused
from dizuo.vectors.scores import Metric
from dizuo.vectors.writing.columns import flat_columns

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LONGEST_ID", "Source", "blocks", "checked", "id_fault", "metadata_fault", "vector_faults"]

LONGEST_ID = 512
"""Bytes of an id in UTF-8; the least that any of the engines takes."""
DEEPEST = 32
"""Levels of nesting in metadata."""
INT64 = 2**63
_ARROW_COLUMNS = ("id", "vector", "metadata", "document")
_HINT = "fix these rows, or leave them out with errors='collect'"

Source: TypeAlias = "Point | Iterable[Point] | Block | Iterable[Block] | pa.Table | pa.RecordBatch | Any"
Bad: TypeAlias = dict[str, str]


def blocks(source: Source, *, dim: int, metric: Metric, rows: int, size: int) -> Iterator[tuple[Block, Bad]]:
    """Yield checked blocks with the rows that were left out of each and why.

    Args:
        source: a point, an iterable of points, a block, or anything that Arrow can stream (a table, a batch, a reader,
            an iterable of batches, whatever has `__arrow_c_stream__`) with the columns id, vector and, where wanted,
            metadata (JSON text or a struct, whose nulls are missing keys) and document.
        dim: numbers in a vector.
        metric: of the collection; under cosine a vector needs a direction.
        rows: most rows of a block.
        size: most bytes of a block.
    """
    for block, bad in _gathered(source, dim, rows):
        kept, faults = checked(block, dim=dim, metric=metric)
        faults = {**bad, **faults}
        if not len(kept):
            if faults:
                yield kept, faults
            continue
        for part in _cut(kept, rows, size):
            yield part, faults
            faults = {}


def _gathered(source: Source, dim: int, rows: int) -> Iterator[tuple[Block, Bad]]:
    if isinstance(source, Point):
        source = [source]
    if isinstance(source, Block):
        yield _from_block(source)
        return
    if isinstance(source, str | bytes | Mapping):
        raise VectorError(f"upsert takes points, not {type(source).__name__}", hint="Point(id, vector, metadata)")
    if hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__"):
        yield from _from_arrow(_batches(source), dim, rows)
        return
    items = iter(source)
    first = next(items, None)
    if first is None:
        return
    items = chain([first], items)
    if isinstance(first, Point):
        while part := list(islice(items, rows)):
            yield _from_points(part, dim)
    elif isinstance(first, Block):
        yield from map(_from_block, items)
    elif hasattr(first, "__arrow_c_array__"):
        yield from _from_arrow(items, dim, rows)
    else:
        raise VectorError(f"upsert takes points, not {type(first).__name__}", hint="Point(id, vector, metadata)")


# ---- points


def _from_points(points: list[Any], dim: int) -> tuple[Block, Bad]:
    bad: Bad = {}
    ids: list[str] = []
    texts: list[str] = []
    for place, point in enumerate(points):
        if not isinstance(point, Point):
            raise VectorError(f"point {place} of the batch is a {type(point).__name__}, not a Point")
        fault = id_fault(point.id) or metadata_fault(point.metadata) or _document_fault(point.document)
        if fault:
            bad[str(point.id) if isinstance(point.id, str) else repr(point.id)] = fault
            ids.append("")
            texts.append("")
        else:
            ids.append(point.id)
            texts.append(encode(dict(point.metadata)))
    vectors, faults = _matrix([point.vector for point in points], dim)
    for place, fault in faults.items():
        bad.setdefault(str(points[place].id), fault)
    block = Block(ids, vectors, texts, [point.document for point in points])
    if bad:
        whole = [place for place in range(len(points)) if ids[place] and place not in faults]
        block = block.take(whole)
    return block, bad


def _matrix(vectors: list[Any], dim: int) -> tuple[Floats, dict[int, str]]:
    """Return float32 [n, dim] and what is wrong with single rows (which are zero in the matrix)."""
    try:
        whole = np.asarray(vectors)
        if whole.ndim == 2 and whole.shape[1] == dim and whole.dtype.kind in "fiu":
            return _float32(whole), {}
    except (ValueError, TypeError):
        pass
    out = np.zeros((len(vectors), dim), np.float32)
    faults: dict[int, str] = {}
    for place, vector in enumerate(vectors):
        try:
            row = np.asarray(vector)
        except (ValueError, TypeError):
            row = np.asarray(None)
        if row.dtype.kind not in "fiu":
            faults[place] = "the vector is not a list of numbers"
        elif row.ndim != 1:
            faults[place] = f"the vector has the shape {list(row.shape)}, not [{dim}]"
        elif row.shape[0] != dim:
            faults[place] = f"the vector has {row.shape[0]} numbers, not {dim}"
        else:
            out[place] = _float32(row)
    return out, faults


def _float32(array: NDArray[Any]) -> Floats:
    with np.errstate(over="ignore"):  # what overflows becomes infinite and is refused by name
        return np.ascontiguousarray(array, dtype=np.float32)


def _from_block(block: Block) -> tuple[Block, Bad]:
    """Return a block with all its columns, without the rows whose texts nobody can hold."""
    if "vectors" not in block.columns:
        raise VectorError("the block has no vectors")
    metadata: Any = block.metadata_texts if "metadata" in block.columns else ["{}"] * len(block)
    documents: Any = block.documents if "documents" in block.columns else [None] * len(block)
    rows = decode_all(metadata)
    checks = map(_json_fault, metadata) if rows is None else map(metadata_fault, rows)
    bad: Bad = {}
    wrong = set()
    for place, (id, fault, document) in enumerate(zip(block.ids, checks, documents, strict=True)):
        fault = id_fault(id) or fault or _document_fault(document)
        if fault:
            bad[str(id)] = fault
            wrong.add(place)
    whole = Block(block.ids, block.vectors, metadata, documents, parsed=rows)
    return (whole.take([n for n in range(len(block)) if n not in wrong]) if bad else whole), bad


# ---- Arrow


def _batches(source: Any) -> Iterator[Any]:
    import pyarrow as pa

    if isinstance(source, pa.RecordBatch):
        yield source
    elif isinstance(source, pa.Table):
        yield from source.to_batches()
    elif isinstance(source, pa.RecordBatchReader):
        yield from source
    elif hasattr(source, "__arrow_c_stream__"):
        yield from pa.RecordBatchReader.from_stream(source)
    else:
        yield pa.record_batch(source)


def _from_arrow(batches: Iterable[Any], dim: int, rows: int) -> Iterator[tuple[Block, Bad]]:
    import pyarrow as pa

    waiting: list[Any] = []
    held = 0

    def together() -> Any:
        return waiting[0] if len(waiting) == 1 else pa.Table.from_batches(waiting).combine_chunks().to_batches()[0]

    for batch in batches:
        if not isinstance(batch, pa.RecordBatch):
            batch = pa.record_batch(batch)
        if not batch.num_rows:
            continue
        waiting.append(batch)
        held += batch.num_rows
        if held >= rows:
            yield _from_batch(together(), dim)
            waiting, held = [], 0
    if waiting:
        yield _from_batch(together(), dim)


def _from_batch(batch: Any, dim: int) -> tuple[Block, Bad]:
    import pyarrow as pa

    names = batch.schema.names
    unknown = [name for name in names if name not in _ARROW_COLUMNS]
    missing = [name for name in ("id", "vector") if name not in names]
    if unknown or missing:
        raise VectorError(
            "these Arrow columns are not those of points",
            details=[f"{name}: no such column of a point" for name in unknown] + [f"{n}: missing" for n in missing],
            hint="name them id, vector, metadata (JSON text or a struct) and document",
        )
    ids, vectors = batch.column("id"), batch.column("vector")
    if not (pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type) or pa.types.is_string_view(ids.type)):
        raise VectorError(f"the Arrow column id is of type {ids.type}, not string")
    bad: Bad = {}
    matrix, faults = _arrow_matrix(vectors, dim)
    rows: list[dict[str, Any]] | None = None
    flat: Mapping[str, Any] | None = None
    metadata: Any = ["{}"] * batch.num_rows
    if "metadata" in names:
        metadata, rows, flat = _arrow_metadata(batch.column("metadata"), faults)
    documents = batch.column("document") if "document" in names else [None] * batch.num_rows
    if not isinstance(documents, list):
        documents = documents.cast(pa.string())
    if ids.null_count:
        faults |= {int(place): "the id is null" for place in np.flatnonzero(ids.is_null().to_numpy(False))}
    faults |= _arrow_id_faults(ids, faults)
    block = Block(ids.cast(pa.string()), matrix, metadata, documents, parsed=rows, flat=flat)
    if faults:
        bad = {str(ids[place].as_py()): fault for place, fault in sorted(faults.items())}
        block = block.take([place for place in range(batch.num_rows) if place not in faults])
    return block, bad


def _arrow_matrix(column: Any, dim: int) -> tuple[Floats, dict[int, str]]:
    import pyarrow as pa

    kind = column.type
    is_list = pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if not is_list or not (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)):
        raise VectorError(f"the Arrow column vector is of type {kind}, not a list of float32")
    fixed = pa.types.is_fixed_size_list(kind) and kind.list_size == dim
    if fixed and not column.null_count:
        return _float32(column.flatten().to_numpy(zero_copy_only=False).reshape(-1, dim)), {}
    return _matrix([None if row is None else np.asarray(row, object if None in row else None)
                    for row in column.to_pylist()], dim)  # fmt: skip


def _arrow_metadata(
    column: Any, faults: dict[int, str]
) -> tuple[Any, list[dict[str, Any]] | None, Mapping[str, Any] | None]:
    """Return metadata as JSON texts, and as columns or dictionaries where all could be read.

    What is wrong goes to `faults`.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        column = pc.fill_null(column.cast(pa.string()), "{}") if column.null_count else column.cast(pa.string())
        if (flat := flat_columns(column)) is not None:  # read as a whole, and nothing in it to refuse
            return column, None, flat
        texts = column.to_pylist()
        rows = decode_all(texts)
        checks = map(_json_fault, texts) if rows is None else map(metadata_fault, rows)
        faults |= {place: fault for place, fault in enumerate(checks) if fault}
        return column, rows, None
    if not (pa.types.is_struct(kind) or pa.types.is_map(kind)):
        raise VectorError(f"the Arrow column metadata is of type {kind}, not JSON text or a struct")
    out: list[str] = []
    for place, row in enumerate(column.to_pylist(maps_as_pydicts="strict")):
        row = {key: value for key, value in (row or {}).items() if value is not None}
        fault = metadata_fault(row)
        if fault:
            faults[place] = fault
        out.append("{}" if fault else encode(row))
    return out, None, None


def _json_fault(text: str) -> str | None:
    try:
        value = json.loads(text)
    except ValueError as error:
        return f"the metadata is not JSON: {error}"
    return metadata_fault(value)


def _arrow_id_faults(ids: Any, faults: Mapping[int, str]) -> dict[int, str]:
    import pyarrow.compute as pc

    lengths = pc.binary_length(ids).fill_null(1).to_numpy(zero_copy_only=False)
    nul = pc.match_substring(ids, "\0").fill_null(False).to_numpy(zero_copy_only=False)
    suspects = np.flatnonzero((lengths < 1) | (lengths > LONGEST_ID) | nul).tolist()
    return {place: id_fault(ids[place].as_py()) or "" for place in suspects if place not in faults}


# ---- what is wrong with a value


def id_fault(id: Any) -> str | None:
    """Return why nobody can hold this id, or None."""
    if not isinstance(id, str):
        return f"the id is a {type(id).__name__}, not text"
    if not id:
        return "the id is empty"
    if "\0" in id:
        return "the id has a NUL character"
    if not id.isascii() or len(id) > LONGEST_ID:
        try:
            size = len(id.encode("utf-8"))
        except UnicodeEncodeError:
            return "the id has half a surrogate pair"
        if size > LONGEST_ID:
            return f"the id has {size} bytes, and {LONGEST_ID} is the most"
    return None


def _document_fault(document: Any) -> str | None:
    if document is None:
        return None
    if not isinstance(document, str):
        return f"the document is a {type(document).__name__}, not text"
    return "the document has half a surrogate pair" if _half(document) else None


def metadata_fault(metadata: Any) -> str | None:
    """Return why this is no metadata that comes back as it was, or None."""
    if not isinstance(metadata, Mapping):
        return f"the metadata is a {type(metadata).__name__}, not a mapping"
    return _mapping_fault(metadata, "", DEEPEST)


def _mapping_fault(metadata: Mapping[Any, Any], place: str, depth: int) -> str | None:
    for key, value in metadata.items():
        if type(key) is not str or not key or not (key.isascii() or not _half(key)):
            return f"metadata{place} has the key {key!r}; keys are non-empty text"
        kind = type(value)
        if kind is str:
            if value.isascii():
                continue
            if _half(value):
                return f"metadata{place}.{key} has half a surrogate pair"
        elif kind is bool or value is None:
            continue
        elif fault := _value_fault(value, f"{place}.{key}", depth):
            return fault
    return None


def _value_fault(value: Any, place: str, depth: int) -> str | None:
    kind = type(value)
    if kind is int:
        return None if -INT64 <= value < INT64 else f"metadata{place} is {value}, which does not fit in 64 bits"
    if kind is float:
        return None if math.isfinite(value) else f"metadata{place} is {value}, which JSON cannot hold"
    if kind is str:
        return f"metadata{place} has half a surrogate pair" if _half(value) else None
    if kind is bool or value is None:
        return None
    if depth <= 1 and kind in (dict, list, tuple):
        return f"metadata{place} is nested deeper than {DEEPEST} levels"
    if kind is dict:
        return _mapping_fault(value, place, depth - 1)
    if kind in (list, tuple):
        faults = (_value_fault(item, f"{place}[{n}]", depth - 1) for n, item in enumerate(value))
        return next((fault for fault in faults if fault), None)
    hint = ".item()" if hasattr(value, "item") else ".isoformat()" if hasattr(value, "isoformat") else "text or numbers"
    return f"metadata{place} is a {kind.__name__}, which JSON has not; use {hint}"


def _half(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


# ---- blocks


def vector_faults(vectors: Floats, metric: Metric) -> dict[int, str]:
    """Return what is wrong with rows of float32 [n, dim]: one pass over the squared lengths finds everything."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        squares = np.einsum("ij,ij->i", vectors, vectors)
        wrong = ~np.isfinite(squares)
        if metric == "cosine":
            wrong |= squares < np.finfo(np.float32).tiny
    return {int(place): _vector_fault(vectors[place]) for place in np.flatnonzero(wrong)}


def _vector_fault(vector: Floats) -> str:
    if np.isnan(vector).any():
        return f"the vector has NaN at place {int(np.flatnonzero(np.isnan(vector))[0])}"
    if np.isinf(vector).any():
        return f"the vector is infinite at place {int(np.flatnonzero(np.isinf(vector))[0])}"
    if not vector.any():
        return "the vector is zero, which has no direction for cosine"
    length = float(np.sqrt(np.square(vector.astype(np.float64)).sum()))
    return f"the vector has the length {length:.3g}, whose square float32 cannot hold"


def checked(block: Block, *, dim: int, metric: Metric) -> tuple[Block, Bad]:
    """Return the rows that may be sent, each id once with its last row, and why the others may not."""
    if block.vectors.ndim != 2 or block.vectors.shape[1] != dim:
        reason = f"the vectors have the shape {list(block.vectors.shape)}, not [n, {dim}]"
        raise Refused("the block does not fit the collection", dict.fromkeys(block.ids, reason))
    bad: Bad = {}
    faults = vector_faults(block.vectors, metric)
    if faults:
        bad = {block.ids[place]: fault for place, fault in faults.items()}
        block = block.take([place for place in range(len(block)) if place not in faults])
    if block.num_ids() < len(block):
        last = {id: place for place, id in enumerate(block.ids)}
        block = block.take(sorted(last.values()))
    return block, bad


def _cut(block: Block, rows: int, size: int) -> Iterator[Block]:
    ends = np.cumsum(block.row_bytes())
    if len(block) <= rows and ends[-1] <= size:
        yield block
        return
    start, before = 0, 0
    while start < len(block):
        stop = int(np.searchsorted(ends, before + size, side="right"))
        stop = min(max(stop, start + 1), start + rows, len(block))
        yield block.slice(start, stop)
        start, before = stop, int(ends[stop - 1])
