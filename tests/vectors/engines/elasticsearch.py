"""An emulator of Elasticsearch: noida-db's, one small binary; a real server is named by DIZUO_TEST_ELASTICSEARCH_URL.

Elasticsearch itself is to be had from none of the registries that these tests use.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engines.packages import executable, wheel
from engines.server import Server


class Elasticsearch(Server):
    """noida-db with its Elasticsearch service alone; it knows no passwords."""

    name = "Elasticsearch"
    kind = "emulator"
    version = "noida-db 0.2.3"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        root = wheel("noida-db", "0.2.3", "40a2fb15567e3d344e7483df62bb439e7d64ac6fb232f4f223554aed58204f82")
        self.binary = root / "noida_db" / "noida-db"
        executable([self.binary])

    @property
    def url(self) -> str:
        return f"elasticsearch://127.0.0.1:{self.port}"

    def command(self) -> Sequence[str]:
        words = ["--data-dir", str(self.folder / "data"), "--host", "127.0.0.1", "--only", "elasticsearch"]
        return [str(self.binary), "start", *words, "--elasticsearch-port", str(self.port)]

    def ready(self) -> None:
        import httpx

        httpx.get(f"http://127.0.0.1:{self.port}/", timeout=2, trust_env=False).raise_for_status()
