"""The local registry keeps what was released under a name, by version and by alias.

    <data_root>/registry/NAME/3/release.json     version, digest, when
    <data_root>/registry/NAME/3/bundle/          the bundle, copied
    <data_root>/registry/NAME/3/removed.json     instead of both, where the version was removed
    <data_root>/registry/NAME/aliases.json       alias -> its history of versions, the last one counts

A version appears by one rename, an alias moves by one file replaced; both under a lock per name. A process killed at
any moment leaves the old state or the new one. Versions are never changed, and their numbers never used again, also
of those that were removed.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from dizuo import artifacts
from dizuo.errors import ServingError, did_you_mean
from dizuo.serving.bundle import files as bundles
from dizuo.serving.bundle.files import Bundle
from dizuo.serving.release_names import DEFAULT_ALIAS, Reference, check_name, parse_reference

if TYPE_CHECKING:
    from dizuo.records import Json

__all__ = ["Registry", "Release"]


@dataclass(frozen=True, slots=True)
class Release:
    """One version of one name."""

    name: str
    version: int
    created: str
    """ISO 8601, UTC."""
    digest: str
    """Of the bundle, fixed when it was registered."""
    folder: Path
    """The bundle's folder."""
    aliases: tuple[str, ...] = ()
    """Aliases that point here, sorted."""

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


class _Pointing(TypedDict):
    """One entry of an alias's history in aliases.json."""

    version: int
    at: str


class Registry:
    """Registers and finds the releases of this machine.

    Args:
        root: where it lives; None is `data_root()/registry`.
        lock_seconds: how long to wait for another process that is registering or promoting the same name.
    """

    def __init__(self, root: Path | None = None, *, lock_seconds: float = 60.0) -> None:
        self.root = root or artifacts.data_root() / "registry"
        self.lock_seconds = lock_seconds

    def register(self, bundle: Bundle, name: str | None = None, *, alias: str | None = DEFAULT_ALIAS) -> Release:
        """Copy a bundle into the registry as the next version of a name.

        Args:
            bundle: from `bundle.open` or `bundle.write`.
            name: None is the bundle's own.
            alias: alias to move to the new version; None moves none.

        Raises:
            ServingError: the name is unusable, the copy failed, or the bundle changed while it was copied.
        """
        name = check_name(name or bundle.name)
        if alias is not None:
            check_name(alias, noun="alias")
        with self._locked(name):
            version = max(self._numbers(name), default=0) + 1
            try:
                with artifacts.whole_folder(self.root / name / str(version)) as folder:
                    shutil.copytree(bundle.folder, folder / "bundle")
                    if bundles.open(folder / "bundle").digest != bundle.digest:
                        raise ServingError(f"{bundle.folder} changed while it was registered", hint="register it again")
                    artifacts.write_json(
                        folder / "release.json",
                        {"name": name, "version": version, "created": _now(), "digest": bundle.digest},
                    )
            except (OSError, shutil.Error) as error:
                raise ServingError(f"{name}@{version} could not be registered: {error}") from error
            if alias is not None:
                self._point_alias(name, alias, version)
            return self._release(name, version)

    def resolve(self, reference: str | Reference) -> Release:
        """Return the release behind `tickets`, `tickets@3` or `tickets:prod`; its files are checked by `open`.

        Raises:
            ServingError: there is none; the message lists what exists.
        """
        wanted = parse_reference(reference) if isinstance(reference, str) else reference
        versions = self._versions(wanted.name)
        if not versions:
            names = self.names()
            raise ServingError(
                f"nothing is registered as {wanted.name!r}{did_you_mean(wanted.name, names)}",
                hint=f"registered: {', '.join(names)}" if names else "register something with dizuo deploy",
            )
        aliases = self._aliases(wanted.name)
        if wanted.version is not None:
            version = wanted.version
        elif wanted.alias is not None:
            if wanted.alias not in aliases:
                known = ", ".join(sorted(aliases)) or "none"
                raise ServingError(
                    f"{wanted.name} has no alias {wanted.alias!r}{did_you_mean(wanted.alias, aliases)}",
                    hint=f"aliases of {wanted.name}: {known}",
                )
            version = aliases[wanted.alias][-1]["version"]
        else:
            history = aliases.get(DEFAULT_ALIAS)
            version = history[-1]["version"] if history else max(versions)
        if version not in versions:
            raise ServingError(
                f"{wanted.name} has no version {version}",
                hint=f"versions of {wanted.name}: {', '.join(map(str, versions))}",
            )
        return self._release(wanted.name, version)

    def open(self, reference: str | Reference) -> tuple[Release, Bundle]:
        """Return a release and its verified bundle.

        Raises:
            ServingError: there is none, or its files are not those that were registered.
        """
        release = self.resolve(reference)
        bundle = bundles.open(release.folder)
        if bundle.digest != release.digest:
            raise ServingError(
                f"{release} is not what was registered: bundle.json was changed",
                details=[f"registered {release.digest}", f"found      {bundle.digest}"],
                hint="deploy again",
            )
        return release, bundle

    def promote(self, reference: str, alias: str = DEFAULT_ALIAS) -> Release:
        """Return a release, after pointing an alias at it."""
        check_name(alias, noun="alias")
        wanted = parse_reference(reference)
        with self._locked(wanted.name):
            release = self.resolve(wanted)
            self._point_alias(release.name, alias, release.version)
            return self._release(release.name, release.version)

    def rollback(self, name: str, alias: str = DEFAULT_ALIAS) -> Release:
        """Return the release that an alias pointed at before, after pointing the alias back at it.

        Raises:
            ServingError: it never pointed anywhere else.
        """
        with self._locked(check_name(name)):
            aliases = self._aliases(name)
            history = aliases.get(alias, [])
            if len(history) < 2:
                versions = ", ".join(map(str, self._versions(name))) or "none"
                raise ServingError(
                    f"{name}:{alias} has nothing to go back to",
                    hint=f"choose a version with promote; versions: {versions}",
                )
            aliases[alias] = history[:-1]
            self._write_aliases(name, aliases)
            return self._release(name, history[-2]["version"])

    def remove(self, reference: str | Reference) -> tuple[Release, int]:
        """Remove one version, and return what it was and the bytes that it held.

        The last version of a name may be removed although its aliases point there; they go with it.

        Raises:
            ServingError: there is none, or an alias points there while there are other versions.
        """
        wanted = parse_reference(reference) if isinstance(reference, str) else reference
        with self._locked(wanted.name):
            release = self.resolve(wanted)
            others = [version for version in self._versions(release.name) if version != release.version]
            if release.aliases and others:
                raise ServingError(
                    f"{release} is what {release.name}:{release.aliases[0]} means",
                    hint=f"point it elsewhere first: dizuo registry promote {release.name}@{others[-1]} "
                    f"--alias {release.aliases[0]}",
                )
            aliases = self._aliases(release.name)
            left = {
                name: [to for to in history if to["version"] != release.version] for name, history in aliases.items()
            }
            self._write_aliases(release.name, {name: history for name, history in left.items() if history})
            folder = self.root / release.name / str(release.version)
            size = artifacts.size_of(folder)
            with artifacts.whole_folder(folder, replace=True) as mark:
                artifacts.write_json(mark / "removed.json", {"digest": release.digest, "removed": _now()})
            return release, size

    def names(self) -> tuple[str, ...]:
        """Return the registered names, sorted."""
        if not self.root.is_dir():
            return ()
        return tuple(
            sorted(
                path.name for path in self.root.iterdir() if not path.name.startswith(".") and self._versions(path.name)
            )
        )

    def ls(self, name: str | None = None) -> list[Release]:
        """Return all releases, or those of one name, oldest first."""
        names = self.names() if name is None else (check_name(name),)
        return [self._release(n, version) for n in names for version in self._versions(n)]

    def _versions(self, name: str) -> list[int]:
        return [number for number in self._numbers(name) if (self.root / name / str(number) / "release.json").is_file()]

    def _numbers(self, name: str) -> list[int]:
        """Return the numbers that were ever given to versions of a name, sorted."""
        folder = self.root / name
        if not folder.is_dir():
            return []
        return sorted(int(path.name) for path in folder.iterdir() if path.name.isascii() and path.name.isdigit())

    def _release(self, name: str, version: int) -> Release:
        folder = self.root / name / str(version)
        facts = _read(folder / "release.json")
        aliases = self._aliases(name).items()
        pointing = sorted(alias for alias, history in aliases if history[-1]["version"] == version)
        try:
            return Release(name, version, facts["created"], facts["digest"], folder / "bundle", tuple(pointing))
        except (KeyError, TypeError) as error:
            raise ServingError(f"{folder / 'release.json'} is damaged: {error} is missing") from error

    def _aliases(self, name: str) -> dict[str, list[_Pointing]]:
        """Return the history of every alias of a name, the oldest version first."""
        path = self.root / name / "aliases.json"
        if not path.exists():
            return {}
        aliases: dict[str, list[_Pointing]] = _read(path)
        return aliases

    def _point_alias(self, name: str, alias: str, version: int) -> None:
        aliases = self._aliases(name)
        history = aliases.setdefault(alias, [])
        if not history or history[-1]["version"] != version:
            history.append({"version": version, "at": _now()})
        self._write_aliases(name, aliases)

    def _write_aliases(self, name: str, aliases: Mapping[str, Sequence[_Pointing]]) -> None:
        entries = {alias: [{**entry} for entry in history] for alias, history in aliases.items()}
        artifacts.write_json(self.root / name / "aliases.json", cast("Json", entries))

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        from filelock import FileLock, Timeout

        locks = self.root / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(locks / f"{name}.lock", timeout=self.lock_seconds):
                yield
        except Timeout:
            raise ServingError(
                f"another process has been changing {name} for {self.lock_seconds:.0f} s",
                hint="wait for it, or end it",
            ) from None


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (ValueError, OSError) as error:
        raise ServingError(f"{path} cannot be read: {error}") from error
