"""Texts as metrics compare them: normalised, and cut into words of any script."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["normalised", "words"]

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(f"[{_IDEOGRAPHS}]|[^\\W_{_IDEOGRAPHS}]+")


def normalised(text: str) -> str:
    """Return the text in NFKC, lower case, with single spaces and none at its ends."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def words(text: str) -> list[str]:
    """Return the words of a text in lower case: runs of letters and digits, and every single CJK character."""
    return _WORD.findall(normalised(text))
