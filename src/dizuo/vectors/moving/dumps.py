"""Anybody's Parquet files with vectors: which column is the id, the vector and the document; the rest is metadata.

Columns are known by name: those of Cohere's Wikipedia dumps on Hugging Face (`id title text url … emb`), of Qdrant's
DBpedia (`_id title text openai`), of Pinecone's data sets (`id values metadata`), of VectorDBBench (`id emb`), of
LanceDB (`id vector text`), and the like. Where there is no column of ids, rows are numbered; where only one column has
lists of numbers, it may have any name.

A row that is no record (a vector that is missing or of another length, metadata that no store gives back) is named with
its file and place; it does not keep the others from being read.
"""

from __future__ import annotations

import base64
import datetime
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dizuo.errors import VectorError
from dizuo.vectors.moving.parts import BadRow, Part, list_bad_rows
from dizuo.vectors.points import Block, encode
from dizuo.vectors.writing.checking import document_fault, metadata_fault

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = ["Layout", "count_rows", "detect_columns", "read_dump", "read_dump_dim", "read_ids", "read_parts"]

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


def count_rows(path: str | Path | Sequence[str | Path], *, dim: int, layout: Layout | None = None) -> dict[str, int]:
    """Return the rows of every Parquet file, after a look at its columns.

    Args:
        path: a file, a folder of files, or several.
        dim: numbers in a vector.
        layout: which column is what; detected unless given.

    Raises:
        VectorError: a file is none, or its columns cannot be told apart.
    """
    rows: dict[str, int] = {}
    for file in _files(path):
        with _open_dump(file) as parquet:
            rows[str(file)] = parquet.metadata.num_rows
            detect_columns(parquet.schema_arrow, dim=dim, layout=layout)
    return rows


def read_parts(path: str | Path | Sequence[str | Path], *, dim: int, layout: Layout | None = None) -> Iterator[Part]:
    """Yield the rows of Parquet files; the arguments are those of `count_rows`."""
    number = 0
    for file in _files(path):
        first = number
        with _open_dump(file) as parquet:
            columns = detect_columns(parquet.schema_arrow, dim=dim, layout=layout)
            for batch in parquet.iter_batches(ROWS):
                yield _read_batch(batch, columns, dim, first, number, str(file))
                number += batch.num_rows


def read_ids(path: str | Path | Sequence[str | Path], *, dim: int, layout: Layout | None = None) -> Iterator[list[str]]:
    """Yield the ids of the rows of Parquet files and nothing else; the arguments are those of `count_rows`.

    A row without an id has NUL and its number instead, which no id can be.
    """
    number = 0
    for file in _files(path):
        with _open_dump(file) as parquet:
            columns = detect_columns(parquet.schema_arrow, dim=dim, layout=layout)
            for batch in parquet.iter_batches(ROWS, columns=[columns.id or columns.vector]):
                ids = _ids(batch, columns, number)
                yield [f"\0{number + place}" if id is None else id for place, id in enumerate(ids)]
                number += batch.num_rows


def read_dump(
    path: str | Path | Sequence[str | Path], *, dim: int, layout: Layout | None = None
) -> tuple[int, Iterator[Block]]:
    """Return the number of rows of Parquet files, and the rows as blocks; the arguments are those of `count_rows`.

    Raises:
        VectorError: a file is none, its columns cannot be told apart, or a row is no record.
    """

    def blocks() -> Iterator[Block]:
        for part in read_parts(path, dim=dim, layout=layout):
            if part.bad:
                noun = "row is" if len(part.bad) == 1 else "rows are"
                raise VectorError(f"{len(part.bad):,} {noun} no record", details=list_bad_rows(part.bad))
            yield part.block

    return sum(count_rows(path, dim=dim, layout=layout).values()), blocks()


def read_dump_dim(path: str | Path | Sequence[str | Path], *, layout: Layout | None = None) -> int:
    """Return how many numbers the vectors of Parquet files have: most of the first rows."""
    file = _files(path)[0]
    with _open_dump(file) as parquet:
        columns = detect_columns(parquet.schema_arrow, layout=layout)
        first = next(parquet.iter_batches(ROWS, columns=[columns.vector]), None)
        lengths = Counter(len(vector) for vector in (first.column(0).to_pylist() if first else ()) if vector)
    if not lengths:
        raise VectorError(f"{file} has no rows to take the dimension from")
    return lengths.most_common(1)[0][0]


@contextmanager
def _open_dump(file: Path) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file; what is wrong with it, or with its columns, is one error with its name."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        parquet = pq.ParquetFile(file)
    except (OSError, pa.ArrowException) as error:
        raise VectorError(f"{file} is no Parquet file: {error}") from None
    with parquet:
        try:
            yield parquet
        except VectorError as error:
            raise VectorError(f"{file}: {error.message}", details=error.details, hint=error.hint) from None
        except (OSError, pa.ArrowException) as error:
            raise VectorError(f"{file} cannot be read: {error}") from None


def _files(path: str | Path | Sequence[str | Path]) -> list[Path]:
    paths = [Path(path)] if isinstance(path, str | Path) else [Path(entry) for entry in path]
    files = [file for entry in paths for file in (sorted(entry.rglob("*.parquet")) if entry.is_dir() else [entry])]
    if not files:
        raise VectorError(f"there is no Parquet file in {paths[0]}")
    return list(dict.fromkeys(files))


def _ids(batch: Any, columns: Layout, number: int) -> list[str | None]:
    """Return the ids of rows, None of a row that has none; rows are numbered where there is no column of ids."""
    if columns.id is None:
        return [str(number + place) for place in range(batch.num_rows)]
    values = batch.column(columns.id).to_pylist()
    return [None if value is None else str(_plain(value)) for value in values]


def _read_batch(batch: Any, columns: Layout, dim: int, first: int, number: int, file: str) -> Part:
    """Return the rows of a batch, which begins at row `number` of all, as does its file at row `first`."""
    import pyarrow.compute as pc

    held = batch.column(columns.vector)
    lengths = pc.list_value_length(held).to_pylist()
    metadata = _read_metadata(batch, columns)
    documents: list[Any] = [None] * batch.num_rows
    if columns.document is not None:
        documents = batch.column(columns.document).to_pylist()
    ids = _ids(batch, columns, number)
    kept: list[int] = []
    texts: list[str] = []
    bad: list[BadRow] = []
    for place, (id, length, row, document) in enumerate(zip(ids, lengths, metadata, documents, strict=True)):
        fault = "the id is missing" if id is None else row if isinstance(row, str) else metadata_fault(row)
        if length is None:
            fault = fault or "the vector is missing"
        elif length != dim:
            fault = fault or f"the vector has {length} numbers, not {dim}"
        fault = fault or document_fault(document)
        if fault is not None:
            bad.append(BadRow(file, number - first + place + 1, id, fault))
            continue
        kept.append(place)
        texts.append(encode(row))  # type: ignore[arg-type]
    whole = held if len(kept) == batch.num_rows else held.take(kept)
    with np.errstate(over="ignore"):  # what overflows becomes infinite and is refused by name
        flat = whole.flatten().to_numpy(zero_copy_only=False)
        vectors = np.ascontiguousarray(flat.reshape(len(kept), dim), dtype=np.float32)
    block = Block([str(ids[place]) for place in kept], vectors, texts, [documents[place] for place in kept])
    return Part(file, [number - first + place + 1 for place in kept], block, bad)


def _read_metadata(batch: Any, columns: Layout) -> list[dict[str, Any] | str]:
    """Return the metadata of rows; of a row whose metadata cannot be read, what is wrong with it."""

    def listed(name: str) -> list[Any]:
        return list(batch.column(name).to_pylist(maps_as_pydicts="strict"))

    others = {name: listed(name) for name in batch.schema.names if name not in _name_columns(columns)}
    base = listed(columns.metadata) if columns.metadata else [None] * batch.num_rows
    rows: list[dict[str, Any] | str] = []
    for place, given in enumerate(base):
        if isinstance(given, str):
            try:
                given = json.loads(given)
            except ValueError as error:
                rows.append(f"the metadata is not JSON: {error}")
                continue
        if given is not None and not isinstance(given, dict):
            rows.append(f"the metadata is a {type(given).__name__}, not a mapping")
            continue
        row = {**(given or {}), **{name: values[place] for name, values in others.items()}}
        rows.append({key: _plain(value) for key, value in row.items() if value is not None})
    return rows


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
