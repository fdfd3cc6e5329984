"""Reads a wheel as an archive of data: checks every member before and while it is read, and imports nothing.

The format is that of the Python Packaging User Guide, "Binary distribution format" and "Recording installed projects".
"""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

from dizuo.artifacts.archives import BadArchive, check_members
from dizuo.errors import ArtifactError

__all__ = ["Wheel", "normalise", "open_wheel"]

_UNSIGNED = ("RECORD", "RECORD.jws", "RECORD.p7s")
_BLOCK = 2**20


def normalise(name: str) -> str:
    """Return a package name as PEP 503 compares it: lower case, runs of `-_.` as one `-`."""
    return re.sub(r"[-_.]+", "-", name).lower()


class Wheel:
    """An open wheel whose names, sizes and listing were checked; contents are checked as they are read."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        self._archive = archive
        infos = [info for info in archive.infolist() if not info.is_dir()]
        try:
            check_members(archive.infolist())
        except BadArchive as error:
            raise _refuse(path, str(error)) from error
        self.members = {info.filename: info for info in infos}
        self.info_folder = _info_folder(path, self.members)
        self.metadata: Message = HeaderParser().parsestr(self._small("METADATA"))
        self._record = _read_record(path, self.info_folder, self._small("RECORD"), self.members)

    @property
    def name(self) -> str:
        """Normalised package name."""
        return normalise(self.metadata.get("Name") or self.info_folder.split("-", 1)[0])

    @property
    def version(self) -> str:
        """Package version."""
        return str(self.metadata.get("Version") or "").strip()

    def read(self, name: str, take: Callable[[bytes], object]) -> str:
        """Pass a member's bytes to `take` block by block and return its `sha256:…`.

        Raises:
            ArtifactError: the bytes are not those of RECORD. What `take` has got by then must be thrown away.
        """
        hashed = hashlib.sha256()
        try:
            with self._archive.open(name) as source:
                while block := source.read(_BLOCK):
                    hashed.update(block)
                    take(block)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise _refuse(self.path, f"{name} cannot be unpacked: {error}") from error
        expected = self._record.get(name)
        if expected is not None and hashed.digest() != expected:
            raise _refuse(self.path, f"the content of {name} is not what RECORD says")
        return "sha256:" + hashed.hexdigest()

    def extract(self, folder: Path) -> dict[str, str]:
        """Write every member below `folder`, read-only, and return the digests by path."""
        digests = {}
        for name in self.members:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                digests[name] = self.read(name, file.write)
            target.chmod(0o444)
        return digests

    def _small(self, name: str) -> str:
        info = self.members.get(f"{self.info_folder}/{name}")
        if info is None:
            raise _refuse(self.path, f"it has no {self.info_folder}/{name}")
        if info.file_size > 64 * 2**20:
            raise _refuse(self.path, f"{info.filename} has {info.file_size:,} bytes")
        try:
            return self._archive.read(info).decode("utf-8", "replace")
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise _refuse(self.path, f"{info.filename} cannot be unpacked: {error}") from error


@contextmanager
def open_wheel(path: Path) -> Iterator[Wheel]:
    """Yield a checked wheel.

    Raises:
        ArtifactError: it is no wheel, or has members that could escape, collide, or fill the disk.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise _refuse(path, f"it is not a readable zip archive ({error})") from error
    with archive:
        yield Wheel(path, archive)


def _info_folder(path: Path, members: dict[str, zipfile.ZipInfo]) -> str:
    folders = {name.split("/", 1)[0] for name in members if "/" in name}
    infos = sorted(folder for folder in folders if folder.endswith(".dist-info"))
    if len(infos) != 1:
        raise _refuse(path, f"it has {len(infos)} .dist-info folders instead of one")
    return infos[0]


def _read_record(path: Path, folder: str, text: str, members: dict[str, zipfile.ZipInfo]) -> dict[str, bytes]:
    """Return the SHA-256 of every member but RECORD itself."""
    record: dict[str, bytes] = {}
    for row in csv.reader(text.splitlines()):
        if not row:
            continue
        name, digest = row[0], row[1] if len(row) > 1 else ""
        if name in (f"{folder}/{item}" for item in _UNSIGNED):
            continue
        if name not in members:
            raise _refuse(path, f"RECORD names {name}, which is not in it")
        kind, _, encoded = digest.partition("=")
        if kind != "sha256":
            raise _refuse(path, f"RECORD gives no sha256 for {name}")
        try:
            record[name] = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        except (binascii.Error, ValueError) as error:
            raise _refuse(path, f"RECORD gives no readable sha256 for {name}") from error
    unsigned = {f"{folder}/{item}" for item in _UNSIGNED}
    if missing := sorted(set(members) - set(record) - unsigned):
        raise _refuse(path, f"{missing[0]} is not named in RECORD")
    return record


def _refuse(path: Path, reason: str) -> ArtifactError:
    return ArtifactError(
        f"the wheel {path.name} is refused: {reason}",
        hint="the file is damaged or not to be trusted; try another version or another index",
    )
