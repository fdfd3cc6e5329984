"""Stores as Parquet files with a manifest, out and in again; and the Parquet layouts of public vector dumps, in.

An export is a folder:

    _manifest.json           dim, metric, counts, checksum, and digest and rows of every file
    part-00000.parquet …     id, vector (fixed-size list of float32), metadata (JSON text), document, namespace

Each part is written beside its name and renamed when whole; the manifest comes last. An export that was killed goes on
where its parts end, provided that what they hold is still what the store holds. An import sends what the store does
not hold yet, and is over when the store answers for every record.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dizuo.errors import VectorError
from dizuo.events import Finished, Note, Progress, Started, Watcher, ignore
from dizuo.records import Json
from dizuo.vectors.filters.tree import Filter
from dizuo.vectors.moving.copying import by_namespace, send_missing
from dizuo.vectors.moving.dumps import Layout, dump_blocks, dump_dim
from dizuo.vectors.points import Block
from dizuo.vectors.scores import Metric
from dizuo.vectors.vector_store import VectorStore
from dizuo.vectors.writing.digests import Checksum, row_digests

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Exported", "Imported", "export_parquet", "import_parquet", "read_manifest", "shape_of"]

FORMAT = "dizuo vectors 1"


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote."""

    folder: Path
    rows: int
    files: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    rows: int
    """Records of the files."""
    sent: int
    """Records that had to be sent; the others were there."""


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
    """Write records as Parquet files with a manifest; the store should not change meanwhile.

    Args:
        store: where from.
        folder: where to; made where it is not there. A finished export in it is an error, an unfinished one goes on.
        where: which records.
        everywhere: all namespaces; otherwise the store's own.
        rows_per_file: records of one file, and about what is in memory.
        embedder: what made the vectors, for the manifest.
        watch: is told of the progress.

    Raises:
        VectorError: the folder holds something else.
    """
    from dizuo.artifacts.writing import write_json

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "_manifest.json").exists():
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
    for name, block in by_namespace(store, where, everywhere=everywhere, rows=min(2000, rows_per_file)):
        digests = row_digests(block, name)
        right.add(digests)
        counts[name] = counts.get(name, 0) + len(block)
        new = [place for place, digest in enumerate(digests) if digest not in seen]
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
    manifest: dict[str, Json] = {
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
    write_json(folder / "_manifest.json", manifest)
    watch(Finished("export", time.monotonic() - began, f"{right.count:,} rows"))
    return Exported(folder, right.count, len(files), str(right))


class _Writer:
    """Parts of one size, each written beside its name and renamed when whole."""

    def __init__(self, folder: Path, dim: int, size: int) -> None:
        from dizuo.vectors.writing.arrow import schema

        self.folder, self.size = folder, size
        self.schema = schema(dim, namespaces=True)
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
            for name, block in _read(path, self.schema):
                seen.update(row_digests(block, name))
        return seen

    def start_over(self) -> None:
        for path in self.parts():
            path.unlink()

    def add(self, namespace: str, block: Block) -> None:
        from dizuo.vectors.writing.arrow import batch

        if len(block):
            self.waiting.append(batch(block.in_namespaces([namespace] * len(block)), namespaces=True))
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

    def files(self) -> list[dict[str, Any]]:
        import pyarrow.parquet as pq

        return [
            {"name": path.name, "rows": pq.read_metadata(path).num_rows, "sha256": _sha256(path)}
            for path in self.parts()
        ]


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """Return an export's manifest after checking that its files are there, whole and unchanged.

    Raises:
        VectorError: it is no finished export, or a file is damaged.
    """
    folder = Path(folder)
    try:
        manifest: dict[str, Any] = json.loads((folder / "_manifest.json").read_text("utf-8"))
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
        elif _sha256(path) != entry["sha256"]:
            wrong.append(f"{entry['name']}: changed since it was written")
    if wrong:
        raise VectorError(f"{len(wrong)} files of the export {folder} are damaged", details=wrong)
    return manifest


def import_parquet(
    store: VectorStore,
    path: str | Path | Sequence[str | Path],
    *,
    layout: Layout | None = None,
    everywhere: bool = True,
    watch: Watcher = ignore,
) -> Imported:
    """Send the records of an export, or of Parquet files of anybody's, into a store; resumed by repeating.

    Args:
        store: where to; records with the same ids are replaced, others stay.
        path: the folder of an export, a Parquet file, a folder of them, or several.
        layout: which columns are id, vector and document; found by name and type unless given.
        everywhere: an export's records go to the namespaces they come from; otherwise to the store's own.
        watch: is told of the progress.

    Raises:
        VectorError: the files are damaged, of another dimension, or have no column of vectors; or the store does not
            hold what was sent.
    """
    began, rows, sent = time.monotonic(), 0, 0
    total, items = _source(store, path, layout)
    watch(Started("import", total, "rows"))
    wrong: list[str] = []
    for name, block in items:
        space = store.namespace(name) if everywhere and name is not None else store
        digests = row_digests(block, "")
        sent += send_missing(space, block, digests, "")
        rows += len(block)
        space.refresh()
        held = {
            id: digest
            for one in space.blocks(block.ids)
            for id, digest in zip(one.ids, row_digests(one, ""), strict=True)
        }
        last = dict(zip(block.ids, digests, strict=True))  # of an id that comes twice in a file, the last
        wrong += [f"{id!r}" for id, digest in last.items() if held.get(id) != digest]
        if wrong:
            raise VectorError("records did not arrive as they are", details=wrong[:10], hint="import again")
        watch(Progress("import", rows, total, "rows", rate=rows / max(time.monotonic() - began, 1e-9)))
    watch(Finished("import", time.monotonic() - began, f"{rows:,} rows, {sent:,} of them sent; all verified"))
    return Imported(rows, sent)


def _source(
    store: VectorStore, path: str | Path | Sequence[str | Path], layout: Layout | None
) -> tuple[int | None, Iterator[tuple[str | None, Block]]]:
    if isinstance(path, str | Path) and layout is None and (Path(path) / "_manifest.json").is_file():
        folder = Path(path)
        manifest = read_manifest(folder)
        if manifest["dim"] != store.dim:
            raise VectorError(f"the export has vectors of {manifest['dim']} numbers, the store of {store.dim}")
        return manifest["rows"], _exported(folder, manifest)
    total, blocks = dump_blocks(path, dim=store.dim, layout=layout)
    return total, ((None, block) for block in blocks)


def _exported(folder: Path, manifest: dict[str, Any]) -> Iterator[tuple[str | None, Block]]:
    from dizuo.vectors.writing.arrow import schema

    for entry in manifest["files"]:
        yield from _read(folder / entry["name"], schema(manifest["dim"], namespaces=True))


def _read(path: Path, schema: Any) -> Iterator[tuple[str, Block]]:
    """Yield (namespace, block) of one part."""
    import numpy as np
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for part in file.iter_batches(2000, columns=schema.names):
            part = part.cast(schema)
            flat = part.column("vector").flatten().to_numpy(zero_copy_only=False)
            vectors = flat.reshape(part.num_rows, schema.field("vector").type.list_size)
            whole = Block(part.column("id"), vectors, part.column("metadata"), part.column("document"))
            names = np.array(part.column("namespace").to_pylist(), object)
            for name in dict.fromkeys(names.tolist()):
                yield name, whole.take(np.flatnonzero(names == name))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shape_of(paths: str | Path | Sequence[str | Path], *, layout: Layout | None = None) -> tuple[int, Metric | None]:
    """Return dimension and metric of an export, or the dimension of anybody's Parquet files, without reading them all.

    Raises:
        VectorError: they are neither.
    """
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    if len(several) == 1 and layout is None and (Path(several[0]) / "_manifest.json").is_file():
        manifest = read_manifest(several[0])
        return int(manifest["dim"]), manifest["metric"]
    return dump_dim(several, layout=layout), None
