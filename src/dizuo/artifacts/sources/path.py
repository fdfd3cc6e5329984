"""A file or folder on this machine."""

from __future__ import annotations

import re
from pathlib import Path

from dizuo.artifacts.address import Address, Artifact
from dizuo.artifacts.digests import digest_file, digest_tree
from dizuo.artifacts.licences import licence_of_folder, licence_of_pack
from dizuo.artifacts.sources import Source
from dizuo.errors import ArtifactError, did_you_mean
from dizuo.events import Watcher

__all__ = ["SOURCE"]

FORM = "a path"


def parse(rest: str) -> Address:
    """Return the address of a path."""
    return Address("path", rest)


def find(address: Address) -> Path:
    """Return the absolute path of a file or folder.

    Raises:
        ArtifactError: there is none; the message says where it was looked for.
    """
    path = Path(address.name).expanduser().absolute()
    if not path.exists():
        looked = "" if path.parent == Path.cwd() else f"; looked in {path.parent}"
        raise ArtifactError(f"{address.name} does not exist{_near(path)}{looked}", hint=_hint(address.name))
    if not path.is_file() and not path.is_dir():
        raise ArtifactError(f"{address.name} is neither a file nor a folder", hint="give a file or a folder")
    return path


def fetch(address: Address, watch: Watcher) -> Artifact:
    """Return the file or folder with its digest."""
    path = find(address)
    folder = path if path.is_dir() else path.parent
    licence, files = licence_of_folder(folder) if path.is_dir() else (None, ())
    if (packed := licence_of_pack(path)) is not None:
        licence, files = packed
    try:
        digest = digest_tree(path) if path.is_dir() else digest_file(path)
    except OSError as error:
        raise ArtifactError(
            f"{address.name} cannot be read: {error.strerror}: {error.filename}",
            hint="check the permissions and that no link in it is dangling",
        ) from error
    return Artifact(str(path), path, digest, licence, files)


def _near(path: Path) -> str:
    if not path.parent.is_dir():
        return ""
    return did_you_mean(path.name, [entry.name for entry in path.parent.iterdir()])


def _hint(name: str) -> str:
    if re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        return f"check the spelling; for a hub write hf:{name} or modelscope:{name}"
    if re.fullmatch(r"[A-Za-z0-9][\w-]*", name):
        return f"check the spelling; for a package write pypi:{name}"
    return "check the spelling of the path"


SOURCE = Source(form=FORM, parse=parse, fetch=fetch)
