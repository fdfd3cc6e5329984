"""Records from an export, or from anybody's Parquet files, are sent into a store.

An import sends what the store does not hold yet, and is done when the store has every record. One that was killed is
called again. Rows and records are counted apart: a row may repeat the id of another, or be no record at all.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Literal

from dizuo.errors import VectorError
from dizuo.events import Finished, Progress, Started, Warned, Watcher, ignore
from dizuo.vectors.moving.copying import send_missing
from dizuo.vectors.moving.dumps import Layout, count_rows, read_dump_dim, read_ids, read_parts
from dizuo.vectors.moving.export_format import MANIFEST, read_export, read_export_keys, read_manifest
from dizuo.vectors.moving.parts import BadRow, Part, list_bad_rows
from dizuo.vectors.moving.repeats import Keys, Repeats, find_repeats
from dizuo.vectors.protocol.errors import SHOWN
from dizuo.vectors.scores import Metric
from dizuo.vectors.vector_store import VectorStore
from dizuo.vectors.writing.digests import digest_rows

__all__ = ["Imported", "import_parquet", "read_shape"]


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    rows: int
    """Rows of the files."""
    records: int
    """Records of these rows that are in the store, each verified: one for every id."""
    sent: int
    """Records that were sent; the others were there already."""
    repeated: int = 0
    """Rows that a later row of the same id replaces."""
    left_out: int = 0
    """Rows that are no records, or none that this store can hold."""
    faults: tuple[str, ...] = ()
    """The first of the rows that were left out, each with its file, its place and the reason."""


def import_parquet(
    store: VectorStore,
    path: str | Path | Sequence[str | Path],
    *,
    layout: Layout | None = None,
    everywhere: bool = True,
    errors: Literal["raise", "collect"] = "raise",
    watch: Watcher = ignore,
) -> Imported:
    """Send the records of an export, or of anybody's Parquet files, into a store. Call it again to resume.

    An id that stands in several rows is one record, the last of them, and the watcher hears of it.

    Args:
        store: what they are sent into; records with the same ids are replaced, others stay.
        path: the folder of an export, a Parquet file, a folder of them, or several.
        layout: which columns are id, vector and document; found by name and type unless given.
        everywhere: send the records of an export to the namespaces that they come from; otherwise to the store's own.
        errors: `raise` stops at the first rows that no store could hold (NaN, another length, no id), and sends none
            of the rows that were read with them. `collect` leaves such rows out, counts them and names the first.
        watch: is told of the progress, of ids that come again, and of rows that are left out.

    Raises:
        VectorError: the files are damaged, of another dimension, or have no column of vectors; a row is no record; or
            the store does not hold what was sent.
    """
    began = time.monotonic()
    source = _open_source(store, path, layout, everywhere)
    repeats = find_repeats(source.keys)
    watch(Started("import", repeats.rows, "rows"))
    counts = Counter[str]()
    bad: list[BadRow] = []
    told: list[str] = []
    for found in source.parts():
        part = found.check(store.metric)
        if part.bad and errors == "raise":
            _raise_bad(part.bad, counts["records"])
        bad += part.bad[: max(0, SHOWN - len(bad))]
        counts["left out"] += len(part.bad)
        places = [source.first(part.file) + row - 1 for row in part.rows]
        kept = [n for n, place in enumerate(places) if place not in repeats.superseded]
        if len(kept) < len(places):
            told += _name_repeats(source, part, places, repeats)[: SHOWN - len(told)]
            counts["repeated"] += len(places) - len(kept)
            part = part.take(kept)
        if len(part.block):
            counts["sent"] += _send(store if part.namespace is None else store.namespace(part.namespace), part)
            counts["records"] += len(part.block)
        done = counts["records"] + counts["repeated"] + counts["left out"]
        watch(Progress("import", done, repeats.rows, "rows", rate=done / max(time.monotonic() - began, 1e-9)))
    _warn(watch, counts, told, bad)
    text = (
        f"{counts['records']:,} records of {repeats.rows:,} rows are in, {counts['sent']:,} of them sent; all verified"
    )
    watch(Finished("import", time.monotonic() - began, text))
    return Imported(
        repeats.rows, counts["records"], counts["sent"], counts["repeated"], counts["left out"],
        tuple(list_bad_rows(bad, counts["left out"])),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Source:
    """The files of an import."""

    files: Mapping[str, int]
    """Rows by file, in order."""
    keys: Callable[[], Iterator[Keys]]
    """Yields namespace and id of all rows."""
    parts: Callable[[], Iterator[Part]]
    """Yields all rows."""

    def first(self, file: str) -> int:
        """Return the number of a file's first row, counted from 0 over all files."""
        return sum(rows for _, rows in takewhile(lambda item: item[0] != file, self.files.items()))

    def name(self, place: int) -> str:
        """Return file and row of a row that is counted over all files."""
        for file, rows in self.files.items():
            if place < rows:
                return f"{file}, row {place + 1:,}"
            place -= rows
        raise AssertionError("unreachable")


def _open_source(
    store: VectorStore, path: str | Path | Sequence[str | Path], layout: Layout | None, everywhere: bool
) -> _Source:
    if isinstance(path, str | Path) and layout is None and (Path(path) / MANIFEST).is_file():
        folder = Path(path)
        manifest = read_manifest(folder)
        if manifest["dim"] != store.dim:
            raise VectorError(f"the export has vectors of {manifest['dim']} numbers, the store of {store.dim}")

        def parts() -> Iterator[Part]:
            return (part if everywhere else replace(part, namespace=None) for part in read_export(folder, manifest))

        files = {str(folder / entry["name"]): entry["rows"] for entry in manifest["files"]}
        return _Source(files, lambda: read_export_keys(folder, manifest, everywhere=everywhere), parts)
    dim = store.dim
    return _Source(
        count_rows(path, dim=dim, layout=layout),
        lambda: ([("", id) for id in ids] for ids in read_ids(path, dim=dim, layout=layout)),
        lambda: read_parts(path, dim=dim, layout=layout),
    )


def _send(space: VectorStore, part: Part) -> int:
    """Send the records that the store does not hold yet, verify all of them, and return how many were sent."""
    digests = digest_rows(part.block, "")
    sent = send_missing(space, part.block, digests, "")
    space.refresh()
    held = {
        id: digest
        for stored in space.blocks(part.block.ids)
        for id, digest in zip(stored.ids, digest_rows(stored, ""), strict=True)
    }
    wrong = [f"{id!r}" for id, digest in zip(part.block.ids, digests, strict=True) if held.get(id) != digest]
    if wrong:
        raise VectorError("records did not arrive as they are", details=wrong[:10], hint="import again")
    return sent


def _name_repeats(source: _Source, part: Part, places: Sequence[int], repeats: Repeats) -> list[str]:
    """Return a line for each row of a part that a later row replaces."""
    return [
        f"{source.name(place)} ({id!r}): {source.name(last)} has the same id, and counts"
        for id, place in zip(part.block.ids, places, strict=True)
        if (last := repeats.superseded.get(place)) is not None
    ]


def _raise_bad(bad: Sequence[BadRow], records: int) -> None:
    noun = "row is" if len(bad) == 1 else "rows are"
    raise VectorError(
        f"{len(bad):,} {noun} no record of this store",
        details=[*list_bad_rows(bad), f"{records:,} records of this call are in the store"],
        hint="mend them, or leave them out: errors='collect', on the command line --skip-bad",
    )


def _warn(watch: Watcher, counts: Mapping[str, int], told: Sequence[str], bad: Sequence[BadRow]) -> None:
    """Tell of rows that are no records of their own: how many they are, and which are the first."""
    if repeated := counts.get("repeated", 0):
        more = [f"… and {repeated - len(told):,} more"] if repeated > len(told) else []
        noun = "row has" if repeated == 1 else "rows have"
        watch(Warned("\n  ".join([f"{repeated:,} {noun} an id that comes again later", *told, *more])))
    if left_out := counts.get("left out", 0):
        noun = "row was" if left_out == 1 else "rows were"
        watch(Warned("\n  ".join([f"{left_out:,} {noun} left out", *list_bad_rows(bad, left_out)])))


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
