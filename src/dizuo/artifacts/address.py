"""Addresses of models and data sets; the grammar of each scheme is in its file under `sources/`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from dizuo import plugins
from dizuo.errors import ArtifactError, did_you_mean

__all__ = ["SOURCES", "Address", "parse"]

SOURCES = "dizuo.artifacts.sources"


@dataclass(frozen=True, slots=True)
class Address:
    """An address, taken apart."""

    scheme: str
    """`path`, `pypi`, `hf`, `modelscope`, or a third party's."""
    name: str
    """The path, the normalised package name, or `org/name`."""
    version: str | None = None
    """Package version or hub revision; None means the newest, or the one in the cache."""
    inner: str = ""
    """Path inside a package or repository, with `/`."""

    def __str__(self) -> str:
        if self.scheme == "path":
            return self.name
        inner = f"/{self.inner}" if self.inner else ""
        if self.scheme == "pypi":
            return f"pypi:{self.name}{f'=={self.version}' if self.version else ''}{inner}"
        return f"{self.scheme}:{self.name}{inner}{f'@{self.version}' if self.version else ''}"


def parse(address: str | Path) -> Address:
    """Return the parts of an address; nothing is fetched and no file is read.

    Raises:
        ArtifactError: the scheme is unknown or the address is malformed; the hint shows the right form.
    """
    if isinstance(address, Path):
        return Address("path", str(address))
    text = address.strip()
    if not text:
        raise ArtifactError("the address is empty", hint=f"give one of: {_forms()}")
    if "\0" in text or any(ord(letter) < 32 for letter in text):
        raise ArtifactError(f"the address {text!r} has control characters in it", hint=f"give one of: {_forms()}")
    # One letter before a colon is a drive on Windows, not a scheme.
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", text)
    if match is None or (Path(text).exists() and match[1] not in plugins.names(SOURCES)):
        return Address("path", text)
    scheme, rest = match[1], match[2]
    known = plugins.names(SOURCES)
    if rest.startswith("//") and scheme not in known:
        raise ArtifactError(
            f"{text} is a web address, which dizuo does not fetch models or data from",
            hint=f"download it yourself and give its path, or give one of: {_forms()}",
        )
    if scheme not in known:
        near = did_you_mean(scheme, known)
        raise ArtifactError(f"no source is called {scheme!r}{near} in {text!r}", hint=f"give one of: {_forms()}")
    parsed: Address = plugins.load(SOURCES, scheme, noun="source").parse(rest)
    return parsed


def _forms() -> str:
    return ", ".join(plugins.load(SOURCES, name).FORM for name in plugins.names(SOURCES))
