"""Pinecone: an emulator, alone or behind validating proxies; the real service where PINECONE_API_KEY is set.

The proxies are Prism, with the OpenAPI documents that the vendor publishes (`../shared/specs/pinecone`, beside the
repository): what is not in them, or not as they say, is answered with an error instead of being handed on.
`DIZUO_TEST_PINECONE_URL` may say more than `pinecone://`, such as `pinecone://?cloud=gcp&region=us-central1`.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from engines.packages import EngineUnavailable, npm
from engines.server import Server

KEY = "an-emulated-key"
SPECS = Path(__file__).parents[4] / "shared" / "specs" / "pinecone"
PRISM = "5.14.2"


class Pinecone(Server):
    """The emulator; requests go to it directly."""

    name = "Pinecone"
    kind = "emulator"
    version = "emulator, API 2025-10"

    @property
    def url(self) -> str:
        return f"pinecone+http://:{KEY}@127.0.0.1:{self.port}"

    @property
    def wrong_password_url(self) -> str:
        return f"pinecone+http://:hunter2@127.0.0.1:{self.port}"

    def command(self) -> Sequence[str]:
        return [sys.executable, str(Path(__file__).with_name("pinecone_http.py")), str(self.port), KEY]

    def ready(self) -> None:
        import httpx

        url = f"http://127.0.0.1:{self.port}/emulator/refuse?times=0&status=429"
        httpx.post(url, timeout=2, trust_env=False).raise_for_status()

    def refuse(self, times: int, status: int) -> None:
        """Answer the next requests with an error."""
        import httpx

        url = f"http://127.0.0.1:{self.port}/emulator/refuse?times={times}&status={status}"
        httpx.post(url, timeout=5, trust_env=False).raise_for_status()


class Prism(Server):
    """A proxy that lets pass only what an OpenAPI document says, both ways."""

    name = "Prism"
    version = PRISM

    def __init__(self, folder: Path, document: Path, upstream: int) -> None:
        super().__init__(folder)
        self.document, self.upstream = document, upstream
        if not document.is_file():
            raise EngineUnavailable(f"Pinecone's published OpenAPI document {document} is not there")
        if shutil.which("node") is None:
            raise EngineUnavailable(f"Prism {PRISM} needs Node.js, which is not installed")
        self.program = npm("@stoplight/prism-cli", PRISM) / "node_modules/@stoplight/prism-cli/dist/index.js"

    def command(self) -> Sequence[str]:
        words = [
            "proxy",
            str(self.document),
            f"http://127.0.0.1:{self.upstream}",
            "--errors",
            "--validate-request",
            "true",
        ]
        return ["node", str(self.program), *words, "--host", "127.0.0.1", "--port", str(self.port)]

    def environment(self) -> dict[str, str]:
        return {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}

    def ready(self) -> None:
        import httpx

        httpx.get(f"http://127.0.0.1:{self.port}/", timeout=2, trust_env=False)


class ValidatedPinecone(Pinecone):
    """The emulator behind the proxies, one for each of the two documents."""

    version = f"emulator behind Prism {PRISM}, API 2025-10"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        documents = [SPECS / "db_control_2025-10.oas.yaml", SPECS / "db_data_2025-10.oas.yaml"]
        self.proxies = [Prism(folder / path.stem, path, self.port) for path in documents]

    def command(self) -> Sequence[str]:
        return [*super().command(), *(str(proxy.port) for proxy in self.proxies)]

    def start(self) -> None:
        """Start the proxies, then the emulator."""
        for proxy in self.proxies:
            if not proxy.alive:
                proxy.start()
        super().start()

    def before_kill(self) -> None:
        for proxy in self.proxies:
            proxy.kill()
