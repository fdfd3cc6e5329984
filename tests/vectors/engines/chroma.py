"""Chroma's server, `chroma run` of the installed chromadb; embedded Chroma needs no process but a folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from engines.packages import EngineUnavailable
from engines.server import Server


class Chroma(Server):
    """`chroma run`; version 1 has no passwords of its own."""

    name = "Chroma"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        try:
            self.version = version("chromadb")
        except PackageNotFoundError as error:
            raise EngineUnavailable("chromadb is not installed") from error

    @property
    def url(self) -> str:
        return f"chroma://127.0.0.1:{self.port}"

    def command(self) -> Sequence[str]:
        run = "from chromadb.cli.cli import app; app()"
        words = ["run", "--path", str(self.folder / "data"), "--host", "127.0.0.1", "--port", str(self.port)]
        return [sys.executable, "-c", run, *words]

    def ready(self) -> None:
        import httpx

        httpx.get(f"http://127.0.0.1:{self.port}/api/v2/heartbeat", timeout=2, trust_env=False).raise_for_status()
