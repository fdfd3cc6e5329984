"""JSON documents: an array of objects, which is streamed, or an object that holds such an array, which is read whole.

An object with exactly one list of objects (`{"version": …, "data": […]}`, SQuAD's outer form) gives that list's
rows; an object of equally long lists (`{"text": […], "label": […]}`) gives a row per position; any other object is one
row. Objects that follow one another are rows where the file is called JSON lines. A syntax error stops the reading:
what follows it cannot be told apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from dizuo.data.readers import Reader
from dizuo.data.reading.files import Fault, Row, SourceFile
from dizuo.data.reading.keys import first_repeated
from dizuo.errors import DataError

_CHUNK = 1 << 16
_WHITE = " \t\r\n"


def looks(head: bytes) -> bool:
    """Return whether the first character opens an array, or an object over several lines."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:2]
    return start[:1] == b"[" or start in (b"{\n", b"{\r")


def read(source: SourceFile) -> Iterator[Row | Fault]:
    """Yield one row per object."""
    text = _Buffer(source)
    if text.peek() == "[":
        yield from _array(text, source)
        return
    document = text.value()
    if not isinstance(document, dict):
        raise DataError(f"{source.name} holds {_name(document)}", hint="a data file holds objects with keys")
    if text.peek() and source.suffix != ".json":
        yield from _documents(document, text)
        return
    if text.peek():
        raise DataError(
            f"{source.name}:{text.line}: something follows the document",
            hint="one value per line is JSONL: rename the file to .jsonl or set reader: jsonl",
        )
    if text.repeated:
        raise DataError(f"{source.name} has the key {text.repeated!r} twice in one object", hint="give it two names")
    nested = [k for k, v in document.items() if isinstance(v, list) and v and all(isinstance(i, dict) for i in v)]
    lists = [v for v in document.values() if isinstance(v, list)]
    if len(nested) == 1 and not {"messages", "conversations"} & set(nested):
        source.notes["rows under"] = nested[0]
        beside = [key for key, value in document.items() if key != nested[0] and value not in (None, "", [], {})]
        if beside:
            source.notes["beside the rows, not read"] = beside
        for number, item in enumerate(document[nested[0]]):
            yield Row(None, item, path=f"{nested[0]}[{number}]")
    elif len(lists) == 1 and not lists[0]:
        key = next(key for key, value in document.items() if value == [])
        raise DataError(f"{source.name} holds no rows: its list {key!r} is empty", hint="check what wrote it")
    elif lists and len(lists) == len(document) > 1 and not nested and len({len(v) for v in lists}) == 1:
        for number, cells in enumerate(zip(*document.values())):
            yield Row(None, dict(zip(document, cells)), path=f"{next(iter(document))}[{number}]")
    else:
        yield Row(1, document)


def _documents(document: dict[str, Any], text: _Buffer) -> Iterator[Row | Fault]:
    """Yield a row per object of a file that holds one after the other, each over several lines."""
    value: Any = document
    line = 1
    while True:
        if text.repeated:
            yield Fault(line, f"has the key {text.repeated!r} twice")
        elif isinstance(value, dict):
            yield Row(line, value)
        else:
            yield Fault(line, f"a row is an object with keys, this is {_name(value)}", json.dumps(value)[:2000])
        if not text.peek():
            return
        line = text.line
        value = text.value()


def _array(text: _Buffer, source: SourceFile) -> Iterator[Row | Fault]:
    text.skip()
    number, before = 0, 0
    while True:
        mark = text.peek()
        if mark == "]":
            text.skip()
            if text.peek():
                raise DataError(f"{source.name}:{text.line}: something follows the array", hint="remove it")
            return
        if number:
            if mark != ",":
                raise _broken(source, text.line, "expecting ',' or ']' after a row" if mark else "the array never ends")
            text.skip()
            text.peek()
        line = text.line
        value = text.value()
        path = f"[{number}]" if line == before else ""  # where rows share a line, its number says little
        number, before = number + 1, line
        if text.repeated:
            yield Fault(line, f"has the key {text.repeated!r} twice", path=path)
        elif isinstance(value, dict):
            yield Row(line, value, path=path)
        else:
            reason = f"a row is an object with keys, this is {_name(value)}"
            yield Fault(line, reason, json.dumps(value)[:2000], path=path)


class _Buffer:
    """A window over the file's text that knows its line number."""

    def __init__(self, source: SourceFile) -> None:
        self._source = source
        self._pieces = self._read()
        self._text = ""
        self._at = 0
        self._counted = 0
        self._lines = 1
        self._decoder = json.JSONDecoder(parse_constant=self._refuse, object_pairs_hook=self._unique)
        self.repeated = ""
        """A key that stands twice in an object of the last value; empty where all stand once."""

    def _read(self) -> Iterator[str]:
        with self._source.text() as file:
            while piece := file.read(_CHUNK):
                yield piece

    @property
    def line(self) -> int:
        self._lines += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._lines

    def _more(self) -> bool:
        # Take as much again as is held, so that one large row costs a few attempts rather than thousands.
        pieces, wanted = [], max(_CHUNK, len(self._text) - self._at)
        while wanted > 0 and (piece := next(self._pieces, "")):
            pieces.append(piece)
            wanted -= len(piece)
        if not pieces:
            return False
        _ = self.line
        self._text = self._text[self._at :] + "".join(pieces)
        self._at = self._counted = 0
        return True

    def peek(self) -> str:
        """Return the next character that is not white space, or an empty string at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _WHITE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def skip(self) -> None:
        self._at += 1

    def value(self) -> Any:
        self.peek()
        while True:
            self.repeated = ""
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._more():
                    continue
                line = self.line + self._text.count("\n", self._at, error.pos)
                raise _broken(self._source, line, f"{error.msg[0].lower()}{error.msg[1:]}", error.colno) from None
            except RecursionError:
                raise _broken(self._source, self.line, "nested too deeply") from None
            if end == len(self._text) and self._more():
                continue
            self._at = end
            return value

    def _unique(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) != len(pairs):
            self.repeated = first_repeated(pairs)
        return value

    def _refuse(self, constant: str) -> None:
        raise _broken(self._source, self.line, f"{constant} is not JSON")


def _broken(source: SourceFile, line: int, reason: str, column: int | None = None) -> DataError:
    place = f"{source.name}:{line}" + (f":{column}" if column else "")
    return DataError(f"{place}: is not JSON: {reason}", hint="nothing behind this place can be read; repair the file")


def _name(value: object) -> str:
    names = {list: "a list", str: "a string", int: "a number", float: "a number", bool: "true or false"}
    return names.get(type(value), "null")


READER = Reader(suffixes=(".json",), looks=looks, read=read, is_text=True)
