"""What a user hands in becomes checked blocks of a size that the database takes.

Points are read one by one, Arrow columns as columns. The size of the stream does not matter: only one batch is in
memory at a time. `checking.py` says what is refused, `batching.py` cuts what is too large.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dizuo.errors import VectorError
from dizuo.vectors.points import Block, Floats, Point, decode_all, encode
from dizuo.vectors.scores import Metric
from dizuo.vectors.writing.batching import cut_block
from dizuo.vectors.writing.checking import LONGEST_ID, Bad, check_block, document_fault, id_fault, metadata_fault
from dizuo.vectors.writing.metadata_columns import read_columns

__all__ = ["Source", "read_blocks"]

_ARROW_COLUMNS = ("id", "vector", "metadata", "document")


class ArrowStream(Protocol):
    """Whatever Arrow can stream: a table, a reader, a data frame of polars or pandas."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


class ArrowArray(Protocol):
    """Whatever Arrow can take as one batch."""

    def __arrow_c_array__(self, requested_schema: object | None = None) -> object: ...


Source: TypeAlias = Point | Block | Iterable[Point] | Iterable[Block] | ArrowStream | ArrowArray | Iterable[ArrowArray]
"""What `upsert` takes."""


def read_blocks(source: Source, *, dim: int, metric: Metric, rows: int, size: int) -> Iterator[tuple[Block, Bad]]:
    """Yield checked blocks, and with each the rows that were left out of it and why.

    Args:
        source: a point, an iterable of points, a block, or anything that Arrow can stream (a table, a batch, a reader,
            an iterable of batches, whatever has `__arrow_c_stream__`) with the columns id, vector and, where wanted,
            metadata (JSON text or a struct, whose nulls are missing keys) and document.
        dim: numbers in a vector.
        metric: of the collection; under cosine a vector needs a direction.
        rows: most rows of a block.
        size: most bytes of a block.
    """
    for block, bad in _read_source(source, dim, rows):
        kept, faults = check_block(block, dim=dim, metric=metric)
        faults = {**bad, **faults}
        if not len(kept):
            if faults:
                yield kept, faults
            continue
        for part in cut_block(kept, rows, size):
            yield part, faults
            faults = {}


def _read_source(source: Source, dim: int, rows: int) -> Iterator[tuple[Block, Bad]]:
    if isinstance(source, Point):
        source = [source]
    if isinstance(source, Block):
        yield _read_block(source)
        return
    if isinstance(source, str | bytes | Mapping):
        raise VectorError(f"upsert takes points, not {type(source).__name__}", hint="Point(id, vector, metadata)")
    if hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__"):
        yield from _read_arrow(_to_batches(source), dim, rows)
        return
    items: Iterator[Any] = iter(source)
    first = next(items, None)
    if first is None:
        return
    items = chain([first], items)
    if isinstance(first, Point):
        while part := list(islice(items, rows)):
            yield _read_points(part, dim)
    elif isinstance(first, Block):
        yield from map(_read_block, items)
    elif hasattr(first, "__arrow_c_array__"):
        yield from _read_arrow(items, dim, rows)
    else:
        raise VectorError(f"upsert takes points, not {type(first).__name__}", hint="Point(id, vector, metadata)")


# ---- points


def _read_points(points: list[Any], dim: int) -> tuple[Block, Bad]:
    bad: Bad = {}
    ids: list[str] = []
    texts: list[str] = []
    for index, point in enumerate(points):
        if not isinstance(point, Point):
            raise VectorError(f"point {index} of the batch is a {type(point).__name__}, not a Point")
        fault = id_fault(point.id) or metadata_fault(point.metadata) or document_fault(point.document)
        if fault:
            bad[str(point.id) if isinstance(point.id, str) else repr(point.id)] = fault
            ids.append("")
            texts.append("")
        else:
            ids.append(point.id)
            texts.append(encode(dict(point.metadata)))
    vectors, faults = _to_matrix([point.vector for point in points], dim)
    for index, fault in faults.items():
        bad.setdefault(str(points[index].id), fault)
    block = Block(ids, vectors, texts, [point.document for point in points])
    if bad:
        whole = [index for index in range(len(points)) if ids[index] and index not in faults]
        block = block.take(whole)
    return block, bad


def _to_matrix(vectors: list[Any], dim: int) -> tuple[Floats, dict[int, str]]:
    """Return float32 [n, dim] and what is wrong with single rows (which are zero in the matrix)."""
    try:
        whole = np.asarray(vectors)
        if whole.ndim == 2 and whole.shape[1] == dim and whole.dtype.kind in "fiu":
            return _to_float32(whole), {}
    except (ValueError, TypeError):
        pass
    matrix = np.zeros((len(vectors), dim), np.float32)
    faults: dict[int, str] = {}
    for index, vector in enumerate(vectors):
        try:
            row = np.asarray(vector)
        except (ValueError, TypeError):
            row = np.asarray(None)
        if row.dtype.kind not in "fiu":
            faults[index] = "the vector is not a list of numbers"
        elif row.ndim != 1:
            faults[index] = f"the vector has the shape {list(row.shape)}, not [{dim}]"
        elif row.shape[0] != dim:
            faults[index] = f"the vector has {row.shape[0]} numbers, not {dim}"
        else:
            matrix[index] = _to_float32(row)
    return matrix, faults


def _to_float32(array: NDArray[Any]) -> Floats:
    with np.errstate(over="ignore"):  # what overflows becomes infinite and is refused by name
        return np.ascontiguousarray(array, dtype=np.float32)


def _read_block(block: Block) -> tuple[Block, Bad]:
    """Return a block with all its columns, without the rows whose texts nobody can hold."""
    if "vectors" not in block.columns:
        raise VectorError("the block has no vectors")
    metadata: Any = block.metadata_texts if "metadata" in block.columns else ["{}"] * len(block)
    documents: Any = block.documents if "documents" in block.columns else [None] * len(block)
    rows = decode_all(metadata)
    checks = map(_json_fault, metadata) if rows is None else map(metadata_fault, rows)
    bad: Bad = {}
    wrong = set()
    for index, (id, fault, document) in enumerate(zip(block.ids, checks, documents, strict=True)):
        fault = id_fault(id) or fault or document_fault(document)
        if fault:
            bad[str(id)] = fault
            wrong.add(index)
    whole = Block(block.ids, block.vectors, metadata, documents, parsed=rows)
    return (whole.take([n for n in range(len(block)) if n not in wrong]) if bad else whole), bad


# ---- Arrow


def _to_batches(source: Any) -> Iterator[Any]:
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


def _read_arrow(batches: Iterable[Any], dim: int, rows: int) -> Iterator[tuple[Block, Bad]]:
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
            yield _read_batch(together(), dim)
            waiting, held = [], 0
    if waiting:
        yield _read_batch(together(), dim)


def _read_batch(batch: Any, dim: int) -> tuple[Block, Bad]:
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
    matrix, faults = _arrow_to_matrix(vectors, dim)
    rows: list[dict[str, Any]] | None = None
    columns: Mapping[str, Any] | None = None
    metadata: Any = ["{}"] * batch.num_rows
    if "metadata" in names:
        metadata, rows, columns = _read_metadata(batch.column("metadata"), faults)
    documents = batch.column("document") if "document" in names else [None] * batch.num_rows
    if not isinstance(documents, list):
        documents = documents.cast(pa.string())
    if ids.null_count:
        faults |= {int(index): "the id is null" for index in np.flatnonzero(ids.is_null().to_numpy(False))}
    faults |= _arrow_id_faults(ids, faults)
    block = Block(ids.cast(pa.string()), matrix, metadata, documents, parsed=rows, metadata_columns=columns)
    if faults:
        bad = {str(ids[index].as_py()): fault for index, fault in sorted(faults.items())}
        block = block.take([index for index in range(batch.num_rows) if index not in faults])
    return block, bad


def _arrow_to_matrix(column: Any, dim: int) -> tuple[Floats, dict[int, str]]:
    import pyarrow as pa

    kind = column.type
    is_list = pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if not is_list or not (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)):
        raise VectorError(f"the Arrow column vector is of type {kind}, not a list of float32")
    fixed = pa.types.is_fixed_size_list(kind) and kind.list_size == dim
    if fixed and not column.null_count:
        return _to_float32(column.flatten().to_numpy(zero_copy_only=False).reshape(-1, dim)), {}
    return _to_matrix([None if row is None else np.asarray(row, object if None in row else None)
                    for row in column.to_pylist()], dim)  # fmt: skip


def _read_metadata(
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
        if (columns := read_columns(column)) is not None:  # read as a whole, and nothing in it to refuse
            return column, None, columns
        texts = column.to_pylist()
        rows = decode_all(texts)
        checks = map(_json_fault, texts) if rows is None else map(metadata_fault, rows)
        faults |= {index: fault for index, fault in enumerate(checks) if fault}
        return column, rows, None
    if not (pa.types.is_struct(kind) or pa.types.is_map(kind)):
        raise VectorError(f"the Arrow column metadata is of type {kind}, not JSON text or a struct")
    json_texts: list[str] = []
    for index, row in enumerate(column.to_pylist(maps_as_pydicts="strict")):
        row = {key: value for key, value in (row or {}).items() if value is not None}
        fault = metadata_fault(row)
        if fault:
            faults[index] = fault
        json_texts.append("{}" if fault else encode(row))
    return json_texts, None, None


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
    return {index: id_fault(ids[index].as_py()) or "" for index in suspects if index not in faults}
