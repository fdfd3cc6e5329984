"""JSON lines: one object per line, cut at "\\n" only; blank lines are no rows; a key stands once in an object."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from dizuo.data.readers import Reader
from dizuo.data.reading.files import Fault, Row, SourceFile
from dizuo.data.reading.keys import first_repeated


def looks(head: bytes) -> bool:
    """Return whether the first lines are objects of their own."""
    lines = [line for line in head.removeprefix(b"\xef\xbb\xbf").split(b"\n")[:3] if line.strip()]
    if not lines or not lines[0].lstrip().startswith(b"{"):
        return False
    try:
        json.loads(lines[0])
    except ValueError:
        return len(lines) > 1 and all(line.startswith(b'{"') and line.rstrip().endswith(b"}") for line in lines[1:])
    return len(lines) > 1


def read(source: SourceFile) -> Iterator[Row | Fault]:
    """Yield one row per line that is not blank."""
    for number, line in source.lines():
        text = line.strip(" \t\r\n")
        if not text:
            continue
        try:
            value = _DECODER.decode(text)
        except (ValueError, RecursionError) as error:
            yield Fault(number, _reason(error), text)
            continue
        if isinstance(value, dict):
            yield Row(number, value)
        else:
            yield Fault(number, f"a row is an object with keys, this is {_name(value)}", text)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object whose keys all stand once: of two values under one key, one would be lost without a word."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _Repeated(first_repeated(pairs))
    return value


class _Repeated(ValueError):
    """An object holds a key twice."""


_DECODER = json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=_unique)


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"is not JSON: {error.msg[0].lower()}{error.msg[1:]} at column {error.colno}"
    if isinstance(error, RecursionError):
        return "is not JSON: nested too deeply"
    if isinstance(error, _Repeated):
        return f"has the key {str(error)!r} twice"
    return f"is not JSON: {error}"


def _name(value: object) -> str:
    names = {list: "a list", str: "a string", int: "a number", float: "a number", bool: "true or false"}
    return names.get(type(value), "null")


READER = Reader(suffixes=(".jsonl", ".ndjson", ".jsonlines"), looks=looks, read=read, is_text=True)
