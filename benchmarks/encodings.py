"""How often text of a language in an encoding is read right, by its length, and that it is never wrong without a word.

    python benchmarks/encodings.py [--samples 40] [--lengths 6 20 100 1000] [--languages ja ru]
                                   [--against] [--json FILE]

Texts are cut out of the translations of nine programs (`/usr/share/locale` of Debian; others than those that the
letters in `decoding/letters.py` were counted in), encoded, and read as a `.txt` file is. Each cell has three numbers:
read right, read wrong and told that it is a guess, read wrong without a word. `--against` adds how many
charset-normalizer reads right. Texts that are all ASCII are not counted.
"""

from __future__ import annotations

import argparse
import gettext
import json
import random
import re
import sys
import unicodedata
from pathlib import Path

LOCALES = Path("/usr/share/locale")
PROGRAMS = ("wget", "tar", "gnupg2", "glib20", "sed", "bash", "psql-15", "systemd", "shadow")
NO_TEXT = re.compile(r"%[-+ #0]*\d*(?:\$)?[-+ #0*.\d]*[a-zA-Z]|\{[^}]*\}|<[^>]*>|--[a-z-]+|&[a-z]+;|\\[a-z]|_")
WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
ENCODINGS = {
    "zh_CN": ("gb18030", "utf-8", *WIDE), "zh_TW": ("big5hkscs", "utf-8", *WIDE),
    "ja": ("cp932", "euc_jp", "iso2022_jp", "utf-8", *WIDE), "ko": ("cp949", "utf-8", *WIDE),
    "ru": ("cp1251", "koi8_r", "cp866", "iso8859_5", "mac_cyrillic", "utf-8", *WIDE),
    "uk": ("cp1251", "koi8_u"), "bg": ("cp1251",), "sr": ("cp1251", "iso8859_5"), "be": ("cp1251",),
    "el": ("cp1253", "iso8859_7", "utf-8"), "he": ("cp1255", "iso8859_8", "utf-8"),
    "ar": ("cp1256", "iso8859_6", "utf-8"),
    "fa": ("cp1256",), "th": ("cp874", "utf-8"), "vi": ("cp1258", "utf-8"),
    "de": ("cp1252", "mac_roman", "cp850", "utf-8", *WIDE), "fr": ("cp1252", "mac_roman", "cp850", "utf-8"),
    "es": ("cp1252", "utf-8"), "pt": ("cp1252",), "it": ("cp1252",), "sv": ("cp1252",), "da": ("cp1252",),
    "pl": ("cp1250", "iso8859_2", "cp852", "utf-8"), "cs": ("cp1250", "iso8859_2"), "hu": ("cp1250",),
    "ro": ("cp1250",),
    "tr": ("cp1254", "utf-8"), "lt": ("cp1257",), "lv": ("cp1257",), "et": ("cp1257",),
}  # fmt: skip


def texts_of(language: str) -> list[str]:
    """Return sentences of a language."""
    found = []
    for program in PROGRAMS:
        path = LOCALES / language / "LC_MESSAGES" / f"{program}.mo"
        if path.exists():
            with path.open("rb") as file:
                catalog = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
            said = (
                NO_TEXT.sub("", text) for key, text in catalog.items() if key and isinstance(text, str) and text != key
            )
            found += [" ".join(text.split()) for text in said]
    return [text for text in found if sum(not letter.isascii() for letter in text) > len(text) // 12]


def cut(texts: list[str], length: int, draw: random.Random) -> str:
    """Return a piece of text."""
    text = ""
    while len(text) < 2 * length:
        text += draw.choice(texts) + " "
    start = draw.randrange(length)
    return unicodedata.normalize("NFC", text[start : start + length]).strip()


def encode(text: str, encoding: str) -> bytes | None:
    """Return the text in an encoding, or None where it has not all of its letters."""
    if encoding == "cp1258":  # has its tones as characters of their own
        whole = "âêôăơưđÂÊÔĂƠƯĐ"
        text = "".join(one if one in whole else _split_tone(one) for one in text)
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return None


def _split_tone(letter: str) -> str:
    for tone in "\u0300\u0301\u0303\u0309\u0323":
        apart = unicodedata.normalize("NFD", letter)
        if tone in apart:
            return unicodedata.normalize("NFC", apart.replace(tone, "")) + tone
    return letter


def main() -> int:
    """Print the table; return 1 if anything was wrong without a word."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--lengths", type=int, nargs="+", default=[6, 20, 100, 1000])
    parser.add_argument("--languages", nargs="+", choices=ENCODINGS, default=list(ENCODINGS), metavar="LANGUAGE")
    parser.add_argument("--against", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    from charset_normalizer import from_bytes

    from dizuo.errors import DataError
    from dizuo.vectors.knowledge.documents.decoding import decode_text

    draw = random.Random(14)
    rows = []
    total = {length: [0, 0, 0, 0] for length in options.lengths}
    print(f"{'':18}" + "".join(f"{length:>22}" for length in options.lengths))
    for language in options.languages:
        texts, encodings = texts_of(language), ENCODINGS[language]
        for encoding in encodings:
            cells = []
            for length in options.lengths:
                counts = [0, 0, 0, 0]  # right, told, silent, right with charset-normalizer
                for _ in range(20 * options.samples):
                    if sum(counts[:3]) == options.samples:
                        break
                    text = cut(texts, length, draw)
                    raw = encode(text, encoding)
                    few = sum(not letter.isascii() for letter in text) < (4 if texts and not text[:1].isascii() else 1)
                    if (
                        raw is None
                        or (length <= 6 and few)
                        or (raw.isascii() and encoding not in (*WIDE, "iso2022_jp"))
                    ):
                        continue
                    try:
                        decoded = decode_text(raw)
                        read, told = unicodedata.normalize("NFC", decoded.text), bool(decoded.warnings)
                    except DataError:
                        read, told = "", True
                    counts[0 if read == text else 1 if told else 2] += 1
                    if options.against:
                        best = from_bytes(raw).best()
                        counts[3] += best is not None and unicodedata.normalize("NFC", str(best)) == text
                cells.append(counts)
                total[length] = [one + more for one, more in zip(total[length], counts, strict=True)]
            print(
                f"{language:6}{encoding:12}" + "".join(f"{_show(counts, options.against):>22}" for counts in cells),
                flush=True,
            )
            rows.append({"language": language, "encoding": encoding, "cells": dict(zip(options.lengths, cells))})
    print(f"{'all':18}" + "".join(f"{_show(counts, options.against):>22}" for counts in total.values()))
    if options.json:
        options.json.write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
    return 1 if any(counts[2] for counts in total.values()) else 0


def _show(counts: list[int], against: bool) -> str:
    shown = f"{counts[0]} / {counts[1]} / {counts[2]}"
    return f"{shown} ({counts[3]})" if against else shown


if __name__ == "__main__":
    sys.exit(main())
