"""The layout of an export: a folder of Parquet files with a manifest.

    _manifest.json           dim, metric, counts, checksum, and digest and rows of every file
    part-00000.parquet …     id, vector (fixed-size list of float32), metadata (JSON text), document, namespace

The manifest is written last, so a folder without one is an export that was not finished.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from dizuo.errors import VectorError
from dizuo.vectors.moving.parts import Part
from dizuo.vectors.points import Block
from dizuo.vectors.scores import Metric

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "FORMAT",
    "MANIFEST",
    "ExportFile",
    "Manifest",
    "hash_file",
    "read_export",
    "read_export_keys",
    "read_manifest",
    "read_part",
]

FORMAT = "dizuo vectors 1"
MANIFEST = "_manifest.json"


class ExportFile(TypedDict):
    """One Parquet file of an export."""

    name: str
    rows: int
    sha256: str


class Manifest(TypedDict):
    """What `_manifest.json` says."""

    format: str
    dim: int
    metric: Metric
    collection: str
    embedder: str | None
    """What made the vectors, where that is known."""
    rows: int
    namespaces: dict[str, int]
    """Rows by namespace."""
    checksum: str
    """Of all records, in any order (`dizuo.vectors.writing.digests`)."""
    where: str | None
    """The filter that chose the records, where there was one."""
    files: list[ExportFile]


def read_manifest(folder: str | Path) -> Manifest:
    """Return an export's manifest after checking that its files are there, whole and unchanged.

    Raises:
        VectorError: it is no finished export, or a file is damaged.
    """
    folder = Path(folder)
    try:
        manifest: Manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    except FileNotFoundError:
        hint = "an export without it was not finished: run it again"
        raise VectorError(f"{folder} has no _manifest.json", hint=hint) from None
    except ValueError as error:
        raise VectorError(f"{folder}/_manifest.json cannot be read: {error}") from None
    if manifest.get("format") != FORMAT:
        raise VectorError(f"{folder} is of the format {manifest.get('format')!r}, and this version reads {FORMAT!r}")
    wrong = []
    for entry in manifest["files"]:
        path = folder / entry["name"]
        if not path.is_file():
            wrong.append(f"{entry['name']}: missing")
        elif hash_file(path) != entry["sha256"]:
            wrong.append(f"{entry['name']}: changed since it was written")
    if wrong:
        raise VectorError(f"{len(wrong)} files of the export {folder} are damaged", details=wrong)
    return manifest


def read_export(folder: Path, manifest: Manifest) -> Iterator[Part]:
    """Yield the records of all files of an export, in their order; those of a part have one namespace."""
    from dizuo.vectors.writing.arrow import arrow_schema

    for entry in manifest["files"]:
        yield from read_part(folder / entry["name"], arrow_schema(manifest["dim"], namespaces=True))


def read_export_keys(folder: Path, manifest: Manifest, *, everywhere: bool) -> Iterator[list[tuple[str, str]]]:
    """Yield namespace and id of all rows of an export, in the order of its files.

    Args:
        folder: of the export.
        manifest: what it says.
        everywhere: whether the same id in two namespaces is two records; otherwise all have the namespace "".
    """
    import pyarrow.parquet as pq

    for entry in manifest["files"]:
        with pq.ParquetFile(folder / entry["name"]) as file:
            for part in file.iter_batches(10_000, columns=["id", "namespace"]):
                ids = part.column("id").to_pylist()
                names = part.column("namespace").to_pylist() if everywhere else [""] * len(ids)
                yield list(zip(names, ids, strict=True))


def read_part(path: Path, schema: pa.Schema) -> Iterator[Part]:
    """Yield the records of one file of an export; those of a part have one namespace."""
    import numpy as np
    import pyarrow.parquet as pq

    first = 1
    with pq.ParquetFile(path) as file:
        for part in file.iter_batches(2000, columns=schema.names):
            part = part.cast(schema)
            flat = part.column("vector").flatten().to_numpy(zero_copy_only=False)
            vectors = flat.reshape(part.num_rows, schema.field("vector").type.list_size)
            whole = Block(part.column("id"), vectors, part.column("metadata"), part.column("document"))
            names = np.array(part.column("namespace").to_pylist(), object)
            for name in dict.fromkeys(names.tolist()):
                places = np.flatnonzero(names == name)
                yield Part(str(path), (places + first).tolist(), whole.take(places), namespace=name)
            first += part.num_rows


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
