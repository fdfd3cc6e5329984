"""The outermost layer of the application gives every request an id, checks who asks, and writes the access log."""

from __future__ import annotations

import json
import logging
import re
import time
import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dizuo.serving.gateway.api_errors import ApiError
from dizuo.serving.gateway.security import Gatekeeper
from dizuo.serving.gateway.transport import error_response

__all__ = ["AccessLayer"]

log = logging.getLogger("dizuo.serving")
_OPEN_PATHS = {"/health", "/ready"}
"""Answered to anybody: they say nothing about models or requests."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
"""A request id that a client may choose itself."""


class AccessLayer:
    """Wraps the application: every request passes here first, and its answer last.

    Args:
        app: the routes.
        gatekeeper: decides who may ask.
    """

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
                await error_response(error)(scope, receive, send_with_id)
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
