"""What a table of the reference stands on: the commit that its results were made at, and with which sources.

A suite writes its results into a file of `docs/reference`, from which the page is written, and notes both beside each.
Where today's sources have another digest, the page says that they changed since.
"""

from __future__ import annotations

import functools
import hashlib
import subprocess
from collections.abc import Iterable
from pathlib import Path

__all__ = ["digest_sources", "find_commit"]


def digest_sources(paths: Iterable[Path]) -> str:
    """Return a digest of source files: twelve hexadecimal digits that change with any line of them.

    Args:
        paths: files, and folders of which every `.py` file counts, in an order of the caller's.
    """
    whole = hashlib.sha256()
    for path in paths:
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            content = file.read_bytes()
            whole.update(f"{file.name} {len(content)}\n".encode() + content)
    return whole.hexdigest()[:12]


@functools.cache
def find_commit(folder: Path) -> str:
    """Return the short name of the commit that a folder is at, with a `+` where `src` or `tests` differ from it.

    It is empty where there is no repository, or no git.
    """
    try:
        commit = _git(folder, "rev-parse", "--short=10", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--", ":/src", ":/tests")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{commit}+" if changed else commit


def _git(folder: Path, *arguments: str) -> str:
    told = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return told.stdout.strip()
