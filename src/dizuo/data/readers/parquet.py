"""Parquet, a row group at a time; a row's line is its number from 1. Classes have the names that its schema gives."""

from __future__ import annotations

from collections.abc import Iterator

from dizuo.data.readers import Reader
from dizuo.data.reading.files import Fault, Row, SourceFile, refuse_repeated
from dizuo.data.reading.hub import class_names_in_schema
from dizuo.errors import DataError


def looks(head: bytes) -> bool:
    """Return whether a file begins with Parquet's magic number."""
    return head.startswith(b"PAR1")


def read(source: SourceFile) -> Iterator[Row | Fault]:
    """Yield one row per row of the table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    with source.binary() as file:
        try:
            table = pq.ParquetFile(pa.PythonFile(file, mode="r"))
            refuse_repeated(table.schema_arrow.names, place=source.name)
            source.class_names.update(class_names_in_schema(table.schema_arrow.metadata))
            for batch in table.iter_batches(batch_size=1024):
                for value in batch.to_pylist():
                    number += 1
                    yield Row(number, value)
        except (pa.ArrowException, OSError) as error:
            raise DataError(
                f"{source.name} cannot be read as Parquet: {str(error).splitlines()[0]}",
                hint="write the file again; it may be cut short",
            ) from error


READER = Reader(suffixes=(".parquet", ".pq"), looks=looks, read=read, is_table=True)
