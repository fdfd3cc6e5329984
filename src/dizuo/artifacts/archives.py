"""Unpacks an archive that `dizuo pack` wrote: every member is checked before, and every byte while it is written.

This file needs nothing but Python, since it stands in each such archive, too: `python ARCHIVE [FOLDER]` runs it there.
The rules for members hold for wheels as well (`wheels.py`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import sys
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["FORMAT", "MANIFEST", "BadArchive", "check_members", "digest_of", "unpack", "verify"]

MAX_ENTRIES = 200_000
MAX_BYTES = 200 * 2**30
"""Unpacked size of one archive."""
MAX_RATIO = 200
"""Unpacked over packed size, for members above 1 MiB; text and weights stay below 20."""
MANIFEST = "pack.json"
"""The member that says what is in the archive, with the SHA-256 of every other member."""
FORMAT = 1
_BLOCK = 2**20


class BadArchive(Exception):
    """The archive is damaged or not to be trusted; the text says why."""


def digest_of(path: str | Path) -> str:
    """Return the SHA-256 of a file as 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unpack(path: str | Path, folder: str | Path) -> dict[str, Any]:
    """Write what is in an archive to a new folder and return its manifest; a folder that is there is whole.

    Args:
        path: of the archive.
        folder: must not exist, or be empty.

    Raises:
        BadArchive: something in it is not what the manifest says. Nothing is left behind.
        OSError: it cannot be read, or the folder cannot be written.
    """
    final = Path(folder).absolute()
    if final.exists() and (not final.is_dir() or any(final.iterdir())):
        raise FileExistsError(17, "there is something already", str(final))
    archive = _open(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.with_name(f".{final.name}.partial-{os.getpid()}")
    with archive:
        try:
            manifest = _read_manifest(archive)
            partial.mkdir()
            for name, facts in manifest["files"].items():
                target = partial / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as file:
                    _read(archive, name, facts, file.write)
                if facts.get("runs"):
                    target.chmod(0o755)
            (partial / MANIFEST).write_bytes(archive.read(MANIFEST))
            if final.exists():
                final.rmdir()
            partial.rename(final)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise BadArchive(f"it cannot be unpacked: {error}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return manifest


def verify(path: str | Path) -> dict[str, Any]:
    """Return the manifest of an archive after reading all of it as `unpack` does; nothing is written.

    Raises:
        BadArchive: something in it is not what the manifest says.
    """
    with _open(path) as archive:
        try:
            manifest = _read_manifest(archive)
            for name, facts in manifest["files"].items():
                _read(archive, name, facts, len)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise BadArchive(f"it cannot be read: {error}") from error
    return manifest


def _read_manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    """Return the manifest, after checking that it and the members name each other and nothing else."""
    infos = archive.infolist()
    check_members(infos)
    members = {info.filename: info for info in infos if not info.is_dir()}
    if MANIFEST not in members or members[MANIFEST].file_size > 64 * 2**20:
        raise BadArchive(f"it has no {MANIFEST}: dizuo pack did not write it")
    try:
        manifest = json.loads(archive.read(MANIFEST))
        files, written = manifest["files"], manifest["format"]
        listed = {str(name): (str(facts["sha256"]), int(facts["bytes"])) for name, facts in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadArchive(f"its {MANIFEST} cannot be read: {error}") from error
    if written != FORMAT:
        raise BadArchive(f"it is of format {written}, and this dizuo reads format {FORMAT}")
    if extra := sorted(set(members) - set(listed) - {MANIFEST}):
        raise BadArchive(f"{extra[0]} is in it, and {MANIFEST} does not name it")
    if missing := sorted(set(listed) - set(members)):
        raise BadArchive(f"{missing[0]} is missing")
    for name, (_, size) in listed.items():
        if members[name].file_size != size:
            raise BadArchive(f"{name} has {members[name].file_size:,} bytes, not {size:,}")
    return dict(manifest)


def _open(path: str | Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, EOFError, ValueError) as error:
        raise BadArchive(f"it is no archive, or only a part of one ({error})") from error


def _read(archive: zipfile.ZipFile, name: str, facts: dict[str, Any], take: Callable[[bytes], object]) -> None:
    hashed = hashlib.sha256()
    with archive.open(name) as source:
        while block := source.read(_BLOCK):
            hashed.update(block)
            take(block)
    if hashed.hexdigest() != facts["sha256"]:
        raise BadArchive(f"the content of {name} is not what {MANIFEST} says")


def check_members(infos: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse names, kinds and sizes that could escape the folder, collide in it, or fill the disk.

    Raises:
        BadArchive: naming the member.
    """
    if len(infos) > MAX_ENTRIES:
        raise BadArchive(f"it has {len(infos):,} entries, more than {MAX_ENTRIES:,}")
    total = sum(info.file_size for info in infos)
    if total > MAX_BYTES:
        raise BadArchive(f"it unpacks to {total:,} bytes, more than {MAX_BYTES:,}")
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for info in infos:
        name = info.filename
        _check_name(info)
        if info.file_size > _BLOCK and info.file_size > MAX_RATIO * max(info.compress_size, 1):
            ratio = info.file_size // max(info.compress_size, 1)
            raise BadArchive(f"{name} unpacks to {ratio:,} times its size, more than {MAX_RATIO}")
        parts = name.rstrip("/").split("/")
        parents = ["/".join(parts[: depth + 1]) for depth in range(len(parts) - (0 if info.is_dir() else 1))]
        for parent in parents:
            if folders.setdefault(_fold(parent), parent) != parent:
                raise BadArchive(f"{parent} and {folders[_fold(parent)]} differ only in case")
        if info.is_dir():
            continue
        seen = files.setdefault(_fold(name), name)
        if seen != name:
            raise BadArchive(f"{name} and {seen} differ only in case")
        if files.get(name + "\0"):
            raise BadArchive(f"{name} is in it twice")
        files[name + "\0"] = name
    for folded, name in files.items():
        if folded in folders:
            raise BadArchive(f"{name} is both a file and a folder")


def _check_name(info: zipfile.ZipInfo) -> None:
    name = info.filename
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        raise BadArchive(f"{name!r} is an absolute name")
    if "\\" in info.orig_filename or "\0" in info.orig_filename or any(ord(letter) < 32 for letter in name):
        raise BadArchive(f"{info.orig_filename!r} has a backslash or control character in it")
    parts = name.rstrip("/").split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise BadArchive(f"{name!r} leads out of its folder")
    mode = info.external_attr >> 16
    if stat.S_ISLNK(mode):
        raise BadArchive(f"{name!r} is a link")
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BadArchive(f"{name!r} is a special file")
    if info.flag_bits & 0x1:
        raise BadArchive(f"{name!r} is encrypted")


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def main() -> int:
    """Unpack the archive that this file stands in."""
    path = Path(sys.argv[0])
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else path.name.split(".")[0])
    try:
        manifest = unpack(path, folder)
    except (BadArchive, OSError) as error:
        sys.stderr.write(f"error: {path.name} is refused: {error}\n")
        return 1
    sys.stdout.write(
        f"{len(manifest['files']):,} files are in {folder}, each with the SHA-256 that it had when packed\n"
    )
    sys.stdout.write(f"next: sh {folder}/install.sh && sh {folder}/run.sh\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
