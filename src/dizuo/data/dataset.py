"""A data set on disk: one Arrow file per split, the task, and the card that accounts for every row.

    <folder>/dataset.json           the card: ledger, statistics, sources with digests, options, digest
    <folder>/task.json              what is asked
    <folder>/train.arrow …          Arrow IPC files, memory-mapped; read by any Arrow implementation
    <folder>/removed.jsonl          every row that is in no split, with file, line and reason

Rows lie in the order of a seeded hash of their content: any beginning of a split is a random sample of it.
"""

from __future__ import annotations

import bisect
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from dizuo.data.card import Card
from dizuo.data.task import Task
from dizuo.errors import DataError
from dizuo.records import Chat, Example, Feedback, Labelled, Message, Preference, Text, from_json

__all__ = ["SPLITS", "Dataset", "Split", "SplitWriter", "open", "order"]

SPLITS = ("train", "validation", "test")
ROWS_PER_BATCH = 1024
"""Rows of one Arrow record batch: the unit that a random access decodes."""

_STRINGS = {Text: ("text", "prompt"), Chat: (), Labelled: ("text",), Preference: (), Feedback: ()}
_LISTS: dict[type[Any], tuple[str, ...]] = {Chat: ("references",), Labelled: ("labels",)}
_JSON = {
    Chat: ("messages", "tools"),
    Preference: ("prompt", "chosen", "rejected", "tools"),
    Feedback: ("prompt", "completion", "tools"),
}


@dataclass(slots=True)
class Dataset:
    """A prepared data set: immutable, memory-mapped, with its lineage."""

    folder: Path
    task: Task | None
    train: Split
    validation: Split
    test: Split
    card: Card = field(repr=False)
    """Ledger, label counts, lengths, sources, options, digest; `dizuo.pages.data_card` draws it."""

    @property
    def digest(self) -> str:
        """SHA-256 over the task and every row of every split; places of files and machines do not enter."""
        return self.card.digest

    def splits(self) -> dict[str, Split]:
        """Return the splits by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


class Split(Sequence[Example]):
    """The examples of one split, read from disk as they are asked for."""

    def __init__(self, path: Path, *, name: str) -> None:
        import pyarrow as pa

        self.path = path
        self.name = name
        try:
            self._reader = pa.ipc.open_file(pa.memory_map(str(path)))
            meta = json.loads(self._reader.schema.metadata[b"dizuo"])
        except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path} is not a split that dizuo wrote: {error}", hint="prepare the data set again"
            ) from error
        self.kind: str = meta["kind"]
        lengths = [self._reader.get_batch(i).num_rows for i in range(self._reader.num_record_batches)]
        self._starts = [0, *np.cumsum(lengths).tolist()]
        self._cached: tuple[int, list[dict[str, Any]]] = (-1, [])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = int(index)
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(f"{self.name} has {len(self)} rows, asked for row {index}")
        batch = bisect.bisect_right(self._starts, index) - 1
        return _decode(self.kind, self._reader.get_batch(batch).slice(index - self._starts[batch], 1).to_pylist()[0])

    def __iter__(self) -> Iterator[Example]:
        return self.read_from(0)

    def read_from(self, start: int) -> Iterator[Example]:
        """Yield the examples from a position to the end."""
        for batch in range(max(0, bisect.bisect_right(self._starts, start) - 1), len(self._starts) - 1):
            skip = max(0, start - self._starts[batch])
            for row in self._reader.get_batch(batch).slice(skip).to_pylist():
                yield _decode(self.kind, row)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the rows' ids and groups in order, as `"sha256:…"`."""
        total = hashlib.sha256()
        for batch in range(len(self._starts) - 1):
            columns = self._reader.get_batch(batch)
            for identity, group in zip(columns["id"].to_pylist(), columns["group"].to_pylist()):
                total.update(f"{identity}\t{group}\n".encode())
        return f"sha256:{total.hexdigest()}"

    def __repr__(self) -> str:
        return f"Split({self.name!r}, {len(self)} rows of {self.kind})"


class SplitWriter:
    """Writes examples of one kind to an Arrow file, a batch at a time."""

    def __init__(self, path: Path, *, kind: type[Any]) -> None:
        import pyarrow as pa

        self._kind = kind
        self._schema = _schema(kind)
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._sink, self._schema)
        self._rows: list[dict[str, Any]] = []
        self.num_rows = 0

    def write(self, examples: Iterable[Example]) -> None:
        """Append examples."""
        for example in examples:
            self._rows.append(_encode(example))
            self.num_rows += 1
            if len(self._rows) == ROWS_PER_BATCH:
                self._flush()

    def close(self) -> None:
        """Finish the file."""
        if self._rows:
            self._flush()
        self._writer.close()
        self._sink.close()

    def __enter__(self) -> SplitWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _flush(self) -> None:
        import pyarrow as pa

        self._writer.write_batch(pa.RecordBatch.from_pylist(self._rows, schema=self._schema))
        self._rows = []


def open(folder: str | Path) -> Dataset:
    """Return the data set that `prepare` wrote into a folder.

    Raises:
        DataError: the folder holds no data set, or a part of it is missing.
    """
    folder = Path(folder)
    path = folder / "dataset.json"
    if not path.is_file():
        raise DataError(
            f"{folder} holds no prepared data set (there is no dataset.json)",
            hint="prepare it first: dizuo prepare FILE",
        )
    card = Card.from_json(json.loads(path.read_text("utf-8")))
    task = Task.read(folder / "task.json") if (folder / "task.json").is_file() else None
    train, validation, test = (Split(folder / f"{name}.arrow", name=name) for name in SPLITS)
    return Dataset(folder=folder, task=task, train=train, validation=validation, test=test, card=card)


def order(n: int, *, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """Return the order in which epoch `epoch` (from 0) visits n rows: a permutation that depends on nothing else."""
    return np.random.default_rng([seed, epoch, 0x0D1220]).permutation(n).astype(np.int64)


def _schema(kind: type[Any]) -> Any:
    import pyarrow as pa

    columns = [
        ("id", pa.string()),
        ("file", pa.string()),
        ("line", pa.int64()),
        ("path", pa.string()),
        ("group", pa.large_string()),
    ]
    columns += [(name, pa.large_string()) for name in (*_STRINGS[kind], *_JSON.get(kind, ()))]
    columns += [(name, pa.list_(pa.large_string())) for name in _LISTS.get(kind, ())]
    if kind is Feedback:
        columns.append(("desirable", pa.bool_()))
    return pa.schema(columns, metadata={"dizuo": json.dumps({"kind": kind.__name__.lower(), "version": 1})})


def _encode(example: Example) -> dict[str, Any]:
    kind = type(example)
    row: dict[str, Any] = {
        "id": example.id,
        "file": example.origin.file,
        "line": example.origin.line,
        "path": example.origin.path or None,
        "group": getattr(example, "group", ""),
    }
    for name in (*_STRINGS[kind], *_LISTS.get(kind, ())):
        row[name] = getattr(example, name)
    for name in _JSON.get(kind, ()):
        row[name] = json.dumps([_plain(item) for item in getattr(example, name)], ensure_ascii=False, sort_keys=True)
    if isinstance(example, Feedback):
        row["desirable"] = example.desirable
    return row


def _plain(item: Any) -> Any:
    if not isinstance(item, Message):
        return item
    return item.as_template_dict() | ({"weight": item.weight} if item.weight != 1.0 else {})


def _decode(kind: str, row: dict[str, Any]) -> Example:
    value = {**row, "kind": kind, "origin": {"file": row["file"], "line": row["line"], "path": row.get("path") or ""}}
    for name in ("messages", "tools", "prompt", "chosen", "rejected", "completion"):
        if name in value and kind != "text":
            value[name] = json.loads(value[name])
    return from_json(value)
