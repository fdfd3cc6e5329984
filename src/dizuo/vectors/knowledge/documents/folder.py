"""`list_folder` says what there is below a folder: files that are read, what cannot be looked at, what nobody reads.

Nothing is left out in silence, and nothing ends the listing but the folder itself. Links to files are followed; a
linked folder is entered where a pattern names it, since a link can lead to anywhere, also to above itself. Names that
begin with a point are hidden, and left out.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dizuo.errors import DataError, VectorError

__all__ = ["Listing", "describe_kind", "describe_os_error", "list_folder", "show_name"]

_KINDS = (
    (stat.S_ISFIFO, "FIFO"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)
Places = frozenset[tuple[int, int]]
"""Where patterns stand on the way down: (number of the pattern, number of its segment that comes next)."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What there is below a folder."""

    files: Mapping[str, Path] = field(default_factory=dict)
    """Name relative to the folder → file, sorted by name, of those with a suffix that is read."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Name → why it cannot be looked at; the name of a folder ends with `/`."""
    unread: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Kind, as in `.png`, `without a suffix`, `hidden` → names that nobody reads."""

    def explain(self, name: str) -> str | None:
        """Return why a file that is not in the listing may be there all the same; None where it is gone."""
        if name in self.failed:
            return self.failed[name]
        above = next((folder for folder in self.failed if folder.endswith("/") and name.startswith(folder)), None)
        if above is not None:
            return f"{above} cannot be looked at: {self.failed[above]}"
        below = next((link for link in self.failed if name.startswith(f"{link}/")), None)
        if below is not None:
            return f"{below} cannot be looked at: {self.failed[below]}"
        kind = next((kind for kind, names in self.unread.items() if name in names), None)
        return None if kind is None else f"nobody reads it any more ({kind})"


def show_name(name: str | Path) -> str:
    r"""Return a file's name as text that every database and terminal takes: bytes that are not UTF-8 as `\xff`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def describe_kind(mode: int) -> str:
    """Return what a file that is no file is: `FIFO`, `socket`, `device`; empty for a file or a folder."""
    return next((kind for test, kind in _KINDS if test(mode)), "")


def describe_os_error(error: OSError) -> str:
    """Return what the system says, in words: `Permission denied`."""
    return error.strerror or f"{type(error).__name__}: {error}"


def list_folder(root: str | Path, *, patterns: Sequence[str] = ("**/*",), suffixes: Sequence[str]) -> Listing:
    """List the files below a folder, or one file.

    Args:
        root: a folder or a file.
        patterns: globs below the folder; `**` is any number of folders.
        suffixes: of the files that are read, in lower case.

    Raises:
        DataError: the folder is not there or cannot be looked at.
        VectorError: a pattern is not one.
    """
    if isinstance(root, str) and not root.strip():
        raise DataError("the folder has no name", hint="write . for the current one")
    root = Path(root)
    segments = _split_patterns(patterns)
    try:
        mode = os.stat(root).st_mode
    except OSError as error:
        raise DataError(
            f"{show_name(root)} does not exist" if error.errno == errno.ENOENT
            else f"{show_name(root)} cannot be read: {describe_os_error(error)}",
            hint="give a folder or a file",
        ) from error  # fmt: skip
    if stat.S_ISREG(mode):
        return Listing({show_name(root.name): root})
    if not stat.S_ISDIR(mode):
        raise DataError(f"{show_name(root)} is a {describe_kind(mode)}, and no folder", hint="give a folder or a file")
    walk = _Walk(segments, frozenset(suffixes))
    walk.enter(root, "", frozenset((number, 0) for number in range(len(segments))))
    if "/" in walk.failed:
        raise DataError(f"{show_name(root)} cannot be read: {walk.failed['/']}", hint="is its disk there?")
    return Listing(
        dict(sorted(walk.files.items())),
        dict(sorted(walk.failed.items())),
        {kind: tuple(sorted(names)) for kind, names in sorted(walk.unread.items())},
    )


class _Walk:
    """Goes down a tree of folders, as far as patterns lead."""

    def __init__(self, segments: Sequence[Sequence[str]], suffixes: frozenset[str]) -> None:
        self._segments, self._suffixes = segments, suffixes
        self._compiled = {segment: re.compile(fnmatch.translate(segment)) for item in segments for segment in item}
        self.files: dict[str, Path] = {}
        self.failed: dict[str, str] = {}
        self.unread: dict[str, list[str]] = {}

    def enter(self, root: Path, prefix: str, places: Places) -> None:
        """List a folder and all below it."""
        waiting = [(str(root), prefix, places)]
        while waiting:
            folder, prefix, places = waiting.pop()
            try:
                with os.scandir(folder) as entries:
                    found = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                self.failed[prefix or "/"] = describe_os_error(error)
                continue
            for entry in found:
                below = self._advance(places, entry.name)
                if not below:
                    continue
                name = prefix + show_name(entry.name)
                if entry.name.startswith("."):
                    self.unread.setdefault("hidden", []).append(name)
                elif self._look(entry, name, places, below):
                    waiting.append((entry.path, f"{name}/", below))

    def _look(self, entry: os.DirEntry[str], name: str, places: Places, below: Places) -> bool:
        """Note what an entry is; return whether it is a folder to enter."""
        try:
            is_link = entry.is_symlink()
            mode = entry.stat().st_mode
        except OSError as error:
            reason = describe_os_error(error)
            if error.errno == errno.ELOOP:
                reason = "it is a link that leads in a circle"
            elif error.errno == errno.ENOENT:
                reason = "it is a link to what is not there" if entry.is_symlink() else "it vanished"
            self.failed[name] = reason
            return False
        if stat.S_ISDIR(mode):
            if is_link and not self._is_named(places, entry.name):
                self.unread.setdefault("linked folder", []).append(name)
                return False
            return True
        if not any(segment == len(self._segments[number]) for number, segment in self._skip(below)):
            return False
        suffix = Path(entry.name).suffix.lower()
        kind = describe_kind(mode)
        if suffix not in self._suffixes:
            self.unread.setdefault(kind or show_name(suffix) or "without a suffix", []).append(name)
        elif kind:
            self.failed[name] = f"it is a {kind}, and no file"
        elif name in self.files:
            self.failed[name] = f"another file has this name: {show_name(self.files[name])!r}; rename one"
        else:
            self.files[name] = Path(entry.path)
        return False

    def _skip(self, places: Places) -> Iterator[tuple[int, int]]:
        """Yield the places, and those behind a `**` that stands for no folder."""
        for number, segment in places:
            yield number, segment
            while segment < len(self._segments[number]) and self._segments[number][segment] == "**":
                segment += 1
                yield number, segment

    def _advance(self, places: Places, name: str) -> Places:
        """Return where the patterns stand behind a name."""
        after = set()
        for number, segment in self._skip(places):
            if segment == len(self._segments[number]):
                continue
            pattern = self._segments[number][segment]
            if pattern == "**":
                after.add((number, segment))
            elif self._compiled[pattern].match(name):
                after.add((number, segment + 1))
        return frozenset(after)

    def _is_named(self, places: Places, name: str) -> bool:
        """Say whether a pattern has this very name here."""
        return any(
            segment < len(self._segments[number]) and self._segments[number][segment] == name
            for number, segment in self._skip(places)
        )


def _split_patterns(patterns: Sequence[str]) -> list[tuple[str, ...]]:
    if isinstance(patterns, str):
        raise VectorError(f"patterns is one text, {patterns!r}, and it is a list", hint=f"patterns=[{patterns!r}]")
    split = []
    for pattern in patterns:
        if not isinstance(pattern, str) or not pattern.strip("/. "):
            raise VectorError(f"{pattern!r} is no pattern of files", hint="for example '**/*.md'")
        segments = tuple(part for part in pattern.split("/") if part not in ("", "."))
        if pattern.startswith("/") or ".." in segments:
            raise VectorError(f"the pattern {pattern!r} leads out of the folder", hint="patterns are below it")
        split.append(segments)
    return split
