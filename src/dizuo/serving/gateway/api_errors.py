"""Errors of the API have the form that OpenAI's clients understand."""

from __future__ import annotations

from collections.abc import Mapping

from dizuo.engines import EngineClosed, QueueFull, RequestRefused
from dizuo.errors import DataError, DizuoError
from dizuo.records import Json
from dizuo.serving.service import DeadlinePassed, NoLabels

__all__ = ["ApiError", "map_exception"]

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


class ApiError(Exception):
    """An error that is answered to the client.

    Args:
        status: HTTP status.
        message: what is wrong and what to do, for the person who sent the request.
        param: the field of the request it is about, such as `messages[1].content`.
        code: a word that programs can compare.
        headers: further HTTP headers.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.headers = dict(headers or {})
        super().__init__(message)

    def body(self) -> dict[str, Json]:
        """Return the JSON body."""
        kind = _TYPES.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


def map_exception(error: Exception) -> ApiError:
    """Return what the client is told of an exception; nothing internal is told.

    A full queue is 429, a request that cannot work 400, a closing engine or a passed deadline 503, a conversation that
    the template refuses or a model that cannot answer it 422, and everything else 500.
    """
    if isinstance(error, ApiError):
        return error
    if isinstance(error, QueueFull):
        return ApiError(
            429,
            "the server is busy: its queue is full; try again in a moment",
            code="queue_full",
            headers={"Retry-After": "1"},
        )
    if isinstance(error, RequestRefused):
        code = "context_length_exceeded" if "exceed" in error.message else None
        return ApiError(400, _one_line(error), param="messages" if code else None, code=code)
    if isinstance(error, EngineClosed):
        return ApiError(503, "the server is shutting down", code="unavailable", headers={"Retry-After": "5"})
    if isinstance(error, DeadlinePassed):
        return ApiError(503, error.message, code="deadline_exceeded", headers={"Retry-After": "5"})
    if isinstance(error, NoLabels):
        return ApiError(422, _one_line(error), param="model", code="not_a_classifier")
    if isinstance(error, DataError):
        return ApiError(422, _one_line(error), param="messages", code="template_refused")
    return ApiError(500, "the server failed on this request; its log has the reason", code="internal_error")


def _one_line(error: DizuoError) -> str:
    return error.message if error.hint is None else f"{error.message}; {error.hint}"
