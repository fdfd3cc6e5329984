"""Finds the encoding of a text file from its bytes, and states why it is this one.

In order: a byte-order mark; UTF-16 without one (zero bytes in every other place); UTF-8; GB18030, when what it
decodes to is mostly Chinese; and latin-1 (its Windows form where that is what the bytes are). A file that is UTF-8
but for a few lines stays UTF-8: those lines are reported, and the rest is not turned into nonsense to suit them.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from dizuo.errors import DataError

__all__ = ["Encoding", "check_encoding", "detect"]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BINARIES = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a ZIP archive, as Excel and Word files are",
    b"\xd0\xcf\x11\xe0": "an Excel or Word file of the old kind",
}
"""First bytes of files that are often taken for tables."""
_CHUNK = 1 << 20
_SAMPLE_LINES = 20_000
"""Non-ASCII lines kept for telling GB18030 from latin-1; both decode a line at a time."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """An encoding and how it was found."""

    name: str
    """Python's name of the codec."""
    evidence: str
    """Why, as in `"byte-order mark"`."""


def check_encoding(name: str) -> str:
    """Return Python's name of a codec a user asked for."""
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise DataError(
            f"there is no encoding {name!r}", hint="choose utf-8, utf-16, gb18030, latin-1 or another of Python's"
        ) from None


def detect(file: BinaryIO, *, name: str) -> Encoding:
    """Return the encoding of a whole file; it is read once, a chunk at a time.

    Raises:
        DataError: the bytes are not text (`name` is how the error calls the file).
    """
    head = file.read(4096)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return Encoding(encoding, "byte-order mark")
    if b"\0" in head:
        even, odd = head[::2].count(0), head[1::2].count(0)
        if max(even, odd) > len(head) / 8 and min(even, odd) < max(even, odd) / 4:
            return Encoding("utf-16-be" if even > odd else "utf-16-le", "zero bytes in every other place")
        for beginning, what in _BINARIES.items():
            if head.startswith(beginning):
                raise DataError(f"{name} is not text: it is {what}", hint="export its rows as CSV, JSONL or Parquet")
        raise DataError(
            f"{name} is not text: it holds zero bytes", hint="name its format with --set prepare.reader=parquet|arrow"
        )
    whole, broken = 0, 0
    sample: list[bytes] = []
    for line in _lines(head, file):
        if line.isascii():
            continue
        try:
            line.decode("utf-8")
            whole += 1
        except UnicodeDecodeError:
            broken += 1
            if len(sample) < _SAMPLE_LINES:
                sample.append(line)
    if broken == 0:
        return Encoding("utf-8", "valid UTF-8")
    if whole > broken:
        return Encoding("utf-8", f"UTF-8 but for {broken:,} of {whole + broken:,} non-ASCII lines")
    if _is_chinese(sample):
        return Encoding("gb18030", "not UTF-8; decodes to Chinese as GB18030")
    text = b"".join(sample)
    if any(0x80 <= byte <= 0x9F for byte in set(text)):
        try:
            text.decode("cp1252")
            return Encoding("cp1252", "not UTF-8, not Chinese; bytes of Windows-1252")
        except UnicodeDecodeError:
            pass
    return Encoding("latin-1", "not UTF-8, not Chinese")


def _lines(head: bytes, file: BinaryIO) -> Iterator[bytes]:
    """Yield lines; a line longer than a chunk comes in pieces that do not cut a UTF-8 sequence."""
    rest = head
    while True:
        *lines, rest = rest.split(b"\n")
        yield from lines
        chunk = file.read(_CHUNK)
        if not chunk:
            if rest:
                yield rest
            return
        if len(rest) > 16 * _CHUNK:
            cut = len(rest)
            while cut > len(rest) - 4 and rest[cut - 1] & 0xC0 == 0x80:
                cut -= 1
            cut -= rest[cut - 1] >= 0xC0
            yield rest[:cut]
            rest = rest[cut:]
        rest += chunk


def _is_chinese(lines: list[bytes]) -> bool:
    chinese, other, broken = 0, 0, 0
    for line in lines:
        try:
            text = line.decode("gb18030")
        except UnicodeDecodeError:
            broken += 1
            continue
        for character in text:
            if character.isascii():
                continue
            # Common Chinese: what GB2312's 6,763 characters fill, CJK punctuation and full-width forms.
            common = "\u4e00" <= character <= "\u9fff" and len(character.encode("gb2312", "ignore")) == 2
            if common or "\u3000" <= character <= "\u303f" or "\uff00" <= character <= "\uffef":
                chinese += 1
            else:
                other += 1
    return broken <= len(lines) / 10 and chinese > 3 * other
