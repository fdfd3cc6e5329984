"""Anybody's Parquet files with vectors: which column is the id, the vector and the document; the rest is metadata.

Columns are known by name: those of Cohere's Wikipedia dumps on Hugging Face (`id title text url … emb`), of Qdrant's
DBpedia (`_id title text openai`), of Pinecone's data sets (`id values metadata`), of VectorDBBench (`id emb`), of
LanceDB (`id vector text`), and the like. Where there is no column of ids, rows are numbered; where only one column has
lists of numbers, it may have any name.
"""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dizuo.errors import VectorError
from dizuo.vectors.points import Block, encode
from dizuo.vectors.writing.checking import metadata_fault

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Layout", "detect_columns", "read_dump", "read_dump_dim"]

IDS = ("id", "_id", "ids", "doc_id", "docid", "document_id", "uuid", "key", "pk", "corpus_id")
VECTORS = ("vector", "embedding", "emb", "embeddings", "values", "openai", "vectors", "dense", "dense_vector", "embeds")
DOCUMENTS = ("document", "text", "content", "chunk", "body", "passage", "contents", "page_content")
ROWS = 2000


@dataclass(frozen=True, slots=True)
class Layout:
    """Which column is what; None is no such column."""

    vector: str
    id: str | None = None
    document: str | None = None
    metadata: str | None = None
    """A column of JSON text or a struct that is the metadata; the remaining columns are further keys of it."""


def detect_columns(schema: pa.Schema, *, dim: int | None = None, layout: Layout | None = None) -> Layout:
    """Return which columns of an Arrow schema are what.

    Raises:
        VectorError: no column, or more than one, can be the vector; or a column of `layout` is missing.
    """
    import pyarrow as pa

    names = list(schema.names)
    if layout is not None:
        missing = [f"{name}: no such column" for name in _name_columns(layout) if name not in names]
        if missing:
            raise VectorError("the file has other columns", details=missing, hint=f"it has {', '.join(names)}")
        return layout

    def is_vector(name: str) -> bool:
        kind = schema.field(name).type
        if pa.types.is_fixed_size_list(kind):
            return _is_number(kind.value_type) and dim in (None, kind.list_size)
        return (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and _is_number(kind.value_type)

    able = [name for name in names if is_vector(name)]
    vector = next((name for name in VECTORS if name in able), able[0] if len(able) == 1 else None)
    if vector is None:
        what = f"several columns can be the vector: {', '.join(able)}" if able else "no column holds lists of numbers"
        details = [f"{name}: {schema.field(name).type}" for name in names]
        raise VectorError(what, details=details, hint="name the columns: Layout(vector=…), or --columns vector=NAME")
    rest = [name for name in names if name != vector]
    id = next((name for name in IDS if name in rest), None)
    document = next((name for name in DOCUMENTS if (name in rest and pa.types.is_string(schema.field(name).type))
                     or (name in rest and pa.types.is_large_string(schema.field(name).type))), None)  # fmt: skip
    return Layout(vector, id, document, "metadata" if "metadata" in rest else None)


def read_dump(
    path: str | Path | Sequence[str | Path], *, dim: int, layout: Layout | None = None
) -> tuple[int, Iterator[Block]]:
    """Return the number of rows of Parquet files, and their rows as blocks.

    Args:
        path: a file, a folder of files, or several.
        dim: numbers in a vector.
        layout: which column is what; detected unless given.

    Raises:
        VectorError: a file is none, or its columns cannot be told apart.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = _files(path)
    total = 0
    for file in files:
        try:
            with pq.ParquetFile(file) as parquet:
                total += parquet.metadata.num_rows
                detect_columns(parquet.schema_arrow, dim=dim, layout=layout)
        except (OSError, pa.ArrowException) as error:
            raise VectorError(f"{file} is no Parquet file: {error}") from None
        except VectorError as error:
            raise VectorError(f"{file}: {error.message}", details=error.details, hint=error.hint) from None
    return total, _blocks(files, dim, layout)


def read_dump_dim(path: str | Path | Sequence[str | Path], *, layout: Layout | None = None) -> int:
    """Return how many numbers the vectors of Parquet files have, from the first row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = _files(path)[0]
    try:
        with pq.ParquetFile(file) as parquet:
            columns = detect_columns(parquet.schema_arrow, layout=layout)
            first = next(parquet.iter_batches(1, columns=[columns.vector]), None)
    except (OSError, pa.ArrowException) as error:
        raise VectorError(f"{file} is no Parquet file: {error}") from None
    except VectorError as error:
        raise VectorError(f"{file}: {error.message}", details=error.details, hint=error.hint) from None
    if first is None or not first.num_rows or first.column(0)[0].as_py() is None:
        raise VectorError(f"{file} has no rows to take the dimension from")
    return len(first.column(0)[0].as_py())


def _files(path: str | Path | Sequence[str | Path]) -> list[Path]:
    paths = [Path(path)] if isinstance(path, str | Path) else [Path(entry) for entry in path]
    files = [file for entry in paths for file in (sorted(entry.rglob("*.parquet")) if entry.is_dir() else [entry])]
    if not files:
        raise VectorError(f"there is no Parquet file in {paths[0]}")
    return files


def _blocks(files: Sequence[Path], dim: int, layout: Layout | None) -> Iterator[Block]:
    import pyarrow.parquet as pq

    number = 0
    for file in files:
        with pq.ParquetFile(file) as parquet:
            columns = detect_columns(parquet.schema_arrow, dim=dim, layout=layout)
            for batch in parquet.iter_batches(ROWS):
                yield _block(batch, columns, dim, number, str(file))
                number += batch.num_rows


def _block(batch: Any, columns: Layout, dim: int, number: int, file: str) -> Block:
    def listed(name: str) -> list[Any]:
        return list(batch.column(name).to_pylist(maps_as_pydicts="strict"))

    rows = batch.num_rows
    held = batch.column(columns.vector)
    flat = held.flatten().to_numpy(zero_copy_only=False)
    if held.null_count or len(flat) != rows * dim:
        raise VectorError(f"{file}: not every vector in {columns.vector!r} has {dim} numbers")
    ids = [str(number + n) for n in range(rows)] if columns.id is None else [str(id) for id in listed(columns.id)]
    keys = [name for name in batch.schema.names if name not in _name_columns(columns)]
    others = {name: listed(name) for name in keys}
    base = listed(columns.metadata) if columns.metadata else [None] * rows
    texts = []
    for index in range(rows):
        given = base[index]
        row = dict(json.loads(given) if isinstance(given, str) else given or {})
        row |= {name: values[index] for name, values in others.items() if values[index] is not None}
        row = {key: _plain(value) for key, value in row.items() if value is not None}
        fault = metadata_fault(row)
        if fault:
            raise VectorError(f"{file}: row {number + index}: {fault}")
        texts.append(encode(row))
    documents = [None] * rows if columns.document is None else listed(columns.document)
    with np.errstate(over="ignore"):
        vectors = np.ascontiguousarray(flat.reshape(rows, dim), dtype=np.float32)
    return Block(ids, vectors, texts, documents)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: dates as ISO 8601, bytes as base64, decimals as text. Nothing is left out."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _name_columns(layout: Layout) -> list[str]:
    return [name for name in (layout.vector, layout.id, layout.document, layout.metadata) if name is not None]


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))
