"""Which language people read: decided by `--lang`, then `DIZUO_LANG`, then the locale of the environment.

A choice on the command line is written to `DIZUO_LANG`, so that the processes that dizuo starts speak it, too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

__all__ = ["LANGUAGES", "choose", "language", "programs_read"]

LANGUAGES = ("en", "zh")
VARIABLES = ("DIZUO_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
"""The first that is set decides, as for other programs."""

_programs_read = False


def language() -> str:
    """Return `zh` or `en`."""
    stated = next((value for name in VARIABLES if (value := os.environ.get(name))), "")
    return _known(stated) or "en"


def programs_read() -> bool:
    """Return whether the command's output was asked for as JSON, so that everything beside it stays English."""
    return _programs_read


def choose(arguments: Sequence[str]) -> list[str]:
    """Take `--lang` out of a command line, wherever it stands, and return the other arguments.

    Raises:
        ValueError: the language is not one of `LANGUAGES`.
    """
    global _programs_read
    own, marker, others = _until_marker(arguments)
    _programs_read = "--json" in own
    left: list[str] = []
    words = iter(own)
    for word in words:
        if word != "--lang" and not word.startswith("--lang="):
            left.append(word)
            continue
        stated = next(words, "") if word == "--lang" else word.partition("=")[2]
        known = _known(stated)
        if known is None:
            raise ValueError(f"--lang {stated}: expected one of {', '.join(LANGUAGES)}")
        os.environ["DIZUO_LANG"] = known
    return [*left, *marker, *others]


def _until_marker(arguments: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Return what stands before `--`, the mark itself, and what follows, which is never an option."""
    words = list(arguments)
    place = words.index("--") if "--" in words else len(words)
    return words[:place], words[place : place + 1], words[place + 1 :]


def _known(stated: str) -> str | None:
    """Return the language of `zh`, `zh_CN.UTF-8`, `zh-Hans`, …; None where it is none of ours."""
    name = stated.replace("-", "_").partition(".")[0].partition("_")[0].lower()
    return name if name in LANGUAGES else None
