"""Writes the archive, reads it once more, and opens it. Equal contents give equal bytes."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dizuo.artifacts import archives
from dizuo.artifacts.writing import check_place
from dizuo.errors import ArtifactError
from dizuo.events import Finished, Progress, Started, Watcher, ignore
from dizuo.packing.collecting import Pack
from dizuo.packing.scripts import write_scripts
from dizuo.packing.wheels import fetch_wheels
from dizuo.redaction import redact

__all__ = ["Written", "unpack", "write"]

_DATE = (1980, 1, 1, 0, 0, 0)
_BLOCK = 2**20


@dataclass(frozen=True, slots=True)
class Written:
    """An archive that was written and verified."""

    path: Path
    bytes: int
    sha256: str
    """Of the archive; give it to whoever opens it, by another way than the archive."""
    parts: Mapping[str, int]
    """Bytes by what they are: weights, data, wheels, …"""


def write(pack: Pack, path: str | Path, *, watch: Watcher = ignore) -> Written:
    """Write an archive and verify it by reading it once more.

    Args:
        pack: from `collect`.
        path: of the archive; what is there is replaced when the new one is whole.
        watch: told about wheels that are fetched, and about the bytes that are written.

    Raises:
        ArtifactError: a wheel cannot be fetched, a file changed meanwhile, or the disk is full.
    """
    path = check_place(path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}-{secrets.token_hex(4)}")
    with tempfile.TemporaryDirectory(prefix=".dizuo-wheels-", dir=path.parent) as scratch:
        wheels = fetch_wheels(pack.lock, Path(scratch) / "fetched", watch=watch) if pack.lock else []
        small = write_scripts(pack.name, lock=pack.lock, dizuo=version("dizuo"))
        small["recipe.yaml"] = redact(pack.recipe).encode("utf-8")
        small["__main__.py"] = Path(archives.__file__).read_bytes()
        if pack.lock:
            small["requirements.txt"] = "".join(f"{line}\n" for line in pack.lock.requirements).encode()
        if pack.plan is not None:
            small["plan.json"] = pack.plan.read_bytes()
        large = {name: file for piece in pack.pieces for name, file in piece.files.items()}
        large |= {f"wheels/{wheel.name}": wheel for wheel in wheels}
        try:
            _write_zip(partial, pack, small, large, watch)
            _verify(partial)
            partial.replace(path)
        except OSError as error:
            raise ArtifactError(
                f"{path} cannot be written: {error.strerror or error}", hint="free some space, or choose another --out"
            ) from error
        finally:
            partial.unlink(missing_ok=True)
    parts: dict[str, int] = {}
    for name, file in large.items():
        kind = name.partition("/")[0]
        parts[kind] = parts.get(kind, 0) + file.stat().st_size if file.exists() else parts.get(kind, 0)
    parts |= {"wheels": _sum(path, "wheels/")} if pack.lock else {}
    return Written(path, path.stat().st_size, archives.digest_of(path), parts)


def unpack(path: str | Path, folder: str | Path | None = None, *, sha256: str | None = None) -> Path:
    """Return the folder that an archive was unpacked to, every file checked.

    Args:
        path: of the archive.
        folder: must not exist, or be empty; None is a folder here with the archive's name.
        sha256: what the archive's digest must be, as whoever packed it said.

    Raises:
        ArtifactError: the archive is damaged or not to be trusted. Nothing is left behind.
    """
    path = Path(path)
    target = Path(folder) if folder is not None else Path(path.name.partition(".")[0])
    try:
        if sha256 is not None and archives.digest_of(path) != sha256.strip().lower().removeprefix("sha256:"):
            raise archives.BadArchive("its SHA-256 is not the one that was given")
        archives.unpack(path, target)
    except archives.BadArchive as error:
        raise ArtifactError(
            f"the archive {path.name} is refused: {error}",
            hint="copy it again and compare its SHA-256 with the one that dizuo pack printed",
        ) from error
    except FileExistsError as error:
        raise ArtifactError(f"there is something in {target} already", hint="choose another folder") from error
    except OSError as error:
        raise ArtifactError(
            f"{path} cannot be unpacked: {error.strerror}: {error.filename}", hint="check the path and the permissions"
        ) from error
    return target


def _write_zip(
    partial: Path, pack: Pack, small: Mapping[str, bytes], large: Mapping[str, Path], watch: Watcher
) -> None:
    work, began, done = f"write {pack.name}", time.monotonic(), 0
    total = sum(file.stat().st_size for file in large.values())
    watch(Started(work, total, "bytes"))
    files: dict[str, dict[str, Any]] = {}
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted({**small, **large}):
            hashed, size = hashlib.sha256(), 0
            with archive.open(_info(name), "w", force_zip64=True) as target:
                for block in _blocks(small.get(name), large.get(name)):
                    hashed.update(block)
                    target.write(block)
                    size += len(block)
            done += size
            watch(Progress(work, done, total, "bytes"))
            files[name] = {"sha256": hashed.hexdigest(), "bytes": size}
            if name.endswith(".sh") and "/" not in name:
                files[name]["runs"] = True
        manifest = {
            "format": archives.FORMAT,
            "name": pack.name,
            "dizuo": version("dizuo"),
            "python": pack.lock.python if pack.lock else f"{sys.version_info.major}.{sys.version_info.minor}",
            "platform": pack.lock.platform if pack.lock else "any",
            "pieces": [piece.to_json() for piece in pack.pieces],
            "files": files,
        }
        text = json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False)
        archive.writestr(_info(archives.MANIFEST), redact(text) + "\n")
    watch(Finished(work, time.monotonic() - began))


def _blocks(content: bytes | None, file: Path | None) -> Any:
    if content is not None:
        yield content
        return
    assert file is not None
    with file.open("rb") as source:
        while block := source.read(_BLOCK):
            yield block


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _DATE)
    info.external_attr = (0o755 if name.endswith(".sh") else 0o644) << 16
    info.create_system = 3
    return info


def _verify(path: Path) -> None:
    """Read the archive as whoever opens it does."""
    try:
        archives.verify(path)
    except archives.BadArchive as error:
        raise ArtifactError(
            f"the archive is not what was packed: {error}", hint="check the disk, and pack it again"
        ) from error


def _sum(path: Path, start: str) -> int:
    with zipfile.ZipFile(path) as archive:
        return sum(info.file_size for info in archive.infolist() if info.filename.startswith(start))
