"""ClickHouse: its engine in chdb, in this process (`clickhouse:///PATH`) or in a server behind the HTTP protocol.

The server is a small shim over chdb (clickhouse_http.py): the engine is the real one, the protocol around it is ours.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import quote

from engines.packages import EngineUnavailable
from engines.server import Server

PASSWORD = "click/house"


class ClickHouse(Server):
    """chdb in a process of its own, reached over HTTP."""

    name = "ClickHouse"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        try:
            self.version = f"chdb {version('chdb')} behind an HTTP shim"
        except PackageNotFoundError as error:
            raise EngineUnavailable("chdb is not installed") from error

    @property
    def url(self) -> str:
        return f"clickhouse://default:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/default"

    @property
    def wrong_password_url(self) -> str:
        return f"clickhouse://default:wrong@127.0.0.1:{self.port}/default"

    def command(self) -> Sequence[str]:
        program = str(Path(__file__).with_name("clickhouse_http.py"))
        return [sys.executable, program, str(self.port), str(self.folder / "data"), PASSWORD]

    def ready(self) -> None:
        import httpx

        url, auth = f"http://127.0.0.1:{self.port}/", ("default", PASSWORD)
        httpx.post(url, content="SELECT 1", auth=auth, timeout=5, trust_env=False).raise_for_status()
