"""Small wheels made by hand, honest and malicious, in a folder that pip is pointed at: no network is needed."""

from __future__ import annotations

import base64
import hashlib
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path


def entry(name: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}"


def write_wheel(
    folder: Path,
    name: str,
    version: str,
    files: Mapping[str, bytes],
    *,
    metadata: str = "",
    extra: list[tuple[zipfile.ZipInfo | str, bytes]] = [],  # noqa: B006 (only read)
    record: str | None = None,
    tag: str = "py3-none-any",
) -> Path:
    """Write a wheel; `extra` members are stored but not recorded, `record` replaces RECORD."""
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    members = dict(files)
    members[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}\n".encode()
    members[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()
    lines = [entry(item, content) for item, content in members.items()] + [f"{info}/RECORD,,"]
    members[f"{info}/RECORD"] = ("\n".join(lines) + "\n" if record is None else record).encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for item, content in members.items():
            archive.writestr(item, content)
        for key, content in extra:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a name that is there already: the point of some tests
                archive.writestr(key, content)
    return path


def write_sdist(folder: Path, name: str, version: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}.tar.gz"
    path.write_bytes(b"not even opened")
    return path


def split(content: bytes, count: int) -> list[bytes]:
    size = -(-len(content) // count)
    return [content[start : start + size] for start in range(0, len(content), size)]
