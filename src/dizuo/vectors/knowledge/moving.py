"""Whole knowledge bases are copied, exported and imported: the living chunks, and what is known of the documents.

An export is a folder with a manifest and two exports of collections (`dizuo.vectors.moving`):

    _knowledge.json     format, name, head: generation, embedder, digest, dim, metric, size, overlap
    chunks/             the living generation
    documents/          its documents' records

The record that says which embedder made the chunks is written last, so what was stopped is no knowledge base yet; the
same call goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dizuo.errors import VectorError
from dizuo.events import Watcher, ignore
from dizuo.vectors.connecting.connect import connect
from dizuo.vectors.knowledge.generations import Head, read_head, write_head
from dizuo.vectors.knowledge.holding import Held
from dizuo.vectors.moving.copying import copy
from dizuo.vectors.moving.export_format import MANIFEST
from dizuo.vectors.moving.exporting import export_parquet
from dizuo.vectors.moving.importing import import_parquet
from dizuo.vectors.vector_store import VectorStore

__all__ = ["EXPORT", "Moved", "copy_base", "export_base", "import_base", "read_exported"]

EXPORT = "_knowledge.json"
_FORMAT = "dizuo knowledge base 1"


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of a knowledge base that was moved."""

    name: str
    documents: int
    chunks: int
    """Each is verified in the new place."""
    sent: int
    """Chunks that were sent; the others were there already."""
    embedder: str


def copy_base(source: Held, url: str, *, name: str | None = None, watch: Watcher = ignore, **options: Any) -> Moved:
    """Copy a knowledge base into another database, of any kind.

    Args:
        source: from `find_base`; nobody should sync it meanwhile.
        url: of the other database.
        name: of the copy; the source's unless given.
        watch: hears of the progress.
        options: of `connect`, for the other database.

    Raises:
        VectorError: there is another knowledge base of that name, or the copy does not hold what was sent.
    """

    def fill(records: VectorStore, chunks: VectorStore) -> tuple[int, int]:
        done = copy(source.chunks, chunks, watch=watch)
        documents = copy(source.records, records, everywhere=False, watch=watch)
        _check_source(source)
        return documents.rows, done.sent

    return _make(url, name or source.name, source.head, fill, options)


def _check_source(source: Held) -> None:
    if read_head(source.about) != source.head:
        raise VectorError(f"{source.name!r} was changed while it was moved", hint="do it again")


def export_base(source: Held, folder: str | Path, *, watch: Watcher = ignore) -> Moved:
    """Write a knowledge base as Parquet files with manifests.

    Args:
        source: from `find_base`; nobody should sync it meanwhile.
        folder: new, or that of an export that was stopped.
        watch: hears of the progress.

    Raises:
        VectorError: the folder holds something else.
    """
    from dizuo.artifacts.writing import check_place, write_json

    folder = check_place(folder)
    if (folder / EXPORT).exists():
        raise VectorError(f"{folder} holds a finished export", hint="remove it, or choose another folder")
    if folder.is_dir() and (strange := sorted({path.name for path in folder.iterdir()} - {"chunks", "documents"})):
        raise VectorError(f"{folder} is not empty", details=strange[:10], hint="choose another folder")
    for part, store in (("chunks", source.chunks), ("documents", source.records)):
        if not (folder / part / MANIFEST).exists():  # one that is finished is there since the last attempt
            export_parquet(
                store, folder / part, everywhere=part == "chunks", embedder=source.head.embedder, watch=watch
            )
    _check_source(source)
    write_json(folder / EXPORT, {"format": _FORMAT, "name": source.name, "head": asdict(source.head)})
    count = source.chunks.count()
    return Moved(source.name, len(source.documents()), count, count, source.head.embedder)


def read_exported(folder: str | Path) -> tuple[str, Head] | None:
    """Return name and head of an exported knowledge base, or None where the folder is no such export.

    Raises:
        VectorError: it is one that cannot be read.
    """
    path = Path(folder) / EXPORT
    if not path.is_file():
        return None
    try:
        held = json.loads(path.read_text("utf-8"))
        if held["format"] != _FORMAT:
            raise VectorError(f"{path} is of the format {held['format']!r}, and this version reads {_FORMAT!r}")
        return str(held["name"]), Head(**held["head"])
    except (ValueError, KeyError, TypeError) as error:
        raise VectorError(f"{path} cannot be read: {error}", hint="export it again") from error


def import_base(
    folder: str | Path, url: str, *, name: str | None = None, watch: Watcher = ignore, **options: Any
) -> Moved:
    """Send an exported knowledge base into a database.

    Args:
        folder: of the export.
        url: of the database.
        name: of the knowledge base there; the one that it had unless given.
        watch: hears of the progress.
        options: of `connect`.

    Raises:
        VectorError: it is no export of a knowledge base, or there is another one of that name.
    """
    exported = read_exported(folder)
    if exported is None:
        raise VectorError(f"{folder} has no {EXPORT}", hint="an export without it was not finished: run it again")
    own, head = exported

    def fill(records: VectorStore, chunks: VectorStore) -> tuple[int, int]:
        done = import_parquet(chunks, Path(folder) / "chunks", watch=watch)
        documents = import_parquet(records, Path(folder) / "documents", everywhere=False, watch=watch)
        return documents.records, done.sent

    return _make(url, name or own, head, fill, options)


def _make(
    url: str,
    name: str,
    head: Head,
    fill: Callable[[VectorStore, VectorStore], tuple[int, int]],
    options: dict[str, Any],
) -> Moved:
    """Fill a knowledge base, and say at the end what it is made with."""
    with connect(url, collection=f"{name}.about", dim=1, metric="l2", **options) as about:
        held = read_head(about)
        if held is not None and replace(held, generation=head.generation) != head:
            raise VectorError(
                f"there is another knowledge base {name!r} already: of {held.embedder}, with chunks of {held.size}",
                hint="choose another name (--to-collection, for an import --collection)",
            )
        head = held or head
        chunks = connect(url, collection=f"{name}.g{head.generation}", dim=head.dim, metric=head.metric, **options)
        with chunks:
            documents, sent = fill(about.namespace(f"g{head.generation}"), chunks)
            if held is None:
                write_head(about, head)
            return Moved(name, documents, chunks.count(), sent, head.embedder)
