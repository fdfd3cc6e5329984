"""The lines of a text file, as CommonMark and editors count them: ended by LF, by CR LF, or by a CR alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

__all__ = ["line_starts", "stretches"]

_END = re.compile(r"\r\n?|\n")


def line_starts(text: str) -> list[int]:
    """Return where each line begins, and the end of the text.

    >>> line_starts("a\\rb\\r\\nc")
    [0, 2, 5, 6]
    """
    starts = [0, *(match.end() for match in _END.finditer(text)), len(text)]
    return starts if starts[-1] > starts[-2] or len(starts) == 2 else starts[:-1]


def stretches(text: str) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of the paragraphs between empty lines, without the white space around them."""
    first: int | None = None
    last = 0
    starts = line_starts(text)
    for start, end in pairwise(starts):
        line = text[start:end]
        if line.strip():
            first = start + len(line) - len(line.lstrip()) if first is None else first
            last = start + len(line.rstrip())
        elif first is not None:
            yield first, last
            first = None
    if first is not None:
        yield first, last
