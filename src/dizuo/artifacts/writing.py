"""Writes files and folders so that a killed process leaves nothing half done that looks done.

A file or folder is written under a temporary name beside its final one, flushed to disk, and renamed when whole.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dizuo.errors import ArtifactError
from dizuo.records import Json
from dizuo.redaction import hide_logins, looks_like_login, redact_values

__all__ = ["check_place", "scratch_folder", "whole_folder", "write_bytes", "write_json"]

_HOST = re.sub(r"[^A-Za-z0-9]", "", socket.gethostname()) or "host"


def check_place(path: str | Path) -> Path:
    """Return a path that something will be written to.

    Raises:
        ArtifactError: it is an address, such as `redis://me:secret@host`, which would become the name of a folder.
    """
    text = str(path).strip()
    # A path has lost one of the two slashes. One letter before a colon is a drive on Windows.
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text) or (looks_like_login(text) and not os.path.exists(text)):
        hide_logins(re.sub(r"^([A-Za-z][A-Za-z0-9+.-]+:/)(?!/)", r"\1/", text))
        raise ArtifactError(
            "an address stands where a file or a folder is expected", hint="give a path, as in ./folder"
        )
    return Path(path)


@contextmanager
def whole_folder(final: str | Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield an empty folder; it becomes `final` when the block ends without an error, and is removed otherwise.

    Args:
        final: the folder to make; its parents are created.
        replace: put the new folder in the place of an existing one. The old one stays until the new one is whole.

    Raises:
        ArtifactError: `final` already holds something and `replace` is false.
    """
    final = check_place(final).absolute()
    final.parent.mkdir(parents=True, exist_ok=True)
    _refuse_existing(final, replace)
    partial = _partial_folder(final)
    try:
        yield partial
        _flush_tree(partial)
        _refuse_existing(final, replace)
        retired = partial.with_name(partial.name.replace(".partial-", ".retired-", 1))
        if final.exists():
            final.rename(retired)
        partial.rename(final)
        _flush(final.parent)
        shutil.rmtree(retired, ignore_errors=True)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


@contextmanager
def scratch_folder(home: str | Path) -> Iterator[Path]:
    """Yield an empty folder below `home` and remove it afterwards, with what killed processes left there."""
    folder = Path(home).absolute() / "work"
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial_folder(folder)
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def remove_folder(path: str | Path) -> int:
    """Remove a folder and return the bytes that it held; a process killed meanwhile leaves none that seems whole.

    A link is removed, not what it points to.

    Raises:
        ArtifactError: something in it cannot be removed.
    """
    folder = Path(path)
    size = size_of(folder)
    retired = folder.with_name(f".{folder.name}.retired-{_HOST}-{os.getpid()}-{secrets.token_hex(4)}")
    left = folder
    try:
        if folder.is_symlink():
            folder.unlink()
            return 0
        left = folder.rename(retired)
        shutil.rmtree(retired)
    except OSError as error:
        raise ArtifactError(f"{left} cannot be removed: {error.strerror}", hint="check its permissions") from error
    return size


def size_of(path: str | Path) -> int:
    """Return the bytes of a file or of all files below a folder; each counts once, and links count nothing."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for item in (Path(path), *Path(path).rglob("*")):
        try:
            facts = item.lstat()
        except OSError:  # removed meanwhile
            continue
        if stat.S_ISREG(facts.st_mode) and (facts.st_dev, facts.st_ino) not in seen:
            seen.add((facts.st_dev, facts.st_ino))
            total += facts.st_size
    return total


def write_json(path: str | Path, value: Json) -> None:
    """Write a JSON value with sorted keys in UTF-8 and replace the file in one step. NaN is an error.

    Passwords and keys that this process knows are left out of it.
    """
    text = json.dumps(redact_values(value), ensure_ascii=False, sort_keys=True, indent=2, allow_nan=False)
    write_bytes(path, (text + "\n").encode("utf-8"))


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file in one step: readers see the old content or the new, also after a crash."""
    path = check_place(path)
    partial = path.with_name(f".{path.name}.partial-{_HOST}-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _flush(path.parent)


def _refuse_existing(final: Path, replace: bool) -> None:
    if replace or not final.exists():
        return
    if final.is_dir() and not any(final.iterdir()):
        return
    raise ArtifactError(f"{final} already exists", hint="remove it, or choose another place")


def _partial_folder(final: Path) -> Path:
    """Return a new folder beside `final`, after removing what killed processes of this machine left there."""
    pattern = re.compile(rf"\.{re.escape(final.name)}\.(partial|retired)-{_HOST}-(\d+)-[0-9a-f]{{8}}")
    for entry in list(final.parent.iterdir()):
        match = pattern.fullmatch(entry.name)
        if match and not _alive(int(match[2])):
            shutil.rmtree(entry, ignore_errors=True)
    partial = final.parent / f".{final.name}.partial-{_HOST}-{os.getpid()}-{secrets.token_hex(4)}"
    partial.mkdir()
    return partial


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _flush_tree(root: Path) -> None:
    for folder, _, names in os.walk(root):
        for name in names:
            _flush(Path(folder) / name)
        _flush(Path(folder))


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
