"""The folders where dizuo keeps what it fetched (`cache_root`) and what the user made (`data_root`).

`DIZUO_HOME` moves both; otherwise the XDG folders are used. Everything under the cache may be deleted at any time.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_root", "data_root"]


def cache_root() -> Path:
    """Return `$DIZUO_HOME/cache` or `$XDG_CACHE_HOME/dizuo`; the folder need not exist yet."""
    return _root("cache", "XDG_CACHE_HOME", Path(".cache"))


def data_root() -> Path:
    """Return `$DIZUO_HOME/data` or `$XDG_DATA_HOME/dizuo`, where the registry lives; it need not exist yet."""
    return _root("data", "XDG_DATA_HOME", Path(".local") / "share")


def _root(kind: str, variable: str, fallback: Path) -> Path:
    if home := os.environ.get("DIZUO_HOME"):
        return Path(home).expanduser().absolute() / kind
    xdg = os.environ.get(variable)
    # The XDG specification says that relative values are to be ignored.
    base = Path(xdg) if xdg and Path(xdg).is_absolute() else Path.home() / fallback
    return base / "dizuo"
