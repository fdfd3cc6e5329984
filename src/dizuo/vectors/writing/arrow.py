"""Blocks as Arrow record batches: the columns that upserts take, exports write and every Arrow tool reads."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from dizuo.vectors.points import Block

__all__ = ["arrow_schema", "to_reader", "to_record_batch"]


def arrow_schema(dim: int, *, namespaces: bool = False) -> pa.Schema:
    """Return the schema: id, vector (fixed-size list of float32), metadata (JSON text), document, namespace."""
    fields = [
        pa.field("id", pa.string(), nullable=False),
        pa.field("vector", pa.list_(pa.field("item", pa.float32(), nullable=False), dim), nullable=False),
        pa.field("metadata", pa.string(), nullable=False),
        pa.field("document", pa.string()),
    ]
    return pa.schema([*fields, pa.field("namespace", pa.string(), nullable=False)] if namespaces else fields)


def to_record_batch(block: Block, *, namespaces: bool = False) -> pa.RecordBatch:
    """Return a block as an Arrow record batch over the same memory."""
    schema = arrow_schema(block.vectors.shape[1], namespaces=namespaces)
    columns = [block.ids_arrow, block.vectors_arrow.cast(schema.field("vector").type)]
    columns += [block.metadata_arrow, block.documents_arrow]
    if namespaces:
        columns.append(pa.array(block.namespaces, pa.string()))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def to_reader(blocks: Iterable[Block], *, dim: int, namespaces: bool = False) -> pa.RecordBatchReader:
    """Return blocks as an Arrow stream; a block is taken when the stream is read."""
    batches = (to_record_batch(block, namespaces=namespaces) for block in blocks)
    return pa.RecordBatchReader.from_batches(arrow_schema(dim, namespaces=namespaces), batches)
