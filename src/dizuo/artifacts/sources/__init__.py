"""One file per kind of address; the file's name is the scheme, as `hf` in `hf:org/name`.

    path.py          a file or folder on this machine
    pypi.py          a wheel of a package index, through pip
    hf.py            the Hugging Face hub
    modelscope.py    the ModelScope hub

A new source is a file here, or a module that a third party names in the entry-point group `dizuo.artifacts.sources`:

    def parse(rest: str) -> Address:                            # rest is what stands behind the colon
        return Address("s3", rest)

    def fetch(address: Address, watch: Watcher) -> Artifact:    # it imports its client here, not at the top
        return Artifact(str(address), path, digest_tree(path))

    SOURCE = Source(form="s3:bucket/path", parse=parse, fetch=fetch)

`dizuo.testing.SourceSuite` tests it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dizuo.artifacts.address import Address, Artifact
from dizuo.errors import ArtifactError
from dizuo.events import Watcher
from dizuo.plugins import Kind, check_fields

__all__ = ["SOURCES", "Source"]


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of address."""

    form: str
    """What an address looks like; hints show it, as in `hf:org/name[/inner/path][@revision]`."""
    parse: Callable[[str], Address]
    """Takes what stands behind the colon apart; nothing is fetched. `str` of the address parses to the same again.
    A malformed one is an `ArtifactError` whose hint shows the form."""
    fetch: Callable[[Address, Watcher], Artifact]
    """Returns what the address names, fetched and verified. What is not there is an `ArtifactError`, a client that is
    not installed a `MissingPackage`."""
    name: str = ""
    """The scheme; the loader fills it in."""

    def __post_init__(self) -> None:
        check_fields(self)


SOURCES = Kind("source", "dizuo.artifacts.sources", "SOURCE", Source, error=ArtifactError)
