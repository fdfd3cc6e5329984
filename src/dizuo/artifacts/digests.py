"""Computes the SHA-256 of files and of folders.

A folder's digest is that of its listing, one line `<hex digest>  <path>` per file, sorted by path. It depends on
names and contents only, not on times, modes or empty folders, so `sha256sum` can reproduce it:

    find . -type f | sed 's|^./||' | LC_ALL=C sort | xargs sha256sum | sha256sum
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["digest_file", "digest_listing", "digest_tree", "list_tree"]


def digest_file(path: str | Path) -> str:
    """Return `"sha256:<64 hex digits>"` of a file's content."""
    with open(path, "rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def digest_tree(path: str | Path) -> str:
    """Return `"sha256:<64 hex digits>"` of a folder's listing; links to files count as their content."""
    return digest_listing({name: digest_file(Path(path) / name) for name in list_tree(path)})


def digest_listing(files: Mapping[str, str]) -> str:
    """Return the digest of the folder that holds `files`, a mapping of path to `"sha256:…"`."""
    lines = sorted((name.encode("utf-8", "surrogateescape"), digest) for name, digest in files.items())
    whole = hashlib.sha256()
    for name, digest in lines:
        whole.update(digest.removeprefix("sha256:").encode() + b"  " + name + b"\n")
    return "sha256:" + whole.hexdigest()


def list_tree(path: str | Path) -> list[str]:
    """Return the sorted paths, with `/`, of every file below a folder."""
    root = Path(path)
    paths = []
    for folder, _, names in os.walk(root):
        paths += [(Path(folder) / name).relative_to(root).as_posix() for name in names]
    return sorted(paths)
