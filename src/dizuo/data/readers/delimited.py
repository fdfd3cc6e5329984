"""CSV and TSV: finds separator, quoting and header from the beginning of the file, and states them in the card.

A first line `sep=;` says what separates the columns, and is no row; columns without a name are called by their number.
Quoted cells may run over several lines; a row's line is the one it starts on. A quote that is never closed costs one
row: it is reported where it opened, and reading goes on behind that line. Tab-separated files are often written
without any quoting, with quotation marks as plain characters; they are read so unless their quotes are balanced.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass

from dizuo.data.readers import Reader
from dizuo.data.reading.columns import ALIASES, known_column
from dizuo.data.reading.files import Fault, Row, SourceFile, refuse_repeated
from dizuo.errors import DataError

_DELIMITERS = ",\t;|"
_SAMPLE_CHARACTERS = 1 << 20
_MAX_ROW_LINES = 5_000
"""A quote open for this many lines was never meant to be one."""
_TABBED = (".tsv", ".tab", ".txt", ".text")
"""Suffixes of tables whose columns nothing but a tab separates."""
_SEPARATOR_LINE = re.compile(r"\ufeff?\"?sep=(.)\"?[;,\t]*[\r\n]*", re.IGNORECASE)
"""The first line by which Excel says what separates the columns; it is no row."""
_WORD = re.compile(r"[^\W\d][\w .()/（）#-]{0,40}")
"""The name of a column in any script."""
_NUMBER = re.compile(r"\s*[-+]?[\d.,:/-]+\s*")
"""A number, a date or a time."""
_FEW = 20
"""Rows from which a column tells what its values are, and the most classes that are told by it."""
_IDENTIFIER = re.compile(r"[A-Za-z_][\w .()/#-]{0,40}")


@dataclass(frozen=True, slots=True)
class _Dialect:
    delimiter: str
    quoting: bool

    @property
    def arguments(self) -> dict[str, object]:
        if self.quoting:
            return {"delimiter": self.delimiter, "strict": True}
        return {"delimiter": self.delimiter, "quoting": csv.QUOTE_NONE, "quotechar": None}


def looks(head: bytes) -> bool:
    """Return whether nearly every line has the same number of tabs, or of commas under a header of names."""
    lines = head.decode("utf-8", "replace").split("\n")[:-1][:200] or head.decode("utf-8", "replace").split("\n")
    lines = [line for line in lines if line.strip()]
    if not lines:
        return False
    tabs = [line.count("\t") for line in lines]
    common = max(set(tabs), key=tabs.count)
    if common > 0 and tabs.count(common) >= 0.9 * len(lines):
        return True
    cells = lines[0].strip().split(",")
    return len(cells) > 1 and len(lines) > 1 and any(known_column(cell) for cell in cells)


def read(source: SourceFile) -> Iterator[Row | Fault]:
    """Yield one row per record under the header's names, or under "1", "2", … where there is none."""
    csv.field_size_limit(1 << 30)
    sample = list(_sample(source))
    separator = _SEPARATOR_LINE.fullmatch(sample[0]) if sample else None
    skipped = 1 if separator else 0
    sample = sample[skipped:]
    dialect = _dialect(source, sample, separator=separator[1] if separator else "")
    rows = _records((line for number, line in source.lines() if number > skipped), dialect, skipped=skipped)
    head = [cells for _, cells, _ in _records(iter(sample), dialect) if isinstance(cells, list)][:200]
    if not head:
        raise DataError(f"{source.name} holds no row that can be read", hint="check its separator and quoting")
    named = _has_header(source, head)
    names = _names(head[0]) if named else _unnamed(source, head)
    if named and source.class_list:
        _name_classes(source, names, head[1:])
    refuse_repeated(names, place=f"{source.name}:{1 + skipped}: the header")
    source.notes.update(
        delimiter={"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar"}.get(dialect.delimiter, dialect.delimiter),
        quoting="double quotes" if dialect.quoting else "none",
        header="yes" if named else "no",
        columns=names,
    )
    skip_header = named
    for line, cells, raw in rows:
        if isinstance(cells, str):
            yield Fault(line, cells, raw)
        elif skip_header:
            skip_header = False
        elif len(cells) != len(names):
            whose = "the header has" if named else "the other rows have"
            count = f"{len(cells)} column" + ("s" if len(cells) != 1 else "")
            yield Fault(line, f"has {count}, {whose} {len(names)}", raw)
        else:
            yield Row(line, dict(zip(names, cells)))


def _names(header: list[str]) -> list[str]:
    """Return the names of a header; a column without one is called by its number."""
    cells = [cell.strip().removeprefix("\ufeff") for cell in header]
    return [cell or str(number) for number, cell in enumerate(cells, start=1)]


def _unnamed(source: SourceFile, rows: list[list[str]]) -> list[str]:
    """Return names for columns that have none: numbers, or `text` and `label` where a file beside names the classes."""
    width = _usual_width(rows)
    ids = _class_columns(source, rows, width)
    if width != 2 or len(ids) != 1:
        return [str(i) for i in range(1, width + 1)]
    source.class_names["label"] = source.class_list
    return ["label", "text"] if ids == [0] else ["text", "label"]


def _name_classes(source: SourceFile, names: list[str], rows: list[list[str]]) -> None:
    """Give the one column that can hold the classes of a file beside their names."""
    ids = [names[i] for i in _class_columns(source, rows, len(names))]
    labels = [name for name in ids if name.lower() in ALIASES["label"]]
    if len(labels) == 1:
        source.class_names[labels[0]] = source.class_list


def _class_columns(source: SourceFile, rows: list[list[str]], width: int) -> list[int]:
    """Return the columns that hold nothing but numbers of the classes that a file beside names."""
    counts = range(len(source.class_list))
    whole = [row for row in rows if len(row) == width]
    return [i for i in range(width) if whole and all(row[i].isdecimal() and int(row[i]) in counts for row in whole)]


def _records(
    lines: Iterator[str], dialect: _Dialect, *, skipped: int = 0
) -> Iterator[tuple[int, list[str] | str, str]]:
    """Yield (first line, cells or what is wrong, the record as it stands); blank lines are no records."""
    feed = _Feed(lines, skipped)
    reader = csv.reader(feed, **dialect.arguments)  # type: ignore[arg-type]
    while True:
        feed.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            first, raw = feed.give_back()
            open_quote = len(feed.held_before) > 1 or "unexpected end" in str(error)
            reason = "a quote opened here is never closed" if open_quote else f"is not CSV: {error}"
            yield first, reason, raw
            reader = csv.reader(feed, **dialect.arguments)  # type: ignore[arg-type]
            continue
        if cells:
            yield feed.first, cells, "".join(feed.held).rstrip("\r\n")


class _Feed:
    """Feeds lines to a csv reader, and remembers them until the record that they belong to is whole."""

    def __init__(self, lines: Iterator[str], skipped: int) -> None:
        self._lines = lines
        self._returned: list[str] = []
        self._number = skipped
        self.held: list[str] = []
        self.held_before: list[str] = []
        self.first = 1

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        if len(self.held) > _MAX_ROW_LINES:
            raise csv.Error("unexpected end")
        line = self._returned.pop() if self._returned else next(self._lines)
        self._number += 1
        self.held.append(line)
        return line

    def begin(self) -> None:
        self.held = []
        self.first = self._number + 1

    def give_back(self) -> tuple[int, str]:
        """Return the first line of the failed record and its number; the lines behind it will be read again."""
        first, rest = self.held[0], self.held[1:]
        self._returned.extend(reversed(rest))
        self._number -= len(rest)
        self.held_before, self.held = self.held, []
        return self.first, first.rstrip("\r\n")


def _sample(source: SourceFile) -> Iterator[str]:
    taken = 0
    for _, line in source.lines():
        yield line
        taken += len(line)
        if taken > _SAMPLE_CHARACTERS:
            return


def _dialect(source: SourceFile, sample: list[str], *, separator: str = "") -> _Dialect:
    """Return the dialect under which the sample has the fewest faulty rows, and of these the most columns.

    Args:
        source: the file, whose user may have said what separates its columns.
        sample: its first lines.
        separator: what separates its columns as the file itself says; empty where it does not.
    """
    delimiters = source.delimiter or separator or _DELIMITERS
    if delimiters == _DELIMITERS and source.suffix in _TABBED:
        delimiters = "\t"
    best: tuple[float, int, int] | None = None
    chosen = _Dialect(delimiters[0], quoting=delimiters[0] != "\t")
    for rank, delimiter in enumerate(delimiters):
        dialect = _Dialect(delimiter, quoting=delimiter != "\t" or _quotes_are_balanced(sample))
        widths = [len(cells) if isinstance(cells, list) else 0 for _, cells, _ in _records(iter(sample), dialect)]
        if not widths:
            continue
        usual = max(set(widths), key=widths.count)
        faulty = sum(width != usual for width in widths) / len(widths)
        if usual < 2:
            continue
        # A header row's width is what the writer meant: a comma in every text must not outvote a tab in every line.
        score = (round(faulty, 2), rank if faulty < 0.1 else rank + 10, -usual)
        if best is None or score < best:
            best, chosen = score, dialect
    return chosen


def _quotes_are_balanced(sample: list[str]) -> bool:
    """Return whether every cell of a tab-separated sample that opens with a quote closes with one in its line."""
    quoted = False
    for line in sample:
        if '"' not in line:
            continue
        for cell in line.rstrip("\r\n").split("\t"):
            if not cell.startswith('"'):
                continue
            quoted = True
            if len(cell) < 2 or not cell.endswith('"') or '"' in cell[1:-1].replace('""', ""):
                return False
    return quoted


def _usual_width(rows: list[list[str]]) -> int:
    widths = [len(row) for row in rows]
    return max(set(widths), key=widths.count)


def _has_header(source: SourceFile, rows: list[list[str]]) -> bool:
    if source.header != "auto":
        return source.header == "yes"
    first, others = rows[0], rows[1:]
    named = {i: cell for i, cell in enumerate(first) if cell.strip()}  # spreadsheets add empty columns on the right
    again = {i for i, cell in named.items() if any(len(row) > i and row[i] == cell for row in others)}
    if any(known_column(cell) and (cell.isascii() or i not in again) for i, cell in named.items()):
        return True  # a word such as `问题` may as well be a class, and then it stands in other rows, too
    if not named or again:
        return False
    if all(_IDENTIFIER.fullmatch(cell.strip()) for cell in named.values()):
        return True
    words = all(_WORD.fullmatch(cell.strip()) for cell in named.values())
    return words and any(_is_unlike(cell, [row[i] for row in others if len(row) > i]) for i, cell in named.items())


def _is_unlike(cell: str, others: list[str]) -> bool:
    """Return whether a cell is none of the few values, or no number, that all others of its column are."""
    if len(others) < _FEW:
        return False
    few = len(set(others)) <= min(_FEW, len(others) / 2)
    return few or (_NUMBER.fullmatch(cell) is None and all(_NUMBER.fullmatch(other) for other in others))


READER = Reader(suffixes=(".csv", ".tsv", ".tab"), looks=looks, read=read, is_text=True)
