"""Between HTTP and the routes: who gets in, bodies within bounds, event streams, and clients that leave."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dizuo.serving.gateway.api_errors import ApiError
from dizuo.serving.gateway.security import Gatekeeper

__all__ = ["ClientGone", "Door", "EventStream", "fault_response", "read_json", "unless_gone"]

log = logging.getLogger("dizuo.serving")
T = TypeVar("T")
_OPEN_PATHS = {"/health", "/ready"}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class Door:
    """Outermost layer: gives every request an id, checks who asks, writes the access log."""

    def __init__(self, app: ASGIApp, gatekeeper: Gatekeeper) -> None:
        self.app = app
        self.gatekeeper = gatekeeper

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.monotonic()
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        status, key = 0, ""

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (b"x-request-id", request_id.encode())]}
            await send(message)

        try:
            try:
                if scope["path"] not in _OPEN_PATHS:
                    key = self.gatekeeper.admit(headers)
            except ApiError as error:
                await fault_response(error)(scope, receive, send_with_id)
            else:
                await self.app(scope, receive, send_with_id)
        finally:
            entry = {
                "request_id": request_id,
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "seconds": round(time.monotonic() - started, 4),
                "key": key,
            }
            log.info("%s", json.dumps(entry, ensure_ascii=False))


async def read_json(request: Request, limit: int) -> Any:
    """Return the body as JSON, never reading more than the limit."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(
            415,
            f"send the body with 'Content-Type: application/json', not {kind or 'none'!r}",
            code="unsupported_media",
        )
    too_large = ApiError(413, f"the body is larger than {limit:,} bytes", code="body_too_large")
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit:
        raise too_large
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limit:
            raise too_large
    try:
        return json.loads(bytes(body), parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise ApiError(400, "the body is not UTF-8", code="invalid_json") from None
    except RecursionError:
        raise ApiError(400, "the body is nested too deeply", code="invalid_json") from None
    except ValueError as error:
        raise ApiError(400, f"the body is not JSON: {error}", code="invalid_json") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


class ClientGone(Exception):
    """The client closed the connection."""


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """Wait for something, and cancel it when the client leaves."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    task, watcher = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        await asyncio.wait({task, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientGone
    finally:
        for one in (task, watcher):
            if not one.done():
                one.cancel()
        await asyncio.gather(task, watcher, return_exceptions=True)


class EventStream(Response):
    """Server-sent events. The generator is closed, and with it the engine's request, as soon as the client is gone:
    when the connection says so, or when a send fails."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[str, None]) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self.events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def write() -> None:
            async with aclosing(self.events):
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                async for event in self.events:
                    await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        writer, watcher = asyncio.ensure_future(write()), asyncio.ensure_future(gone())
        try:
            await asyncio.wait({writer, watcher}, return_when=asyncio.FIRST_COMPLETED)
            if writer.done() and not isinstance(writer.exception(), OSError | None):
                raise writer.exception()  # type: ignore[misc]
        finally:
            for one in (writer, watcher):
                one.cancel()
            await asyncio.gather(writer, watcher, return_exceptions=True)


def fault_response(fault: ApiError) -> Response:
    """Return an error in OpenAI's form."""
    return JSONResponse(fault.body(), fault.status, fault.headers)
