"""A tiny model, its bundles, a registry of its own, and a real server on a free port."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from serving_models import TASK, adapter_folder, model_folder

from dizuo.serving.bundle.files import Bundle, write
from dizuo.serving.options import ServeOptions


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home folder of the session's own, for cache and registry."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIZUO_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def spec(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tiny model's facts."""
    from dizuo import models

    return models.inspect(model_folder(tmp_path_factory.mktemp("models") / "tiny-llama"))


@pytest.fixture(scope="session")
def adapter(spec: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return adapter_folder(Path(spec.folder), tmp_path_factory.mktemp("adapters") / "adapter")


@pytest.fixture(scope="session")
def bundle(spec: Any, adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A classification bundle with an adapter."""
    return write(tmp_path_factory.mktemp("bundles") / "news", name="news", spec=spec, adapter=adapter, task=TASK)


class Server:
    """A gateway on a free port of this machine, in a thread; a real socket, real uvicorn."""

    def __init__(self, bundle: Bundle, options: ServeOptions, keys: dict[str, bytes], engine_options: Any) -> None:
        import uvicorn

        from dizuo.serving.gateway.application import Gateway, build_application
        from dizuo.serving.gateway.security import Gatekeeper
        from dizuo.serving.opening import open_service

        self.service = open_service(bundle, options=engine_options)
        self.engine = self.service.engine
        self.spec_folder, self.adapter_folder = bundle.spec().folder, str(bundle.adapter)
        self.gateway = Gateway({self.service.name: self.service}, options, Gatekeeper(keys, options))
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        config = uvicorn.Config(build_application(self.gateway), log_config=None, lifespan="off", access_log=False)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        self.client = httpx.Client(base_url=self.url, timeout=60)
        while not self.server.started:
            assert self.thread.is_alive()
            time.sleep(0.001)

    def _run(self) -> None:
        asyncio.run(self.server.serve(sockets=[self.socket]))

    def chat(self, text: str = "hello", **more: Any) -> httpx.Response:
        body = {"model": self.service.name, "messages": [{"role": "user", "content": text}], **more}
        return self.client.post("/v1/chat/completions", json=body)

    def close(self) -> None:
        self.client.close()
        self.server.should_exit = True
        self.thread.join(20)
        self.service.close()
        self.socket.close()
        assert not self.thread.is_alive()


@pytest.fixture
def start(bundle: Bundle) -> Iterator[Callable[..., Server]]:
    """Return a starter of servers; they end with the test."""
    from dizuo.engines import EngineOptions

    with ExitStack() as stack:

        def make(served: Bundle = bundle, *, keys: dict[str, bytes] | None = None, **changes: Any) -> Server:
            engine = EngineOptions(**{k: changes.pop(k) for k in ("max_running", "max_waiting") if k in changes})
            server = Server(served, ServeOptions(**changes), keys or {}, engine)
            stack.callback(server.close)
            return server

        yield make


@pytest.fixture(scope="module")
def server(bundle: Bundle) -> Iterator[Server]:
    """One server for tests that change nothing."""
    from dizuo.engines import EngineOptions

    made = Server(bundle, ServeOptions(), {}, EngineOptions())
    yield made
    made.close()
