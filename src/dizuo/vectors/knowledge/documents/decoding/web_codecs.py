"""Bytes become text as the Encoding Standard has it, which browsers follow; what is no text is counted, never dropped.

Python's codecs leave out what the standard has: the C1 controls in Windows' single-byte sets, the euro sign of GBK,
NEC's and IBM's characters in EUC-JP and ISO-2022-JP, and some of Big5. Against the standard's own tables all characters
agree but one of windows-1255 and 193 of Big5's 18,590, of which 185 count as broken.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

__all__ = ["Text", "decode"]

_MARK = 0xDC00
"""Bytes that are no text pass through the codec as lone surrogates from here on, which no text has."""
_BROKEN = re.compile("[\ud800-\udfff]+")
_WINDOWS = {"cp874", *(f"cp125{digit}" for digit in range(9))}
_OTHERWISE: dict[str, dict[int, int]] = {
    "cp932": {0xF8F0: 0xDCA0, 0xF8F1: 0xDCFD, 0xF8F2: 0xDCFE, 0xF8F3: 0xDCFF},  # four bytes that are no text
    "koi8_u": {0x255D: 0x45E, 0x256C: 0x40E},
    "big5hkscs": {
        0x2022: 0x2027, 0xFF64: 0xFE51, 0x203E: 0xAF, 0x223C: 0xFF5E, 0x2641: 0x2295, 0x2609: 0x2299, 0xA5: 0xFFE5,
        0xA2: 0xFFE0, 0xA3: 0xFFE1,
    },
    "gb18030": {
        0xE5E5: 0x3000, 0xE78D: 0xFE10, 0xE78E: 0xFE12, 0xE78F: 0xFE11, **{0xE790 + at: 0xFE13 + at for at in range(7)},
        0xE7C7: 0x1E3F, 0xE81E: 0x9FB4, 0xE826: 0x9FB5, 0xE82B: 0x9FB6, 0xE82C: 0x9FB7, 0xE832: 0x9FB8, 0xE843: 0x9FB9,
        0xE854: 0x9FBA, 0xE864: 0x9FBB,
    },
}  # fmt: skip
"""Codec → characters of Python's that are others in the standard."""
_PAIRS = re.compile(rb"(?:\x8f[\xa1-\xfe]{2}|\x8e[\xa1-\xdf]|[\xa1-\xfe]{2})+")
_ESCAPE = re.compile(rb"\x1b(\(B|\(J|\(I|\$@|\$B)")


@dataclass(frozen=True, slots=True)
class Text:
    """Decoded text; what could not be decoded stands in it as U+FFFD."""

    text: str
    num_broken: int = 0
    """Bytes that are no text in this encoding."""
    first_broken: int | None = None
    """Character of the text at which the first of them stands, from 0."""


def decode(raw: bytes, codec: str) -> Text:
    """Return the text of bytes in an encoding, by the codec's name that `codec_of_label` or `check_encoding` gave."""
    if codec == "x-user-defined":
        text = raw.decode("latin-1").translate({byte: 0xF700 + byte for byte in range(0x80, 0x100)})
    elif codec == "euc_jp":
        text = _decode_euc_jp(raw)
    elif codec == "iso2022_jp":
        text = _decode_iso2022_jp(raw)
    else:
        handler = "dizuo.windows" if codec in _WINDOWS else f"dizuo.{codec}" if codec in _HANDLERS else "dizuo.mark"
        text = raw.decode(codec, handler)
        if codec in _OTHERWISE:
            text = text.translate(_OTHERWISE[codec])
    first = _BROKEN.search(text)
    if first is None:
        return Text(text)
    broken = 0

    def count(match: re.Match[str]) -> str:
        nonlocal broken
        broken += len(match[0])
        return "\ufffd"

    text = _BROKEN.sub(count, text)
    return Text(text, broken, first.start())


def _keep_bytes(error: UnicodeError) -> tuple[str, int]:
    """Let bytes that are no text pass, each as a lone surrogate."""
    assert isinstance(error, UnicodeDecodeError)
    return "".join(chr(_MARK + byte) for byte in error.object[error.start : error.end]), error.end


def _keep_controls(error: UnicodeError) -> tuple[str, int]:
    """Take undefined bytes from 0x80 to 0x9F for the controls of the same number."""
    assert isinstance(error, UnicodeDecodeError)
    byte = error.object[error.start]
    return chr(byte if 0x80 <= byte <= 0x9F else _MARK + byte), error.start + 1


def _read_euro(error: UnicodeError) -> tuple[str, int]:
    """Take the byte 0x80 of GBK for the euro sign."""
    assert isinstance(error, UnicodeDecodeError)
    byte = error.object[error.start]
    return "€" if byte == 0x80 else chr(_MARK + byte), error.start + 1


def _read_cp950(error: UnicodeError) -> tuple[str, int]:
    """Take what Hong Kong's set lacks from Microsoft's Big5."""
    assert isinstance(error, UnicodeDecodeError)
    pair = error.object[error.start : error.start + 2]
    try:
        return pair.decode("cp950"), error.start + len(pair)
    except UnicodeDecodeError:
        return chr(_MARK + pair[0]), error.start + 1


_HANDLERS = {"gb18030": _read_euro, "big5hkscs": _read_cp950}
codecs.register_error("dizuo.mark", _keep_bytes)
codecs.register_error("dizuo.windows", _keep_controls)
for _codec, _handler in _HANDLERS.items():
    codecs.register_error(f"dizuo.{_codec}", _handler)


def _decode_euc_jp(raw: bytes) -> str:
    """Return the text of EUC-JP; its two-byte characters are those of Windows' Shift_JIS, moved."""
    parts, at = [], 0
    for run in _PAIRS.finditer(raw):
        parts.append(raw[at : run.start()].decode("ascii", "dizuo.mark"))
        parts.append(_decode_run(run[0]))
        at = run.end()
    return "".join([*parts, raw[at:].decode("ascii", "dizuo.mark")])


def _decode_run(run: bytes) -> str:
    characters, at = [], 0
    while at < len(run):
        first = run[at]
        if first == 0x8F:  # JIS X 0212, which Shift_JIS has not
            characters.append(run[at : at + 3].decode("euc_jp", "dizuo.mark").replace("~", "～"))
            at += 3
        elif first == 0x8E:
            characters.append(run[at + 1 : at + 2].decode("cp932"))
            at += 2
        else:
            characters.append(_decode_pair(first, run[at + 1]))
            at += 2
    return "".join(characters)


def _decode_pair(first: int, second: int) -> str:
    """Return the character of a row and a cell of JIS X 0208, each with its high bit, or two marks."""
    row, cell = first - 0xA1, second - 0xA1
    lead = row // 2 + (0x81 if row < 62 else 0xC1)
    trail = cell + 0x9F if row % 2 else cell + 0x40 + (cell >= 63)
    try:
        return bytes((lead, trail)).decode("cp932")
    except UnicodeDecodeError:
        return chr(_MARK + first) + chr(_MARK + second)


def _decode_iso2022_jp(raw: bytes) -> str:
    """Return the text of ISO-2022-JP: escapes say what the bytes behind them are."""
    parts, at, mode = [], 0, b"(B"
    for escape in [*_ESCAPE.finditer(raw), None]:
        piece = raw[at : escape.start() if escape else len(raw)]
        if mode in (b"$@", b"$B"):
            parts.append(_decode_euc_jp(bytes(byte | 0x80 if byte > 0x20 else byte for byte in piece)))
        elif mode == b"(I":
            parts.append(bytes(byte | 0x80 if byte > 0x20 else byte for byte in piece).decode("cp932", "dizuo.mark"))
        else:
            text = piece.decode("ascii", "dizuo.mark")
            parts.append(text.translate({0x5C: "¥", 0x7E: "‾"}) if mode == b"(J" else text)
        if escape:
            mode, at = escape[1], escape.end()
    return "".join(parts)
