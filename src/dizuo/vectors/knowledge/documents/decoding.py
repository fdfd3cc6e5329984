"""Decoding: the bytes of text files and of HTML files become text, in whatever encoding they are."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from dizuo.errors import DataError

__all__ = ["decode_html", "read_text"]


def read_text(path: Path) -> str:
    """Return a text file's text: UTF-8 with or without mark, UTF-16 with one, else what charset-normalizer finds."""
    raw = path.read_bytes()
    for mark, encoding in (
        (b"\xef\xbb\xbf", "utf-8-sig"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
        (b"", "utf-8"),
    ):
        if raw.startswith(mark):
            try:
                return raw.decode(encoding)
            except UnicodeDecodeError:
                continue
    best = importlib.import_module("charset_normalizer").from_bytes(raw).best()
    if best is None or b"\0" in raw:
        raise DataError(f"{path.name} is not text in any known encoding", hint="save it as UTF-8")
    return str(best)


def decode_html(raw: bytes) -> str:
    """Return an HTML file's text: by its byte order mark, else its `<meta charset>`, else UTF-8, else a guess.

    HTML standard 13.2.3, as far as files go.
    """
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", "replace")
    said = re.search(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_:.-]+)""", raw[:4096], re.IGNORECASE)
    for encoding in ([said[1].decode("ascii")] if said else []) + ["utf-8-sig"]:
        try:
            return raw.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
        except (LookupError, UnicodeDecodeError):
            continue
    from charset_normalizer import from_bytes

    best = from_bytes(raw).best()
    return str(best) if best is not None else raw.decode("windows-1252", "replace")
