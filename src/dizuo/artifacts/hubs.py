"""What the hubs share: the form of an address, which files of a repository are fetched, and what came along."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from dizuo.artifacts.address import Address, Artifact
from dizuo.artifacts.digests import digest_file, digest_tree, list_tree
from dizuo.artifacts.licences import licence_of_folder
from dizuo.errors import ArtifactError, did_you_mean

__all__ = ["artifact_in", "choose_files", "choose_sample", "parse_hub"]

SHOWN = 20
"""Files listed in an error."""
UNWANTED = ["*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.h5", "*.msgpack", "*.onnx", "*.py", "*.tflite"]
"""Not fetched with a model: pickles, code, and formats that dizuo does not read."""
PAPERS = ["README.md", "LICEN[CS]E*", "NOTICE*", "*TERMS*", "USE_POLICY*"]
"""Fetched beside an inner path: what says under which terms it stands."""


def parse_hub(scheme: str, rest: str, form: str) -> Address:
    """Return the address of `org/name[/inner/path][@revision]` on a hub."""
    named, at, revision = rest.partition("@")
    parts = named.split("/")
    name, inner = "/".join(parts[:2]), "/".join(parts[2:])
    text = f"{scheme}:{rest}"
    if len(parts) > 2 and not all(re.fullmatch(r"[\w+=. -]*[\w+=-]", part) for part in parts[2:]):
        raise ArtifactError(f"{inner!r} in {text} is not a path inside the repository", hint=f"write {form}")
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", name) or ".." in name:
        raise ArtifactError(f"{name!r} in {text} is not of the form org/name", hint=f"write {form}")
    if at and (not re.fullmatch(r"[A-Za-z0-9][\w./-]*", revision) or ".." in revision):
        raise ArtifactError(f"{revision!r} in {text} is not a revision", hint=f"write {form}")
    return Address(scheme, name, revision or None, inner)


def artifact_in(address: Address, root: Path) -> Artifact:
    """Return the artifact at an address's inner path below its repository's folder, or the folder itself.

    Raises:
        ArtifactError: the repository has nothing there.
    """
    path = root / address.inner
    if not path.exists():
        files = list_tree(root)
        raise _nothing_there(address, files)
    licence, papers = licence_of_folder(root)
    digest = digest_file(path) if path.is_file() else digest_tree(path)
    return Artifact(str(address), path, digest, licence, papers)


def choose_files(address: Address, files: Sequence[str] | None) -> dict[str, list[str]]:
    """Return which files of a repository to fetch, as the clients' `allow_patterns` and `ignore_patterns`.

    A repository of quantised models holds a dozen files of gigabytes, of which one is wanted: it has to be named.

    Args:
        address: with or without an inner path.
        files: what the repository holds; None where it could not be asked, as without a network.

    Raises:
        ArtifactError: there are several GGUF files and no other weights, or nothing at the inner path.
    """
    if address.inner:
        if files is not None and not any(f"{name}/".startswith(f"{address.inner}/") for name in files):
            raise _nothing_there(address, files)
        return {"allow_patterns": [address.inner, f"{address.inner}/*", *PAPERS], "ignore_patterns": UNWANTED}
    ggufs = _ggufs(files or ())
    if any(name.endswith(".safetensors") for name in files or ()):
        return {"ignore_patterns": [*UNWANTED, "*.gguf"]}
    if len(ggufs) > 1:
        raise ArtifactError(
            f"{address} holds {len(ggufs)} GGUF files, each of them a model",
            details=[*ggufs[:SHOWN], *([f"… and {len(ggufs) - SHOWN:,} more"] if len(ggufs) > SHOWN else [])],
            hint=f"name one: {Address(address.scheme, address.name, address.version, ggufs[0])}",
        )
    return {"ignore_patterns": UNWANTED}


def choose_sample(files: Iterable[str]) -> str | None:
    """Return the file whose first bytes show whether data comes through: weights, which hubs keep on other servers."""
    heavy = (".safetensors", ".gguf", ".parquet", ".arrow", ".bin", ".zip", ".gz")
    names = sorted(files)
    return next((name for name in names if name.endswith(heavy)), names[0] if names else None)


def _ggufs(files: Iterable[str]) -> list[str]:
    return sorted(name for name in files if name.endswith(".gguf") and not re.search(r"mmproj|-of-\d{5}", name))


def _nothing_there(address: Address, files: Iterable[str]) -> ArtifactError:
    known = _ggufs(files) or sorted(files)
    return ArtifactError(
        f"{address.scheme}:{address.name} has nothing at {address.inner}{did_you_mean(address.inner, known)}",
        details=[*known[:SHOWN], *([f"… and {len(known) - SHOWN:,} more"] if len(known) > SHOWN else [])],
        hint="check the inner path",
    )
