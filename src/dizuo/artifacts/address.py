"""What a user names, an `Address`, and what `resolve` returns for it, an `Artifact`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Address", "Artifact"]


@dataclass(frozen=True, slots=True)
class Address:
    """An address, taken apart."""

    scheme: str
    """`path`, `pypi`, `hf`, `modelscope`, or a third party's."""
    name: str
    """The path, the normalised package name, or `org/name`."""
    version: str | None = None
    """Package version or hub revision; None means the newest, or the one in the cache."""
    inner: str = ""
    """Path inside a package or repository, with `/`."""

    def __str__(self) -> str:
        if self.scheme == "path":
            return self.name
        inner = f"/{self.inner}" if self.inner else ""
        if self.scheme == "pypi":
            return f"pypi:{self.name}{f'=={self.version}' if self.version else ''}{inner}"
        return f"{self.scheme}:{self.name}{inner}{f'@{self.version}' if self.version else ''}"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A model or data set on this machine. Its files are shared and must not be written to."""

    address: str
    """Canonical address, with the version pinned where it is known."""
    path: Path
    """A file or a folder."""
    digest: str
    """`sha256:…` of the file, or of the folder's listing (`digests.py`)."""
    licence: str | None = None
    """As the package or card states it, such as `Apache-2.0`; None when it states none."""
    licence_files: tuple[Path, ...] = ()
    """Licence texts, notices and terms that came along."""
    notes: tuple[str, ...] = ()
    """What a person should know of, such as files that were joined."""
