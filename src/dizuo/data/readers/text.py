"""Plain text: a row per line, or per paragraph where blank lines stand between paragraphs.

A file in which no line is blank holds one text per line (label or sentence files); a file with blank lines is one
running text and gives one row per block between them, with the line where the block starts.
"""

from __future__ import annotations

from collections.abc import Iterator

from dizuo.data.readers import Reader
from dizuo.data.reading.files import Fault, Row, SourceFile

MAX_BLOCK_LINES = 2_000
"""A block is cut here, so that a text without blank lines between its paragraphs still streams."""


def looks(head: bytes) -> bool:
    """Return whether there is no zero byte: any text is plain text."""
    return b"\0" not in head


def read(source: SourceFile) -> Iterator[Row | Fault]:
    """Yield `{"text": …}` rows."""
    blank = _has_blank_lines(source)
    source.notes["rows are"] = "blocks between blank lines" if blank else "lines"
    block: list[str] = []
    start = 1
    for number, line in source.lines():
        line = line.rstrip("\r\n")
        if not blank:
            yield Row(number, {"text": line})
            continue
        if line.strip() and len(block) < MAX_BLOCK_LINES:
            start = start if block else number
            block.append(line)
            continue
        if block:
            yield Row(start, {"text": "\n".join(block)})
        block, start = ([line], number) if line.strip() else ([], number)
    if block:
        yield Row(start, {"text": "\n".join(block)})


def _has_blank_lines(source: SourceFile) -> bool:
    held = False
    for _, line in source.lines():
        if held:
            return True  # a blank line that something follows; one at the end does not count
        held = not line.strip()
    return False


READER = Reader(suffixes=(".txt", ".text", ".md"), looks=looks, read=read, is_text=True)
