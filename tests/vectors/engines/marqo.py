"""An emulator of Marqo; a real server is named by DIZUO_TEST_MARQO_URL.

Marqo itself is a container with a Vespa in it, which none of the registries that these tests use has.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from engines.server import Server


class Marqo(Server):
    """The emulator; it knows no keys."""

    name = "Marqo"
    kind = "emulator"
    version = "emulator of 2.13"

    @property
    def url(self) -> str:
        return f"marqo://127.0.0.1:{self.port}"

    def command(self) -> Sequence[str]:
        return [sys.executable, str(Path(__file__).with_name("marqo_http.py")), str(self.port)]

    def ready(self) -> None:
        import httpx

        httpx.get(f"http://127.0.0.1:{self.port}/", timeout=2, trust_env=False).raise_for_status()
