"""Records from an export, or from anybody's Parquet files, are sent into a store.

An import sends what the store does not hold yet, and is done when the store has every record. One that was killed is
called again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dizuo.errors import VectorError
from dizuo.events import Finished, Progress, Started, Watcher, ignore
from dizuo.vectors.moving.copying import send_missing
from dizuo.vectors.moving.dumps import Layout, read_dump, read_dump_dim
from dizuo.vectors.moving.export_format import MANIFEST, read_export, read_manifest
from dizuo.vectors.points import Block
from dizuo.vectors.scores import Metric
from dizuo.vectors.vector_store import VectorStore
from dizuo.vectors.writing.digests import digest_rows

__all__ = ["Imported", "import_parquet", "read_shape"]


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    rows: int
    """Records in the files."""
    sent: int
    """Records that were sent; the others were there already."""


def import_parquet(
    store: VectorStore,
    path: str | Path | Sequence[str | Path],
    *,
    layout: Layout | None = None,
    everywhere: bool = True,
    watch: Watcher = ignore,
) -> Imported:
    """Send the records of an export, or of anybody's Parquet files, into a store. Call it again to resume.

    Args:
        store: what they are sent into; records with the same ids are replaced, others stay.
        path: the folder of an export, a Parquet file, a folder of them, or several.
        layout: which columns are id, vector and document; found by name and type unless given.
        everywhere: send the records of an export to the namespaces that they come from; otherwise to the store's own.
        watch: is told of the progress.

    Raises:
        VectorError: the files are damaged, of another dimension, or have no column of vectors; or the store does not
            hold what was sent.
    """
    began, rows, sent = time.monotonic(), 0, 0
    total, items = _open_source(store, path, layout)
    watch(Started("import", total, "rows"))
    wrong: list[str] = []
    for name, block in items:
        space = store.namespace(name) if everywhere and name is not None else store
        digests = digest_rows(block, "")
        sent += send_missing(space, block, digests, "")
        rows += len(block)
        space.refresh()
        held = {
            id: digest
            for stored in space.blocks(block.ids)
            for id, digest in zip(stored.ids, digest_rows(stored, ""), strict=True)
        }
        last = dict(zip(block.ids, digests, strict=True))  # an id may come twice in a file; the last row counts
        wrong += [f"{id!r}" for id, digest in last.items() if held.get(id) != digest]
        if wrong:
            raise VectorError("records did not arrive as they are", details=wrong[:10], hint="import again")
        watch(Progress("import", rows, total, "rows", rate=rows / max(time.monotonic() - began, 1e-9)))
    watch(Finished("import", time.monotonic() - began, f"{rows:,} rows, {sent:,} of them sent; all verified"))
    return Imported(rows, sent)


def _open_source(
    store: VectorStore, path: str | Path | Sequence[str | Path], layout: Layout | None
) -> tuple[int | None, Iterator[tuple[str | None, Block]]]:
    if isinstance(path, str | Path) and layout is None and (Path(path) / MANIFEST).is_file():
        folder = Path(path)
        manifest = read_manifest(folder)
        if manifest["dim"] != store.dim:
            raise VectorError(f"the export has vectors of {manifest['dim']} numbers, the store of {store.dim}")
        return manifest["rows"], read_export(folder, manifest)
    total, blocks = read_dump(path, dim=store.dim, layout=layout)
    return total, ((None, block) for block in blocks)


def read_shape(paths: str | Path | Sequence[str | Path], *, layout: Layout | None = None) -> tuple[int, Metric | None]:
    """Return dimension and metric of an export, or the dimension of anybody's Parquet files, without reading them all.

    Raises:
        VectorError: the files are neither.
    """
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    if len(several) == 1 and layout is None and (Path(several[0]) / MANIFEST).is_file():
        manifest = read_manifest(several[0])
        return int(manifest["dim"]), manifest["metric"]
    return read_dump_dim(several, layout=layout), None
