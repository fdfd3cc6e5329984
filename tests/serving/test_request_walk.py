"""A chat request on its way: which rooms it passes, in which order, and that it is never handed back up."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import httpx

import dizuo
from dizuo.serving.bundle.files import Bundle
from dizuo.serving.gateway.application import Gateway, build_application
from dizuo.serving.gateway.security import Gatekeeper
from dizuo.serving.opening import open_service
from dizuo.serving.options import ServeOptions

HOME = Path(str(dizuo.__file__)).parent
DOWNWARDS = ["serving.gateway", "serving", "engines", "engines.kinds.embedded", "trees", "data.rendering", "records"]
"""The rooms that a request may pass; it is only ever handed to one further down."""


def room_of(code: CodeType) -> str | None:
    """Return the package of a function of ours; a file at the root is a room of its own."""
    path = Path(code.co_filename)
    if not path.is_relative_to(HOME):
        return None
    inner = path.relative_to(HOME)
    return ".".join(inner.parent.parts) or inner.stem


@contextmanager
def following(handed: list[tuple[str, str]]) -> Iterator[Callable[[], None]]:
    """Note every call from one room into another, on every thread that begins now; it starts when told to."""
    started = threading.Event()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event != "call" or not started.is_set() or (room := room_of(frame.f_code)) is None:
            return
        caller = frame.f_back
        while caller is not None and room_of(caller.f_code) is None:
            caller = caller.f_back
        above = room_of(caller.f_code) if caller is not None else None
        if above is not None and above != room and (above, room) not in handed:
            handed.append((above, room))

    before = sys.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield started.set
    finally:
        sys.setprofile(before)
        threading.setprofile(None)


def test_a_chat_request_passes_few_rooms_and_is_never_handed_back_up(bundle: Bundle) -> None:
    handed: list[tuple[str, str]] = []
    body = {"model": "news", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4, "stop": ["zz"]}

    async def ask(app: Any, times: int) -> list[int]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return [(await client.post("/v1/chat/completions", json=body)).status_code for _ in range(times)]

    with following(handed) as start:
        service = open_service(bundle)
        try:
            options = ServeOptions()
            app = build_application(Gateway({"news": service}, options, Gatekeeper({}, options)))
            assert asyncio.run(ask(app, 1)) == [200]  # what is imported on the way is not part of it
            start()
            assert asyncio.run(ask(app, 1)) == [200]
        finally:
            service.close()
    rooms = {room for pair in handed for room in pair}
    assert {"serving.gateway", "serving", "data.rendering", "engines.kinds.embedded"} <= rooms <= set(DOWNWARDS)
    assert [pair for pair in handed if DOWNWARDS.index(pair[0]) >= DOWNWARDS.index(pair[1])] == []
