"""`decode_text` and `decode_html` find the encoding of a file's bytes, and say so wherever it is not certain.

What is believed, in this order:

    1. a byte-order mark
    2. UTF-8, where the bytes are UTF-8 and hardly can be anything else
    3. the encoding that the user names
    4. in HTML, what the page says of itself, as browsers read it
    5. UTF-16 or UTF-32 without a mark, by their zero bytes; UTF-8, also with a few broken bytes; escapes of ISO-2022
    6. what reads best (`guessing.py`)

From 5 on the user is told which encoding was taken, unless it is sound UTF-8. Bytes that are no text in the encoding
become U+FFFD, and their number is told; where they are more than a few, the encoding is not believed.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dizuo.errors import DataError
from dizuo.vectors.knowledge.documents.decoding.guessing import count_controls, rank_encodings, score_text
from dizuo.vectors.knowledge.documents.decoding.html_labels import find_label
from dizuo.vectors.knowledge.documents.decoding.labels import REFUSED, check_encoding, codec_of_label
from dizuo.vectors.knowledge.documents.decoding.web_codecs import Text, decode

__all__ = ["Decoded", "decode_html", "decode_text", "is_plainly_unicode"]

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
    (b"\x84\x31\x95\x33", "gb18030"),
)
_ESCAPES = ((re.compile(rb"\x1b\$\)C"), "iso2022_kr"), (re.compile(rb"\x1b\$[@B]"), "iso2022_jp"))
_HZ = re.compile(rb"~\{[!-}]{2,}+~\}")
_LONG_SEQUENCE = re.compile(rb"[\xe0-\xf4][\x80-\xbf]{2}")
_SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]")
_CONTROL = re.compile(rb"[\0-\x08\x0b\x0e-\x1a\x1c-\x1f]")
"""Bytes that are half a character of UTF-16, or no text: those of Cyrillic are 04."""
_PLAIN = 24
"""Two-byte sequences of UTF-8 that no other encoding has by accident; one of three bytes says as much."""
_FEW = 0.01
"""Share of broken bytes among those that are not ASCII, up to which an encoding is believed all the same."""
_NO_TEXT = 0.05
"""Share of control characters from which on a file is no text."""
_NOBODY = -10.0
"""Score of a character on average, below which nobody writes so."""
_SURE = 6.0
"""How much better, as a logarithm, something else must read than UTF-8 or ASCII where the bytes are that."""
_SAMPLE = 2000
"""Bytes that a guess looks at."""
_SHORT = 400
"""Bytes up to which text in ASCII could be UTF-16 of Chinese by accident."""
_GUESS = "its encoding is not stated; it was read as {}, which is a guess: name another with encoding= if that is wrong"
_NAMES = {
    "big5hkscs": "big5", "cp932": "shift_jis", "cp949": "euc-kr", "cp874": "windows-874", "mac_roman": "macintosh",
    "utf-16-le": "utf-16le", "utf-16-be": "utf-16be", "iso2022_jp": "iso-2022-jp", "iso2022_kr": "iso-2022-kr",
    "mac_cyrillic": "x-mac-cyrillic", "euc_jp": "euc-jp", "koi8_r": "koi8-r", "koi8_u": "koi8-u", "hz": "hz-gb-2312",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Decoded:
    """A file's text, and how it was read."""

    text: str
    encoding: str
    """A name that `encoding=` takes."""
    warnings: tuple[str, ...] = ()
    """What the user should know: that the encoding is a guess, that bytes are broken, that a wish was not followed."""


def decode_text(raw: bytes, encoding: str | None = None) -> Decoded:
    """Return the text of a file that says nothing of its encoding beside a mark.

    Args:
        raw: the file.
        encoding: what it is in, unless a mark or its being plain UTF-8 says otherwise; found where it is None.

    Raises:
        DataError: it is no text, or not in the encoding that was named. The message lacks its subject, the file.
        VectorError: there is no such encoding.
    """
    named = None if encoding is None else check_encoding(encoding)
    return _read_certain(raw, named) or _find(raw)


def decode_html(raw: bytes, encoding: str | None = None) -> Decoded:
    """Return the text of an HTML file, as a browser decodes it where the page or the user says its encoding.

    Args:
        raw: the file.
        encoding: as in `decode_text`; it goes before what the page says.

    Raises:
        DataError: as in `decode_text`.
        VectorError: there is no such encoding.
    """
    named = None if encoding is None else check_encoding(encoding)
    label = find_label(raw)
    said = None if label is None else codec_of_label(label)
    if said in ("utf-16-le", "utf-16-be"):
        said = "utf-8"  # a page whose label can be read as ASCII is not in UTF-16
    elif said == "x-user-defined":
        said = "cp1252"
    if named is None and said not in (None, "utf-8"):
        if (marked := _read_mark(raw, None)) is not None:
            return marked
        return _read_labelled(raw, str(label), str(said))
    certain = _read_certain(raw, named)
    if certain is not None:
        if named is not None and said is not None and named != said and certain.encoding == _name(named):
            told = f"the page says {label!r}, and was read as {certain.encoding} as you asked"
            certain = replace(certain, warnings=(*certain.warnings, told))
        return certain
    if said is not None and not (text := decode(raw, "utf-8")).num_broken:
        return Decoded(text.text, "utf-8")
    found = _find(raw)
    if said is not None and found.encoding != "utf-8":
        return replace(found, warnings=(f"the page says {label!r}, which it is not", *found.warnings))
    if label is not None and said is None:
        return replace(found, warnings=(f"the page says {label!r}, which is no encoding", *found.warnings))
    return found


def is_plainly_unicode(raw: bytes) -> bool:
    """Say whether the bytes have a mark or are plainly UTF-8, so that a named encoding changes nothing."""
    return any(raw.startswith(mark) for mark, _ in _MARKS) or _is_plain(raw)


def _read_certain(raw: bytes, named: str | None) -> Decoded | None:
    """Return the text by a mark, as plain UTF-8, or as named; else None."""
    if (marked := _read_mark(raw, named)) is not None:
        return marked
    if named is None:
        return None
    if named != "utf-8" and _is_plain(raw):
        return Decoded(raw.decode("utf-8"), "utf-8", (f"it is UTF-8, and was not read as {_name(named)}",))
    text = decode(raw, named)
    if _is_wrong(text):
        raise DataError(
            f"is not in the encoding {_name(named)}: {text.num_broken:,} bytes are no text in it, the first at "
            f"character {text.first_broken:,}",
            hint="name another encoding, or none",
        )
    return _warn(text, named)


def _read_mark(raw: bytes, named: str | None) -> Decoded | None:
    for mark, codec in _MARKS:
        if not raw.startswith(mark) or (codec == "utf-32-le" and _is_wrong(decode(raw[4:], codec))):
            continue
        text = decode(raw[len(mark) :], codec)
        if _is_wrong(text):
            raise DataError(
                f"begins with the mark of {_name(codec)}, and is not: {text.num_broken:,} bytes are no text in it",
                hint="is the file whole? save it anew as UTF-8",
            )
        decoded = _warn(text, codec)
        if named not in (None, codec):
            told = f"its mark says {_name(codec)}, and it was not read as {_name(str(named))}"
            decoded = replace(decoded, warnings=(*decoded.warnings, told))
        return decoded
    return None


def _read_labelled(raw: bytes, label: str, said: str) -> Decoded:
    """Return a page's text by its label, unless that is plainly wrong."""
    text = decode(raw, said)
    if _is_wrong(text):
        found = _find(raw)
        return replace(found, warnings=(f"the page says {label!r}, which it is not", *found.warnings))
    decoded = _warn(text, said)
    if said in REFUSED:
        told = f"the page says {label!r}, of which browsers show nothing; it was read so"
    elif _is_plain(raw):
        told = f"the page says {label!r}, and was read so as browsers do, but its bytes are UTF-8: encoding='utf-8'?"
    else:
        return decoded
    return replace(decoded, warnings=(*decoded.warnings, told))


def _find(raw: bytes) -> Decoded:
    """Return the text of bytes that say nothing of their encoding.

    Raises:
        DataError: they are no text.
    """
    if _CONTROL.search(raw) and (wide := _read_wide(raw)) is not None:
        return wide
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        found = _read_broken_utf8(raw) or _guess(raw)
    else:
        _refuse_controls(text)
        found = _read_escapes(raw) or _doubt(raw, text)
    _refuse_controls(found.text)
    return found


def _read_wide(raw: bytes) -> Decoded | None:
    """Return the text of UTF-32 or UTF-16 without a mark; half a unit at the end is broken."""
    found = []
    for codec, width in (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2)):
        head = raw[: min(65_536, len(raw) // width * width)]
        try:
            text = codecs.getincrementaldecoder(codec)().decode(head)
        except UnicodeDecodeError:
            continue
        if text and count_controls(text) <= len(text) * _NO_TEXT:
            score = _score_bytes(text[: _SAMPLE // width], width)
            found += [(score, codec)] if score * width > _NOBODY else []
    alone = _score_bytes(raw[:_SAMPLE].decode("latin-1"), 1)
    for score, codec in sorted(found, reverse=True):
        if score > alone and not _is_wrong(decoded := decode(raw, codec)):
            return _warn(decoded, codec, _GUESS.format(_name(codec)))
    return None


def _score_bytes(text: str, width: int) -> float:
    """Return how well text reads, for each byte that it is written in."""
    return score_text(text) / max(1, len(text) * width)


def _read_broken_utf8(raw: bytes) -> Decoded | None:
    """Return the text of UTF-8 with some broken bytes, where there is much more of it that is whole."""
    text = decode(raw, "utf-8")
    num_whole = sum(1 for character in text.text if character > "\x7f" and character != "\ufffd")
    return _warn(text, "utf-8") if num_whole > 2 * text.num_broken else None


def _read_escapes(raw: bytes) -> Decoded | None:
    """Return the text of encodings that write other characters in ASCII, behind escapes."""
    codec = next((codec for escape, codec in _ESCAPES if escape.search(raw)), "hz" if _HZ.search(raw) else None)
    if codec is None:
        return None
    text = decode(raw, codec)
    if text.num_broken or text.text.isascii() or (codec == "hz" and score_text(text.text) < score_text(raw.decode())):
        return None
    return _warn(text, codec, _GUESS.format(_name(codec)))


def _doubt(raw: bytes, text: str) -> Decoded:
    """Return bytes that are UTF-8 as such, unless they are few and read much better as something else."""
    if len(raw) > _SHORT if text.isascii() else _is_plain(raw):
        return Decoded(text, "utf-8")
    if text.isascii() and (len(raw) % 2 or len(raw) < 6):
        return Decoded(text, "utf-8")
    ranked = rank_encodings(raw, among=("utf-8", "utf-16-le", "utf-16-be") if text.isascii() else None)
    best, utf8 = ranked[0], next(one for one in ranked if one.codec == "utf-8")
    if best.codec != "utf-8" and best.score > utf8.score + _SURE:
        return _warn(decode(raw, best.codec), best.codec, _GUESS.format(_name(best.codec)))
    if text.isascii():
        return Decoded(text, "utf-8")
    close = best.codec != "utf-8" or (len(ranked) > 1 and ranked[1].score > utf8.score - _SURE)
    return Decoded(text, "utf-8", (_GUESS.format("utf-8"),) if close else ())


def _guess(raw: bytes) -> Decoded:
    sample, is_cut = _sample(raw)
    for candidate in rank_encodings(sample, is_cut=is_cut):
        if candidate.score < _NOBODY * candidate.num_characters or _is_wrong(text := decode(raw, candidate.codec)):
            continue
        return _warn(text, candidate.codec, _GUESS.format(_name(candidate.codec)))
    from charset_normalizer import from_bytes  # knows what is not among the candidates, such as EBCDIC

    best = from_bytes(raw[:65_536]).best()
    if best is None:
        raise DataError("is not text in any known encoding", hint="save it as UTF-8, or name its encoding=")
    return _warn(decode(raw, best.encoding), best.encoding, _GUESS.format(_name(best.encoding)))


def _sample(raw: bytes) -> tuple[bytes, bool]:
    """Return what a guess looks at, and whether it is cut: lines that are not ASCII, which say the most."""
    if len(raw) <= _SAMPLE:
        return raw, False
    lines: list[bytes] = []
    length = 0
    for line in _lines(raw):
        if not line.isascii():
            lines.append(line)
            length += len(line)
            if length >= _SAMPLE:
                break
    sample = b"".join(lines)
    return sample[:_SAMPLE], len(sample) > _SAMPLE


def _lines(raw: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(raw):
        end = raw.find(b"\n", at) + 1 or len(raw)
        yield raw[at:end]
        at = end


def _is_plain(raw: bytes) -> bool:
    """Say whether bytes beyond ASCII are UTF-8, and too many to be so by accident."""
    if raw.isascii():
        return False
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    if _LONG_SEQUENCE.search(raw):
        return True
    return sum(1 for _ in zip(_SEQUENCE.finditer(raw), range(_PLAIN))) == _PLAIN


def _is_wrong(text: Text) -> bool:
    """Say whether so much is broken that the text is in another encoding, or none."""
    if not text.num_broken:
        return False
    return text.num_broken > max(2, _FEW * sum(1 for character in text.text if character > "\x7f"))


def _warn(text: Text, codec: str, *told: str) -> Decoded:
    """Return decoded text with what is told of it; broken bytes are counted."""
    warnings = list(told)
    if text.num_broken:
        some = "1 byte is" if text.num_broken == 1 else f"{text.num_broken:,} bytes are"
        place = f"the first at character {text.first_broken:,}"
        warnings.append(f"{some} no text in {_name(codec)} and became U+FFFD, {place}")
    return Decoded(text.text, _name(codec), tuple(warnings))


def _refuse_controls(text: str) -> None:
    if count_controls(text) > len(text) * _NO_TEXT:
        raise DataError("is not text in any known encoding", hint="save it as UTF-8, or name its encoding=")


def _name(codec: str) -> str:
    """Return what people call a codec."""
    if codec.startswith("cp125"):
        return f"windows-{codec[2:]}"
    return _NAMES.get(codec, codec.replace("iso8859_", "iso-8859-").replace("_", "-"))
