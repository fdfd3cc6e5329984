"""Text from data, models and files is made safe for a terminal."""

from __future__ import annotations

import re

from dizuo.redaction import redact, redact_values

__all__ = ["clean", "excerpt", "redact", "redact_values"]

# C0 and C1 controls except tab and newline, lone surrogates, and the marks that reorder what a person reads.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(text: str) -> str:
    """Return the text with every control character replaced by U+FFFD; tabs and newlines stay."""
    return _UNSAFE.sub("\ufffd", text.replace("\r\n", "\n"))


def excerpt(text: str, width: int) -> str:
    """Return one clean line of at most `width` characters."""
    line = " ".join(clean(text).split())
    return line if len(line) <= width else line[: max(0, width - 1)] + "…"
