"""The records of a store are written as Parquet files with a manifest (`export_format.py` says what these hold).

Each file is written under another name and renamed when it is whole; the manifest comes last. An export that was killed
goes on where its files end, provided that what they hold is still what the store holds.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from dizuo.errors import VectorError
from dizuo.events import Finished, Note, Progress, Started, Watcher, ignore
from dizuo.records import Json
from dizuo.vectors.filters.tree import Filter
from dizuo.vectors.moving.copying import scan_by_namespace
from dizuo.vectors.moving.export_format import FORMAT, MANIFEST, ExportFile, Manifest, hash_file, read_part
from dizuo.vectors.points import Block
from dizuo.vectors.vector_store import VectorStore
from dizuo.vectors.writing.digests import Checksum, digest_rows

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Exported", "export_parquet"]


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote."""

    folder: Path
    rows: int
    files: int
    checksum: str


def export_parquet(
    store: VectorStore,
    folder: str | Path,
    *,
    where: Filter | str | None = None,
    everywhere: bool = True,
    rows_per_file: int = 50_000,
    embedder: str | None = None,
    watch: Watcher = ignore,
) -> Exported:
    """Write records as Parquet files with a manifest. The store should not change meanwhile.

    Args:
        store: the store that is exported.
        folder: the folder of the export; it is made if it does not exist. A finished export in it is an error, an
            unfinished one is continued.
        where: which records.
        everywhere: export all namespaces; otherwise the store's own.
        rows_per_file: records in one file, and about as many in memory.
        embedder: what made the vectors, for the manifest.
        watch: is told of the progress.

    Raises:
        VectorError: the folder holds something else.
    """
    from dizuo.artifacts.writing import check_place, write_json

    folder = check_place(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / MANIFEST).exists():
        raise VectorError(f"{folder} holds a finished export", hint="remove it, or choose another folder")
    strange = [path.name for path in folder.iterdir() if not path.name.startswith(("part-", ".part-"))]
    if strange:
        raise VectorError(f"{folder} is not empty", details=sorted(strange)[:10], hint="choose another folder")
    began = time.monotonic()
    total = sum(store.namespaces().values()) if everywhere and where is None else store.count(where)
    watch(Started("export", total, "rows"))
    writer = _Writer(folder, store.dim, rows_per_file)
    seen = writer.resume()
    if seen:
        watch(Note(f"going on after {len(seen):,} rows that are there already"))
    right, counts = Checksum(), dict[str, int]()
    again = 0
    for name, block in scan_by_namespace(store, where, everywhere=everywhere, rows=min(2000, rows_per_file)):
        digests = digest_rows(block, name)
        right.add(digests)
        counts[name] = counts.get(name, 0) + len(block)
        new = [index for index, digest in enumerate(digests) if digest not in seen]
        again += len(block) - len(new)
        writer.add(name, block if len(new) == len(block) else block.take(new))
        watch(Progress("export", right.count, total, "rows"))
    if again != len(seen):
        watch(Note("the store has changed since the earlier attempt; starting over"))
        writer.start_over()
        return export_parquet(
            store, folder, where=where, everywhere=everywhere, rows_per_file=rows_per_file, embedder=embedder,
            watch=watch,
        )  # fmt: skip
    writer.close()
    files = writer.files()
    manifest: Manifest = {
        "format": FORMAT,
        "dim": store.dim,
        "metric": store.metric,
        "collection": store.collection,
        "embedder": embedder,
        "rows": right.count,
        "namespaces": counts,
        "checksum": str(right),
        "where": None if where is None else str(where),
        "files": files,
    }
    write_json(folder / MANIFEST, cast("Json", manifest))
    watch(Finished("export", time.monotonic() - began, f"{right.count:,} rows"))
    return Exported(folder, right.count, len(files), str(right))


class _Writer:
    """Writes files of one size, each under another name, and renames it when it is whole."""

    def __init__(self, folder: Path, dim: int, size: int) -> None:
        from dizuo.vectors.writing.arrow import arrow_schema

        self.folder, self.size = folder, size
        self.schema = arrow_schema(dim, namespaces=True)
        self.waiting: list[pa.RecordBatch] = []
        self.held = 0
        for path in folder.glob(".part-*"):
            path.unlink()

    def parts(self) -> list[Path]:
        return sorted(self.folder.glob("part-*.parquet"))

    def resume(self) -> set[bytes]:
        """Return the digests of the records in the parts that are there."""
        seen: set[bytes] = set()
        for path in self.parts():
            for part in read_part(path, self.schema):
                seen.update(digest_rows(part.block, part.namespace or ""))
        return seen

    def start_over(self) -> None:
        for path in self.parts():
            path.unlink()

    def add(self, namespace: str, block: Block) -> None:
        from dizuo.vectors.writing.arrow import to_record_batch

        if len(block):
            self.waiting.append(to_record_batch(block.in_namespaces([namespace] * len(block)), namespaces=True))
            self.held += len(block)
        while self.held >= self.size:
            self._flush(self.size)

    def close(self) -> None:
        if self.held:
            self._flush(self.held)

    def _flush(self, rows: int) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_batches(self.waiting, self.schema)
        number = int(self.parts()[-1].stem.split("-")[1]) + 1 if self.parts() else 0
        path = self.folder / f"part-{number:05}.parquet"
        partial = path.with_name(f".{path.name}")
        # Floats of embeddings do not compress; dictionaries of unique texts only cost.
        pq.write_table(table.slice(0, rows), partial, compression="zstd", use_dictionary=["namespace"])
        partial.rename(path)
        self.waiting = table.slice(rows).to_batches()
        self.held -= rows

    def files(self) -> list[ExportFile]:
        import pyarrow.parquet as pq

        return [
            {"name": path.name, "rows": pq.read_metadata(path).num_rows, "sha256": hash_file(path)}
            for path in self.parts()
        ]
