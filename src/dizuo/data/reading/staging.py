"""Turns the rows of all sources into examples in a staging file, checks every row, and reports every bad one.

The first pass over the sources finds the format. The second converts each row, writes it to the staging file, and
keeps a few integers a row in memory: what deduplication and splitting need. Ten million rows take about 800
MB, and 8 bytes more for each earlier answer of a conversation.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from dizuo.data import readers
from dizuo.data.checks.identity import key, keys_of, order_key, shorten
from dizuo.data.dataset import SplitWriter
from dizuo.data.formats import Format
from dizuo.data.options import PrepareOptions
from dizuo.data.reading import detection
from dizuo.data.reading.columns import Columns, RowError
from dizuo.data.reading.files import Fault, Row
from dizuo.data.reading.keys import Ignored, KeyCounts, View, unread
from dizuo.data.reading.rows import place_of, read_rows
from dizuo.data.reading.sources import Part
from dizuo.errors import DataError, did_you_mean
from dizuo.events import Progress, Watcher
from dizuo.records import Example, Json, Labelled, Origin, Text, kind_of, to_json, with_identity

__all__ = ["Staged", "choose_readers", "find_format", "stage"]


@dataclass(slots=True)
class Staged:
    """Columns of integers over the staged rows, in the order in which they were read."""

    kind: type[Example] | None = None
    """The kind of all examples; None while there is none."""
    inputs: array[int] = field(default_factory=lambda: array("Q"))
    """By row, the key of what the model reads before it answers, after normalising."""
    exacts: array[int] = field(default_factory=lambda: array("Q"))
    """By row, the key of the same as it stands."""
    fulls: array[int] = field(default_factory=lambda: array("Q"))
    """By row, the key of input and answers together."""
    openings: array[int] = field(default_factory=lambda: array("Q"))
    """The keys of what the model reads before the earlier answers of a row, row after row."""
    ends: array[int] = field(default_factory=lambda: array("Q"))
    """By row, where its part of `openings` ends."""
    groups: array[int] = field(default_factory=lambda: array("Q"))
    """By row, the key of its group; 0 for none."""
    orders: array[int] = field(default_factory=lambda: array("Q"))
    """By row, its place in the seeded order."""
    strata: array[int] = field(default_factory=lambda: array("L"))
    """By row, the number of its labels in `labels`."""
    parts: array[int] = field(default_factory=lambda: array("L"))
    """By row, the number of its source."""
    labels: dict[tuple[str, ...], int] = field(default_factory=dict)
    """The numbers of all labels, or sets of labels, that rows have, counted from 0."""
    multi_label: bool = False
    """Whether a row has several labels."""
    shortened: int = 0
    """Rows that were cut to the length asked for."""
    faults: list[tuple[int, Fault]] = field(default_factory=list)
    """(part, fault) of every bad row."""
    unread: KeyCounts = field(default_factory=KeyCounts)
    """Keys of the good rows that hold something and that the format does not read."""

    def __len__(self) -> int:
        return len(self.inputs)

    def openings_of(self, row: int) -> Sequence[int]:
        """Return the keys of the questions that a row answers before its last one."""
        return self.openings[self.ends[row - 1] if row else 0 : self.ends[row]]


def choose_readers(parts: list[Part], options: PrepareOptions) -> list[str]:
    """Return the reader of each part."""
    return [readers.choose(part.source, options.reader) for part in parts]


def find_format(
    parts: list[Part], names: list[str], options: PrepareOptions, columns: Columns, ignored: Ignored
) -> tuple[str, str]:
    """Return (the record format, why)."""
    if options.format != "auto":
        detection.load(options.format)
        return options.format, "asked for"
    asked = set(columns.asked)
    if {"text", "label"} <= asked:
        return "classification", "text_column and label_column are named"
    if {"prompt", "completion"} <= asked:
        return "prompt_completion", "columns names prompt and completion"
    evidence = detection.Evidence()
    faulty = 0

    def rows() -> Iterator[Row | Fault]:
        nonlocal faulty
        for _, row in read_rows(parts, names, ignored, by_id=bool(options.labels)):
            faulty += isinstance(row, Fault)
            yield row

    detection.gather(rows(), columns, evidence)
    where = parts[0].source.name if len(parts) == 1 else f"{parts[0].source.name} and {len(parts) - 1} more"
    if evidence.rows == 0:
        if faulty:
            return "text", "no row could be read"  # the second pass reports them all
        raise DataError(f"{where} holds no rows", hint="check that it was written to its end")
    _check_columns(columns, evidence, where)
    chosen = detection.choose(evidence, name=where, columns=columns, options=options)
    return chosen, f"{', '.join(sorted(evidence.used[chosen]))} in {evidence.fits[chosen]:,} of {evidence.rows:,} rows"


def _check_columns(columns: Columns, evidence: detection.Evidence, where: str) -> None:
    """Refuse a column that the user named and no row has: dropping it would prepare another task than was asked for."""
    keys = list(evidence.keys)
    lost = [
        f"{role}: no row has a column {name!r}{did_you_mean(name, keys)}"
        for role, name in columns.asked.items()
        if name not in keys and not (name.isdigit() and 1 <= int(name) <= len(keys))
    ]
    if lost:
        raise DataError(
            f"{where} lacks a column that was named",
            details=lost,
            hint=f"its columns are: {', '.join(keys[:12])}",
        )


def stage(
    parts: list[Part],
    names: list[str],
    format_name: str,
    columns: Columns,
    options: PrepareOptions,
    ignored: Ignored,
    path: Path,
    watch: Watcher,
) -> Staged:
    """Convert all rows and write the good ones to `path`; the bad ones are in the result's `faults`."""
    fmt = detection.load(format_name)
    staged = Staged()
    seen = 0
    with ExitStack() as stack:
        writer: SplitWriter | None = None
        for number, row in read_rows(parts, names, ignored, by_id=bool(options.labels)):
            part = parts[number]
            seen += 1
            if seen % 5000 == 0:
                watch(Progress("prepare", seen, unit="rows"))
            if isinstance(row, Fault):
                staged.faults.append((number, row))
                continue
            view = View(row.value)
            try:
                examples = list(_examples(replace(row, value=view), part, fmt, columns, options, staged))
            except RowError as error:
                staged.faults.append((number, _fault(row, error)))
                continue
            for example in examples:
                if isinstance(example, RowError):
                    staged.faults.append((number, _fault(row, example)))
                    continue
                if writer is None:
                    staged.kind = type(example)
                    writer = stack.enter_context(SplitWriter(path, kind=type(example)))
                if type(example) is not staged.kind:
                    assert staged.kind is not None
                    reason = f"is a {kind_of(example)}, the rows before it are {staged.kind.__name__.lower()}"
                    staged.faults.append((number, _fault(row, RowError(reason, path=example.origin.path))))
                    continue
                _index(staged, example, number, options.seed)
                writer.write([example])
            if left := unread(view):
                staged.unread.add(left, place_of(row, part.source))
    return staged


def _fault(row: Row, error: RowError) -> Fault:
    raw = _raw(_value_at(row.value, error.path)) if error.path else _raw(row.value)
    return Fault(row.line, str(error), raw, row.file, _path(row.path, error.path))


def _value_at(value: Json, path: str) -> Json:
    """Return the value at a path such as `paragraphs[2].qas[1]`."""
    for name, index in re.findall(r"([^.\[\]]+)(?:\[(\d+)\])?", path):
        assert isinstance(value, Mapping)
        value = value[name]
        if index:
            assert isinstance(value, list)
            value = value[int(index)]
    return value


def _path(outer: str, inner: str) -> str:
    return f"{outer}.{inner}" if outer and inner else outer or inner


def _examples(
    row: Row,
    part: Part,
    fmt: Format,
    columns: Columns,
    options: PrepareOptions,
    staged: Staged,
) -> Iterator[Example | RowError]:
    file = row.file or part.source.name
    group = ""
    if options.group_column:
        if options.group_column not in row.value:
            near = did_you_mean(options.group_column, row.value)
            raise RowError(f"has no group column {options.group_column!r}{near}")
        value = row.value[options.group_column]
        group = "" if value is None else str(value)
    for example in fmt.read(row.value, columns, options):
        if isinstance(example, RowError):
            yield example
            continue
        origin = Origin(file, row.line, _path(row.path, example.origin.path))
        if isinstance(example, Labelled | Text) and (options.text_words or options.max_chars):
            text = shorten(example.text, words=options.text_words, chars=options.max_chars)
            staged.shortened += text != example.text
            example = replace(example, text=text)
        _check_characters(example)
        named = with_identity(example)
        yield replace(named, origin=origin) if isinstance(named, Text) else replace(named, origin=origin, group=group)


def _check_characters(example: Example) -> None:
    """Refuse lone surrogates: bytes that did not decode, or half a character from a JSON escape."""
    if isinstance(example, Labelled | Text):
        text = "\n".join((example.text, *(example.labels if isinstance(example, Labelled) else (example.prompt,))))
    else:
        text = json.dumps(to_json(example), ensure_ascii=False)
    if text.isascii():
        return
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        if 0xDC80 <= code <= 0xDCFF:
            raise RowError(f"holds the byte 0x{code - 0xDC00:02x}, which is not UTF-8") from None
        raise RowError(f"holds half a character (\\u{code:04x} without its pair)") from None


def _index(staged: Staged, example: Example, part: int, seed: int) -> None:
    keys = keys_of(example)
    staged.inputs.append(keys.question)
    staged.exacts.append(keys.exact)
    staged.fulls.append(keys.full)
    staged.openings.extend(keys.openings)
    staged.ends.append(len(staged.openings))
    group = getattr(example, "group", "")
    staged.groups.append((key(group) or 1) if group else 0)
    staged.orders.append(order_key(example.id, seed))
    labels = example.labels if isinstance(example, Labelled) else ()
    staged.multi_label |= len(labels) > 1
    staged.strata.append(staged.labels.setdefault(labels, len(staged.labels)))
    staged.parts.append(part)


def _raw(value: Json) -> str:
    return json.dumps(value, ensure_ascii=True, default=str)
