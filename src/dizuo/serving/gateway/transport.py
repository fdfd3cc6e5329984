"""What the routes need of HTTP: bodies within bounds, event streams, errors, and clients that leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from typing import NoReturn, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from dizuo.records import Json
from dizuo.serving.gateway.api_errors import ApiError

__all__ = ["ClientGone", "EventStream", "error_response", "read_json", "wait_while_connected"]

T = TypeVar("T")


async def read_json(request: Request, limit: int) -> Json:
    """Return the body as JSON; at most `limit` bytes are read.

    Raises:
        ApiError: 415, 413 or 400, where it is not JSON or too large.
    """
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
        value: Json = json.loads(bytes(body), parse_constant=_refuse_constant)
        return value
    except UnicodeDecodeError:
        raise ApiError(400, "the body is not UTF-8", code="invalid_json") from None
    except RecursionError:
        raise ApiError(400, "the body is nested too deeply", code="invalid_json") from None
    except ValueError as error:
        raise ApiError(400, f"the body is not JSON: {error}", code="invalid_json") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


class ClientGone(Exception):
    """The client closed the connection."""


async def wait_while_connected(request: Request, work: Awaitable[T]) -> T:
    """Return the result of some work, which is cancelled when the client leaves.

    Raises:
        ClientGone: the client left first.
    """

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
        for job in (task, watcher):
            if not job.done():
                job.cancel()
        await asyncio.gather(task, watcher, return_exceptions=True)


class EventStream(Response):
    """Sends server-sent events until they end or the client leaves.

    The generator is closed, and with it the engine's request, as soon as the client is gone: when the connection says
    so, or when a send fails.
    """

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
            for job in (writer, watcher):
                job.cancel()
            await asyncio.gather(writer, watcher, return_exceptions=True)


def error_response(error: ApiError) -> Response:
    """Return an error in OpenAI's form."""
    return JSONResponse(error.body(), error.status, error.headers)
