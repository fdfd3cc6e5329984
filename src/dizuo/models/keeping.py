"""Which models were fetched onto this machine, how large they are, and how one is removed."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from dizuo.artifacts import parse, remove_folder, size_of, store
from dizuo.errors import ModelError, did_you_mean
from dizuo.models.inspecting import converted_root

__all__ = ["Kept", "find_kept", "kept"]

WEIGHTS = (".gguf", ".safetensors")


@dataclass(frozen=True, slots=True)
class Kept:
    """A model in the cache."""

    address: str
    folder: Path
    """Of the package, read-only."""
    converted: tuple[Path, ...]
    """Folders of what was converted from it."""
    bytes: int
    """Of all of it."""
    last_used: str
    """The day, or `unknown` where the file system does not note it."""

    def remove(self) -> int:
        """Remove the package and what was converted from it, and return the bytes that are free again."""
        freed = sum(remove_folder(folder) for folder in self.converted)
        entry = next((entry for entry in store.entries() if entry.folder == self.folder), None)
        return freed + (store.remove(entry) if entry is not None else 0)


def kept() -> list[Kept]:
    """Return the models in the cache, the largest first."""
    models = [_kept(entry) for entry in store.entries() if any(name.endswith(WEIGHTS) for name in entry.files)]
    return sorted(models, key=lambda model: -model.bytes)


def find_kept(address: str) -> Kept:
    """Return the fetched model that an address names; without a version it is the one that the address means here.

    Raises:
        ModelError: it was not fetched, or it is no package of the cache.
    """
    wanted = parse(address)
    if wanted.scheme == "path":
        raise ModelError(
            f"{address} is a folder of your own", hint="dizuo removes what it has fetched; remove it yourself"
        )
    if wanted.scheme in ("hf", "modelscope"):
        raise ModelError(
            f"{address} is in the cache of its hub's own client, which other programs use, too",
            hint="remove it with: hf cache delete"
            if wanted.scheme == "hf"
            else "remove its folder; see dizuo cache ls",
        )
    entry = store.find(wanted.scheme, wanted.name, wanted.version)
    if entry is None:
        known = [model.address for model in kept()]
        raise ModelError(
            f"{address} is not in the cache{did_you_mean(address, known)}",
            hint=f"fetched: {', '.join(known)}" if known else "no model was fetched yet",
        )
    return _kept(entry)


def _kept(entry: store.Entry) -> Kept:
    root = converted_root()
    digests = {digest.removeprefix("sha256:") for digest in entry.files.values()}
    folders = sorted(root.iterdir()) if root.is_dir() else []
    converted = tuple(path for path in folders if path.is_dir() and path.name.partition("-")[0] in digests)
    files = (path for folder in (entry.folder, *converted) for path in folder.rglob("*"))
    used = max((path.stat().st_atime for path in files), default=0.0)
    return Kept(
        f"{entry.scheme}:{entry.name}=={entry.version}",
        entry.folder,
        converted,
        size_of(entry.folder.parent) + sum(size_of(path) for path in converted),
        datetime.date.fromtimestamp(used).isoformat() if used else "unknown",
    )
