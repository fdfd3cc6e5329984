"""The command line of the tree under test, as a user calls it: commands, and a server that is asked over HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["answer", "asked", "served", "told"]

PATIENCE = 180.0
"""Seconds that a server may take to answer first."""


def told(*words: str) -> dict[str, Any]:
    """Return what a command says: its exit status, and both of its outputs."""
    done = subprocess.run([*_start(), *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return {"status": done.returncode, "stdout": done.stdout, "stderr": done.stderr}


def answer(*words: str) -> Any:
    """Return what a command that must succeed prints: the values of its JSON documents, else its text."""
    found = told(*words)
    if found["status"]:
        raise RuntimeError(f"dizuo {' '.join(words)}: exit status {found['status']}\n{found['stderr']}")
    if "--json" not in words:
        return found["stdout"]
    reader, text, out = json.JSONDecoder(), found["stdout"].lstrip(), []
    while text:
        value, end = reader.raw_decode(text)
        out.append(value)
        text = text[end:].lstrip()
    return out


@contextmanager
def served(name: str) -> Iterator[str]:
    """Serve a released model while the block runs, which gets the server's address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen([*_start(), "serve", name, "--port", str(port)], stdin=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + PATIENCE
            while asked(f"{address}/v1/models") is None:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"dizuo serve {name} does not answer")
                time.sleep(0.2)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=60)


def asked(url: str, body: Any = None) -> Any:
    """Return status and answer of a request without what is new every time; None where nobody listens."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            status, text = response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    except (urllib.error.URLError, ConnectionError):
        return None
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {")]
    values = [json.loads(line) for line in lines] or [json.loads(text)]
    for value in values:
        if isinstance(value, dict):
            value.pop("id", None)
            value.pop("system_fingerprint", None)  # of the release, whose report holds seconds
    return [status, *values]


def _start() -> list[str]:
    """Return how this tree's own entry point is called, wherever its pyproject says it is."""
    tree = Path(os.environ["PYTHONPATH"]).parent
    entry = tomllib.loads((tree / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]["dizuo"]
    module, _, function = entry.partition(":")
    code = f"import sys; sys.argv[0] = 'dizuo'; from {module} import {function} as start; start()"
    return [sys.executable, "-c", code]
