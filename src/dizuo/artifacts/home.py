"""The folders where dizuo keeps what it fetched (`cache_root`) and what the user made (`data_root`).

`DIZUO_HOME` moves both; otherwise the XDG folders are used. Everything under the cache may be deleted at any time.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_parts", "cache_root", "data_root", "places"]


def cache_root() -> Path:
    """Return `$DIZUO_HOME/cache` or `$XDG_CACHE_HOME/dizuo`; the folder need not exist yet."""
    return _root("cache", "XDG_CACHE_HOME", Path(".cache"))


def data_root() -> Path:
    """Return `$DIZUO_HOME/data` or `$XDG_DATA_HOME/dizuo`, where the registry lives; it need not exist yet."""
    return _root("data", "XDG_DATA_HOME", Path(".local") / "share")


def cache_parts() -> dict[str, Path]:
    """Return the folders in the cache by name; each may be deleted while nothing runs."""
    root = cache_root()
    folders = sorted(root.iterdir()) if root.is_dir() else []
    return {path.name: path for path in folders if path.is_dir() and not path.name.startswith(".")}


def places() -> list[tuple[str, str, Path]]:
    """Return every folder outside the working folder that dizuo keeps files in: its name, what is in it, where it is.

    The hubs' caches belong to their own clients, and other programs use them, too; they are there once one was used.
    """
    known = {"artifacts": "packages of pypi: addresses", "models": "models converted to safetensors"}
    found = [(name, known.get(name, "derived, made again when needed"), path) for name, path in cache_parts().items()]
    found += [("registry", "your releases", data_root() / "registry")]
    hub = os.environ.get("HF_HUB_CACHE") or str(Path(os.environ.get("HF_HOME") or "~/.cache/huggingface") / "hub")
    modelscope = os.environ.get("MODELSCOPE_CACHE") or "~/.cache/modelscope"
    for name, place in (("hf", hub), ("modelscope", modelscope)):
        if (folder := Path(place).expanduser()).is_dir():
            found.append((name, "the hub's own cache, shared with other programs", folder))
    return found


def _root(kind: str, variable: str, fallback: Path) -> Path:
    if home := os.environ.get("DIZUO_HOME"):
        return Path(home).expanduser().absolute() / kind
    xdg = os.environ.get(variable)
    # The XDG specification says that relative values are to be ignored.
    base = Path(xdg) if xdg and Path(xdg).is_absolute() else Path.home() / fallback
    return base / "dizuo"
