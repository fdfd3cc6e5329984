"""The OpenAI-compatible API over services: routes, errors, request ids, and clients that leave.

    POST /v1/chat/completions   streaming and not
    POST /v1/classify           label and probabilities, by the task the model was trained for
    GET  /v1/models /health /ready

The gateway turns messages into token ids and ids into text; the engine sees ids only. It is a plain ASGI
application: `application(...)` can be mounted anywhere, `server.py` runs it on uvicorn.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from dizuo.engines import RequestRefused
from dizuo.serving.gateway.api_errors import ApiError, from_exception
from dizuo.serving.gateway.openai_requests import ChatRequest, parse_chat, parse_classify
from dizuo.serving.gateway.openai_responses import Answer, chunk, completion, usage_chunk
from dizuo.serving.gateway.security import Gatekeeper
from dizuo.serving.gateway.transport import ClientGone, Door, EventStream, fault_response, read_json, unless_gone
from dizuo.serving.options import ServeOptions
from dizuo.serving.service import DeadlinePassed, NoLabels, Piece, Service

__all__ = ["Gateway", "application"]

log = logging.getLogger("dizuo.serving")


@dataclass(slots=True)
class Gateway:
    """What the routes share."""

    services: Mapping[str, Service]
    """By the name that requests use."""
    options: ServeOptions
    gatekeeper: Gatekeeper
    draining: bool = False
    versions: Mapping[str, str] = field(default_factory=dict)
    """Name → full reference, such as tickets → tickets@3."""

    def service(self, model: str | None) -> Service:
        """Return the service a request means.

        Raises:
            ApiError: 404, listing what is served.
        """
        if model is None and len(self.services) == 1:
            return next(iter(self.services.values()))
        for name, service in self.services.items():
            if model in (name, self.versions.get(name)):
                return service
        served = ", ".join(repr(name) for name in self.services)
        raise ApiError(
            404,
            f"the model {model!r} is not served here; served: {served}",
            param="model",
            code="model_not_found",
        )


def application(gateway: Gateway) -> ASGIApp:
    """Return the ASGI application."""
    app = Starlette(
        routes=[
            Route("/v1/chat/completions", _answering(_chat), methods=["POST"]),
            Route("/v1/classify", _answering(_classify), methods=["POST"]),
            Route("/v1/models", _models, methods=["GET"]),
            Route("/v1/models/{model:path}", _answering(_model), methods=["GET"]),
            Route("/health", _health, methods=["GET"]),
            Route("/ready", _ready, methods=["GET"]),
        ],
        exception_handlers={HTTPException: _on_http},
    )
    app.state.gateway = gateway
    return Door(app, gateway.gatekeeper)


# ---- routes


async def _health(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _ready(request: Request) -> Response:
    gateway: Gateway = request.app.state.gateway
    if gateway.draining:
        return JSONResponse({"status": "draining"}, 503, {"Retry-After": "5"})
    return JSONResponse({"status": "ready", "models": sorted(gateway.services)})


async def _models(request: Request) -> Response:
    gateway: Gateway = request.app.state.gateway
    return JSONResponse({"object": "list", "data": [_card(gateway, name) for name in gateway.services]})


async def _model(request: Request) -> Response:
    gateway: Gateway = request.app.state.gateway
    service = gateway.service(request.path_params["model"])
    return JSONResponse(_card(gateway, service.name))


def _card(gateway: Gateway, name: str) -> dict[str, Any]:
    service = gateway.services[name]
    return {
        "id": name,
        "object": "model",
        "created": service.created,
        "owned_by": "dizuo",
        "release": gateway.versions.get(name, name),
        "context_length": service.engine.context_length,
    }


async def _chat(request: Request) -> Response:
    gateway: Gateway = request.app.state.gateway
    wanted = parse_chat(await read_json(request, gateway.options.max_body_bytes))
    service = gateway.service(wanted.model)
    if service.head is not None:
        raise ApiError(
            422,
            f"{service.name} was trained to answer with a head, not with text; ask it through /v1/classify",
            param="model",
            code="not_a_chat_model",
        )
    deadline = time.monotonic() + gateway.options.timeout
    prompt_ids = await service.prompt(wanted.messages)
    sampling = service.sampling(
        len(prompt_ids),
        max_tokens=wanted.max_tokens,
        temperature=wanted.temperature,
        top_p=wanted.top_p,
        top_k=wanted.top_k,
        seed=wanted.seed,
        logprobs=wanted.logprobs,
    )
    pieces = service.answer(
        prompt_ids, sampling, stop=wanted.stop, deadline=deadline, request_id=request.state.request_id
    )
    answer = Answer.of(service, wanted.model, num_prompt_tokens=len(prompt_ids))
    if not wanted.stream:
        return JSONResponse(await unless_gone(request, _collect(service, wanted, answer, pieces)))
    # The first piece decides the status: a full queue must be a 429, not a stream that breaks off.
    first = await unless_gone(request, anext(pieces))
    return EventStream(_events(service, wanted, answer, first, pieces))


async def _collect(service: Service, wanted: ChatRequest, answer: Answer, pieces: Any) -> dict[str, Any]:
    text, logprobs, tokens, finish = [], [], 0, None
    async with aclosing(pieces):
        async for piece in pieces:
            text.append(piece.text)
            logprobs += piece.logprobs
            tokens += piece.num_tokens
            finish = piece.finish
    entries = None if wanted.logprobs is None else logprobs
    return completion(service, answer, "".join(text), entries, finish=finish, num_tokens=tokens)


async def _events(
    service: Service, wanted: ChatRequest, answer: Answer, first: Piece, pieces: AsyncGenerator[Piece, None]
) -> AsyncGenerator[str, None]:
    """Write the stream's events; a fault in the middle is an event of its own, and no [DONE] follows."""
    async with aclosing(pieces):
        try:
            usage = wanted.include_usage
            yield _event(chunk(service, answer, role=True, include_usage=usage))
            tokens, held = 0, ()  # type: int, tuple[Any, ...]
            piece: Piece | None = first
            while piece is not None:
                tokens += piece.num_tokens
                held = (*held, *piece.logprobs)
                if piece.text or piece.finish is not None:
                    entries = None if wanted.logprobs is None else held
                    if piece.text or entries:
                        yield _event(chunk(service, answer, text=piece.text, logprobs=entries, include_usage=usage))
                    held = ()
                if piece.finish is not None:
                    yield _event(chunk(service, answer, finish=piece.finish, include_usage=usage))
                    break
                piece = await anext(pieces, None)
            if usage:
                yield _event(usage_chunk(service, answer, tokens))
            yield "data: [DONE]\n\n"
        except Exception as error:
            yield _event(_fault(error).body())


async def _classify(request: Request) -> Response:
    gateway: Gateway = request.app.state.gateway
    wanted = parse_classify(await read_json(request, gateway.options.max_body_bytes))
    service = gateway.service(wanted.model)
    deadline = gateway.options.timeout

    async def work() -> dict[str, Any]:
        data, tokens = [], 0
        for index, text in enumerate(wanted.inputs):
            try:
                found = await service.classify(text)
            except RequestRefused as error:
                param = f"input[{index}]" if wanted.is_list else "input"
                raise ApiError(400, error.message, param=param, code="context_length_exceeded") from error
            tokens += found.num_prompt_tokens
            entry = {"index": index, "label": found.label, "probabilities": dict(found.probabilities)}
            if found.labels is not None:
                entry["labels"] = list(found.labels)
            if found.value is not None:
                entry["value"] = found.value
            data.append(entry)
        return {
            "id": f"classify-{uuid.uuid4().hex}",
            "object": "list",
            "created": int(time.time()),
            "model": wanted.model or service.name,
            "data": data,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }

    try:
        return JSONResponse(await unless_gone(request, asyncio.wait_for(work(), deadline)))
    except TimeoutError:
        raise DeadlinePassed("the request took longer than it may") from None


# ---- faults


def _event(value: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n\n"


def _fault(error: Exception) -> ApiError:
    if isinstance(error, DeadlinePassed):
        return ApiError(503, str(error), code="deadline_exceeded", headers={"Retry-After": "5"})
    if isinstance(error, NoLabels):
        return ApiError(422, f"{error.message}; {error.hint}", param="model", code="not_a_classifier")
    fault = from_exception(error)
    if fault.status == 500:
        log.error("request failed", exc_info=error)
    return fault


def _answering(work: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Turn every fault of a route into an answer.

    Not an exception handler of Starlette's: it raises unknown exceptions again, and the connection breaks.
    """

    @functools.wraps(work)
    async def route(request: Request) -> Response:
        try:
            return await work(request)
        except ClientGone:
            return Response(status_code=499)  # nobody reads it; the access log does
        except HTTPException:
            raise
        except Exception as error:
            return fault_response(_fault(error))

    return route


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path, method = request.url.path, request.method
    text = {
        404: f"there is nothing at {path}; see /v1/models, /v1/chat/completions, /v1/classify",
        405: f"{path} does not take {method}",
    }.get(error.status_code, str(error.detail))
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code)
    return fault_response(ApiError(error.status_code, text, code=code, headers=error.headers))
