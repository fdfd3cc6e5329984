"""The cache of fetched packages: entries by digest, names that point to them, one lock per name.

    artifacts/objects/<64 hex digits>/files/…        the content, read-only
    artifacts/objects/<64 hex digits>/entry.json     address, licence, digest of every file
    artifacts/names/pypi/<name>/<version>.json       {"object": "<64 hex digits>"}
    artifacts/names/pypi/<name>/.newest.json         {"version": …}: what the unpinned address means here
    artifacts/locks/…                                file locks

An entry with a missing file, or one of another size, counts as absent and is fetched again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from dizuo.artifacts.digests import digest_listing
from dizuo.artifacts.home import cache_root
from dizuo.artifacts.writing import remove_folder, whole_folder, write_json
from dizuo.events import Note, Watcher, ignore

__all__ = ["Entry", "add", "entries", "find", "lock", "remove"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One package in the cache."""

    folder: Path
    """Where the files are."""
    scheme: str
    name: str
    version: str
    files: Mapping[str, str]
    """Path to `sha256:…`."""
    sizes: Mapping[str, int]
    """Path to bytes."""
    licence: str | None = None
    licence_files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    top: tuple[str, ...] = ()
    """Import packages of the wheel, where inner paths are also looked for."""


@contextmanager
def lock(name: str, *, watch: Watcher = ignore) -> Iterator[None]:
    """Hold the lock `name` among all processes that share this cache; the watcher hears when it has to wait."""
    from filelock import FileLock, Timeout

    path = cache_root() / "artifacts" / "locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    guard = FileLock(path)
    try:
        guard.acquire(timeout=0)
    except Timeout:
        watch(Note(f"another process is at work on {name}; waiting for it"))
        guard.acquire()
    try:
        yield
    finally:
        guard.release()


def find(scheme: str, name: str, version: str | None) -> Entry | None:
    """Return the entry of a name, or None where it is not in the cache or not whole.

    Without a version it is the entry that the name was first resolved to.
    """
    names = _names(scheme, name)
    if version is None:
        version = _read(names / ".newest.json").get("version")
    if not version:
        return None
    key = _read(names / f"{version}.json").get("object")
    return _entry(key) if key else None


def add(entry: Entry, *, asked: str | None) -> Entry:
    """Move a package's files into the cache, point its name to them, and return the entry as it is there.

    Args:
        entry: its `folder` is where the files are now.
        asked: the version of the address. None makes the unpinned address mean this entry from now on;
            `1.0`, for which pip may give 1.0.0, is remembered as another name of it.
    """
    key = digest_listing(entry.files).removeprefix("sha256:")
    if _entry(key) is None:
        with whole_folder(_objects() / key, replace=True) as partial:
            entry.folder.rename(partial / "files")
            values = {item.name: getattr(entry, item.name) for item in fields(Entry) if item.name != "folder"}
            write_json(partial / "entry.json", values)
    names = _names(entry.scheme, entry.name)
    names.mkdir(parents=True, exist_ok=True)
    for version in {entry.version, asked or entry.version}:
        write_json(names / f"{version}.json", {"object": key})
    if asked is None:
        write_json(names / ".newest.json", {"version": entry.version})
    added = _entry(key)
    assert added is not None
    return added


def entries() -> list[Entry]:
    """Return every whole entry of the cache, sorted by name and version."""
    root = _objects()
    keys = [path.name for path in root.iterdir() if not path.name.startswith(".")] if root.is_dir() else []
    whole = [entry for key in keys if (entry := _entry(key)) is not None]
    return sorted(whole, key=lambda entry: (entry.name, entry.version))


def remove(entry: Entry) -> int:
    """Remove an entry and the names that point to it, and return the bytes that it held."""
    with lock(f"{entry.scheme}-{entry.name}"):
        key = entry.folder.parent.name
        names = _names(entry.scheme, entry.name)
        for path in names.glob("*.json"):  # `.newest.json`, too
            value = _read(path)
            if value.get("object") == key or (value.get("version") == entry.version and path.name == ".newest.json"):
                path.unlink(missing_ok=True)
        return remove_folder(entry.folder.parent)


def _entry(key: str) -> Entry | None:
    """Return the entry unless a file of it is missing or has another size."""
    home = _objects() / key
    value = _read(home / "entry.json")
    if not value:
        return None
    for name, size in value["sizes"].items():
        try:
            if (home / "files" / name).stat().st_size != size:
                return None
        except OSError:
            return None
    lists = {item: tuple(value[item]) for item in ("licence_files", "notes", "top")}
    return Entry(folder=home / "files", **{**value, **lists})


def _objects() -> Path:
    return cache_root() / "artifacts" / "objects"


def _names(scheme: str, name: str) -> Path:
    return cache_root() / "artifacts" / "names" / scheme / name


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
