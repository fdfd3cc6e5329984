"""`serve` as a process of its own: it says where it is, answers, drains, and survives kill -9 of itself."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving_models import events

from dizuo.errors import ServingError
from dizuo.serving import ServeOptions, serve
from dizuo.serving.bundle.files import Bundle
from dizuo.serving.registry import Registry

PROGRAM = """
import sys, time
from dizuo.serving import ServeOptions, serve
if sys.argv[2] != "0":
    from dizuo.engines.kinds.embedded import packed
    forward = packed.forward
    def slowly(*args, **more):
        time.sleep(float(sys.argv[2]))
        return forward(*args, **more)
    packed.forward = slowly
serve(sys.argv[1], options=ServeOptions(port=0, drain=20), watch=lambda e: print(getattr(e, "text", ""), flush=True))
print("ended", flush=True)
"""


class Process:
    """A server in a process of its own."""

    def __init__(self, name: str, *, step_seconds: float = 0) -> None:
        command = [sys.executable, "-c", PROGRAM, name, str(step_seconds)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("serving "):
                self.said = line.strip()
                self.url = self.said.rpartition(" at ")[2]
                break
        else:
            raise AssertionError("the server never came up")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(20)
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def registered(home: Path, bundle: Bundle) -> str:
    """A name in the registry of the session's home."""
    if "news" not in Registry().names():
        Registry().register(bundle)
    return "news"


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    made: list[Process] = []
    yield made
    for process in made:
        process.stop()


BODY = {"model": "news", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 40}


@pytest.mark.slow
def test_sigterm_lets_a_running_answer_end_and_takes_no_new_one(registered: str, processes: list[Process]) -> None:
    server = Process(registered, step_seconds=0.05)
    processes.append(server)
    assert server.said.startswith("serving news@1 at http://127.0.0.1:")
    got: list[Any] = []

    def read() -> None:
        answer = httpx.post(f"{server.url}/chat/completions", json={**BODY, "stream": True}, timeout=30)
        got.extend(events(answer.text.split("\n\n")))

    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(0.7)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/models")
    reader.join(30)
    assert got[-1] == "[DONE]"
    assert got[-2]["choices"][0]["finish_reason"] == "length"
    assert server.process.wait(20) == 0
    assert server.process.stdout is not None
    assert server.process.stdout.read().split() == ["ended"], "serve returns, and what follows it runs"


@pytest.mark.slow
def test_after_kill_9_the_next_server_answers_the_same(registered: str, processes: list[Process]) -> None:
    answers = []
    for _ in range(2):
        server = Process(registered)
        processes.append(server)
        answers.append(httpx.post(f"{server.url}/chat/completions", json=BODY, timeout=30).json()["choices"])
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
    assert answers[0] == answers[1]


@pytest.mark.slow
def test_the_official_client_reads_our_answers(registered: str, processes: list[Process]) -> None:
    openai = pytest.importorskip("openai")
    server = Process(registered)
    processes.append(server)
    with openai.OpenAI(base_url=server.url, api_key="not-needed", max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["news"]
        whole = client.chat.completions.create(**BODY, logprobs=True, top_logprobs=2)
        assert whole.usage.completion_tokens == len(whole.choices[0].logprobs.content) == 40
        parts = list(client.chat.completions.create(**BODY, stream=True, stream_options={"include_usage": True}))
        text = "".join(part.choices[0].delta.content or "" for part in parts if part.choices)
        assert text == whole.choices[0].message.content
        assert parts[-1].usage == whole.usage
        with pytest.raises(openai.BadRequestError, match="n is not supported by this server"):
            client.chat.completions.create(**BODY, n=2)
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(**{**BODY, "model": "gpt-4o"})


def test_a_taken_port_is_known_before_anything_is_loaded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServingError, match=f"127.0.0.1:{port} cannot be bound: Address already in use"):
            serve("no-such-model", options=ServeOptions(port=port))


def test_a_name_that_is_not_registered_is_said_so(home: Path) -> None:
    with pytest.raises(ServingError, match="nothing is registered as 'no-such-model'"):
        serve("no-such-model", options=ServeOptions(port=0))


def test_importing_serving_and_its_options_loads_nothing_heavy() -> None:
    code = (
        "import sys, dizuo.serving, dizuo.serving.options; from dizuo.serving import ServeOptions; "
        "print(sorted({'torch', 'transformers', 'numpy', 'starlette', 'uvicorn'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_public_names_are_sorted_and_all_bind() -> None:
    from dizuo import serving

    assert list(serving.__all__) == sorted(serving.__all__)
    assert all(getattr(serving, name) is not None for name in serving.__all__)
    assert json.dumps(list(serving.__all__)) == json.dumps(dir(serving))
