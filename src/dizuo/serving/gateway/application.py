"""The routes of the OpenAI-compatible API, and what each does with a request.

    POST /v1/chat/completions   streaming and not
    POST /v1/classify           label and probabilities, by the task the model was trained for
    GET  /v1/models /health /ready

    body ──► openai_requests ──► Service.prompt, sampling, answer ──► openai_responses ──► JSON, or an event stream

The application is plain ASGI: what `build_application` returns can be mounted anywhere; `server.py` runs it on uvicorn.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from dizuo.data.rendering.calls import Calls
from dizuo.engines import RequestRefused, TokenLogprob
from dizuo.records import Json
from dizuo.serving.gateway.access import AccessLayer
from dizuo.serving.gateway.api_errors import ApiError, map_exception
from dizuo.serving.gateway.openai_requests import ChatRequest, parse_chat, parse_classify
from dizuo.serving.gateway.openai_responses import (
    Answer,
    begin_answer,
    build_chunk,
    build_classification,
    build_completion,
    build_usage_chunk,
)
from dizuo.serving.gateway.security import Gatekeeper
from dizuo.serving.gateway.transport import ClientGone, EventStream, error_response, read_json, wait_while_connected
from dizuo.serving.options import ServeOptions
from dizuo.serving.service import Classified, DeadlinePassed, Piece, Service

__all__ = ["Gateway", "build_application"]

log = logging.getLogger("dizuo.serving")


@dataclass(slots=True)
class Gateway:
    """What the routes share: the models that are served, settings, and who may ask."""

    services: Mapping[str, Service]
    """By the name that requests use."""
    options: ServeOptions
    gatekeeper: Gatekeeper
    draining: bool = False
    """Whether the server is about to stop: it finishes its answers and is no longer ready."""
    releases: Mapping[str, str] = field(default_factory=dict)
    """Full reference by name, such as `tickets@3` by `tickets`."""

    def service(self, model: str | None) -> Service:
        """Return the service that a request names; where one model is served it need not name any.

        Raises:
            ApiError: 404, listing what is served.
        """
        if model is None and len(self.services) == 1:
            return next(iter(self.services.values()))
        for name, service in self.services.items():
            if model in (name, self.releases.get(name)):
                return service
        served = ", ".join(repr(name) for name in self.services)
        raise ApiError(
            404,
            f"the model {model!r} is not served here; served: {served}",
            param="model",
            code="model_not_found",
        )


def build_application(gateway: Gateway) -> ASGIApp:
    """Return the ASGI application over a gateway's services."""
    app = Starlette(
        routes=[
            Route("/v1/chat/completions", _catching(_chat), methods=["POST"]),
            Route("/v1/classify", _catching(_classify), methods=["POST"]),
            Route("/v1/models", _models, methods=["GET"]),
            Route("/v1/models/{model:path}", _catching(_model), methods=["GET"]),
            Route("/health", _health, methods=["GET"]),
            Route("/ready", _ready, methods=["GET"]),
        ],
        exception_handlers={HTTPException: _refuse_path},
    )
    app.state.gateway = gateway
    return AccessLayer(app, gateway.gatekeeper)


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
    return JSONResponse({"object": "list", "data": [_describe(gateway, name) for name in gateway.services]})


async def _model(request: Request) -> Response:
    gateway: Gateway = request.app.state.gateway
    service = gateway.service(request.path_params["model"])
    return JSONResponse(_describe(gateway, service.name))


def _describe(gateway: Gateway, name: str) -> dict[str, Json]:
    service = gateway.services[name]
    return {
        "id": name,
        "object": "model",
        "created": service.created,
        "owned_by": "dizuo",
        "release": gateway.releases.get(name, name),
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
    prompt_ids = await service.prompt(wanted.messages, wanted.tools, thinking=wanted.thinking)
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
    answer = begin_answer(service, wanted.model, num_prompt_tokens=len(prompt_ids))
    if not wanted.stream:
        return JSONResponse(await wait_while_connected(request, _collect(wanted, answer, pieces)))
    # The first piece decides the status: a full queue must be a 429, not a stream that breaks off.
    first = await wait_while_connected(request, anext(pieces))
    return EventStream(_stream(wanted, answer, first, pieces))


async def _collect(wanted: ChatRequest, answer: Answer, pieces: AsyncGenerator[Piece, None]) -> dict[str, Json]:
    """Return the whole answer as one JSON object."""
    whole = await _gather(pieces)
    text, calls, finish = await _with_calls(wanted, answer, whole)
    entries = None if wanted.logprobs is None else whole.logprobs
    return build_completion(answer, text, entries, finish=finish, num_tokens=whole.num_tokens, calls=calls)


def _may_call(wanted: ChatRequest, answer: Answer) -> bool:
    """Return whether an answer may be a call: the request has tools, or the model learnt to call without."""
    task = answer.service.task
    return bool(wanted.tools) or (task is not None and task.calls)


async def _gather(pieces: AsyncGenerator[Piece, None]) -> Piece:
    """Return all pieces of an answer as one."""
    gathered: list[Piece] = []
    async with aclosing(pieces):
        async for piece in pieces:
            gathered.append(piece)
    return Piece(
        text="".join(piece.text for piece in gathered),
        logprobs=tuple(entry for piece in gathered for entry in piece.logprobs),
        num_tokens=sum(piece.num_tokens for piece in gathered),
        finish=gathered[-1].finish if gathered else None,
        ids=tuple(token for piece in gathered for token in piece.ids),
    )


async def _with_calls(wanted: ChatRequest, answer: Answer, whole: Piece) -> tuple[str, Calls, str | None]:
    """Return a whole answer's text, its calls where there may be some, and why it ended."""
    if not _may_call(wanted, answer):
        return whole.text, (), whole.finish
    text, calls = await answer.service.read_calls(whole.ids, wanted.tools)
    return (text, calls, "tool_calls") if calls else (whole.text, (), whole.finish)


async def _stream(
    wanted: ChatRequest, answer: Answer, first: Piece, pieces: AsyncGenerator[Piece, None]
) -> AsyncGenerator[str, None]:
    """Yield the answer's events; an error in the middle is an event of its own, and no [DONE] follows."""
    async with aclosing(pieces):
        try:
            usage = wanted.include_usage
            yield _event(build_chunk(answer, role=True, include_usage=usage))
            if _may_call(wanted, answer):
                async for event in _stream_calls(wanted, answer, first, pieces):
                    yield event
                return
            num_tokens = 0
            held: tuple[TokenLogprob, ...] = ()  # of tokens whose text is still held back
            piece: Piece | None = first
            while piece is not None:
                num_tokens += piece.num_tokens
                held = (*held, *piece.logprobs)
                if piece.text or piece.finish is not None:
                    entries = None if wanted.logprobs is None else held
                    if piece.text or entries:
                        yield _event(build_chunk(answer, text=piece.text, logprobs=entries, include_usage=usage))
                    held = ()
                if piece.finish is not None:
                    yield _event(build_chunk(answer, finish=piece.finish, include_usage=usage))
                    break
                piece = await anext(pieces, None)
            if usage:
                yield _event(build_usage_chunk(answer, num_tokens))
            yield "data: [DONE]\n\n"
        except Exception as error:
            yield _event(_to_client(error).body())


async def _stream_calls(
    wanted: ChatRequest, answer: Answer, first: Piece, pieces: AsyncGenerator[Piece, None]
) -> AsyncGenerator[str, None]:
    """Yield the events of an answer that may be calls: what it is shows when it is whole."""

    async def every() -> AsyncGenerator[Piece, None]:
        yield first
        if first.finish is None:
            async for piece in pieces:
                yield piece

    whole, usage = await _gather(every()), wanted.include_usage
    text, calls, finish = await _with_calls(wanted, answer, whole)
    entries = None if wanted.logprobs is None else whole.logprobs
    if text or entries:
        yield _event(build_chunk(answer, text=text, logprobs=entries, include_usage=usage))
    if calls:
        yield _event(build_chunk(answer, calls=calls, include_usage=usage))
    yield _event(build_chunk(answer, finish=finish, include_usage=usage))
    if usage:
        yield _event(build_usage_chunk(answer, whole.num_tokens))
    yield "data: [DONE]\n\n"


async def _classify(request: Request) -> Response:
    gateway: Gateway = request.app.state.gateway
    wanted = parse_classify(await read_json(request, gateway.options.max_body_bytes))
    service = gateway.service(wanted.model)

    async def classify_all() -> list[Classified]:
        answers = []
        for index, text in enumerate(wanted.inputs):
            try:
                answers.append(await service.classify(text))
            except RequestRefused as error:
                param = f"input[{index}]" if wanted.is_list else "input"
                raise ApiError(400, error.message, param=param, code="context_length_exceeded") from error
        return answers

    work = asyncio.wait_for(classify_all(), gateway.options.timeout)
    try:
        answers = await wait_while_connected(request, work)
    except TimeoutError:
        raise DeadlinePassed("the request took longer than it may") from None
    return JSONResponse(build_classification(answers, wanted.model or service.name))


# ---- errors


def _event(value: Mapping[str, Json]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n\n"


def _to_client(error: Exception) -> ApiError:
    """Return what the client is told; what only we should know goes to the log."""
    told = map_exception(error)
    if told.status == 500:
        log.error("request failed", exc_info=error)
    return told


def _catching(work: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Return a route whose exceptions become answers.

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
            return error_response(_to_client(error))

    return route


async def _refuse_path(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path, method = request.url.path, request.method
    text = {
        404: f"there is nothing at {path}; see /v1/models, /v1/chat/completions, /v1/classify",
        405: f"{path} does not take {method}",
    }.get(error.status_code, str(error.detail))
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code)
    return error_response(ApiError(error.status_code, text, code=code, headers=error.headers))
