"""Arrow IPC, file and stream form (also what `datasets` saves); a row's line is its number from 1.

Classes have the names that the file's schema gives.
"""

from __future__ import annotations

from collections.abc import Iterator

from dizuo.data.readers import Reader
from dizuo.data.reading.files import Fault, Row, SourceFile, refuse_repeated
from dizuo.data.reading.hub import class_names_in_schema
from dizuo.errors import DataError

_MAGIC = b"ARROW1"


def looks(head: bytes) -> bool:
    """Return whether a file begins with Arrow's magic number, or with the mark of a stream."""
    return head.startswith((_MAGIC, b"\xff\xff\xff\xff"))


def read(source: SourceFile) -> Iterator[Row | Fault]:
    """Yield one row per row of the table."""
    import pyarrow as pa

    number = 0
    with source.binary() as file:
        is_file = file.read(len(_MAGIC)) == _MAGIC
        file.seek(0)
        try:
            handle = pa.PythonFile(file, mode="r")
            if is_file:
                table = pa.ipc.open_file(handle)
                schema = table.schema
                batches = (table.get_batch(i) for i in range(table.num_record_batches))
            else:
                stream = pa.ipc.open_stream(handle)
                schema, batches = stream.schema, iter(stream)
            refuse_repeated(schema.names, place=source.name)
            source.class_names.update(class_names_in_schema(schema.metadata))
            for batch in batches:
                for start in range(0, batch.num_rows, 1024):
                    for value in batch.slice(start, 1024).to_pylist():
                        number += 1
                        yield Row(number, value)
        except (pa.ArrowException, OSError) as error:
            raise DataError(
                f"{source.name} cannot be read as Arrow: {str(error).splitlines()[0]}",
                hint="write the file again; it may be cut short",
            ) from error


READER = Reader(suffixes=(".arrow", ".feather", ".ipc"), looks=looks, read=read, is_table=True)
