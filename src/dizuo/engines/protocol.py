"""The protocol of engines: token ids in, a stream of token ids out.

The gateway renders a conversation to ids with the function that training used and turns ids back into text; an
engine sees ids only. That is what makes "served = trained" checkable, whichever engine answers. This file loads
neither torch nor transformers.

    GenerateRequest ──► Engine.generate ──► Delta, Delta, …, Delta(finish="stop")
    ScoreRequest    ──► Engine.score    ──► log-probabilities of the weighted tokens
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dizuo.errors import ServingError

__all__ = [
    "Delta",
    "Engine",
    "EngineClosed",
    "EngineStats",
    "Finish",
    "GenerateRequest",
    "QueueFull",
    "RequestRefused",
    "Result",
    "Sampling",
    "ScoreRequest",
    "StateEngine",
    "TokenLogprob",
    "generate_all",
    "read_states",
]

T = TypeVar("T")
Finish: TypeAlias = Literal["stop", "length", "cancelled", "deadline", "error"]
"""Why a generation ended: a stop id was drawn, `max_tokens` (or the model's context) was reached, the caller left,
the deadline passed, or the engine failed."""


class QueueFull(ServingError):
    """The engine's bounded queue has no place; try again later (HTTP 429)."""


class RequestRefused(ServingError):
    """A request that can never work, such as a prompt longer than the model's context (HTTP 400)."""


class EngineClosed(ServingError):
    """The engine is closing, closed or broken (HTTP 503)."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn."""

    max_tokens: int = 256
    """Most new tokens, at least 1; the stop token is not counted and not returned."""
    temperature: float = 0.0
    """0 is greedy; otherwise logits are divided by it."""
    top_p: float = 1.0
    """Draw from the smallest set of tokens that holds this much probability, in (0, 1]."""
    top_k: int = 0
    """Draw from the k likeliest tokens; 0 is all of them."""
    seed: int | None = None
    """Same seed, same request: same tokens, whatever else the engine is doing. None draws a fresh seed."""
    stop_ids: tuple[int, ...] = ()
    """Token ids that end the answer."""
    logprobs: int | None = None
    """None: none. 0: the drawn token's. n: the n likeliest alternatives as well. Of the model's own distribution,
    before temperature and cuts; natural logarithm."""

    def __post_init__(self) -> None:
        wrong = []
        if self.max_tokens < 1:
            wrong.append(f"max_tokens must be at least 1, not {self.max_tokens}")
        if not 0 <= self.temperature < float("inf"):
            wrong.append(f"temperature must be a finite number of at least 0, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            wrong.append(f"top_p must be in (0, 1], not {self.top_p}")
        if self.top_k < 0:
            wrong.append(f"top_k must be at least 0, not {self.top_k}")
        if self.logprobs is not None and self.logprobs < 0:
            wrong.append(f"logprobs must be at least 0, not {self.logprobs}")
        if wrong:
            raise RequestRefused("; ".join(wrong))


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """One prompt to go on from."""

    prompt_ids: Sequence[int]
    sampling: Sampling = field(default_factory=Sampling)
    adapter: str | None = None
    """Name of a loaded adapter; None is the base model."""
    deadline: float | None = None
    """Moment on `time.monotonic()` (which never jumps) after which the answer is of no use."""
    id: str = ""
    """The caller's name for the request, for logs."""


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """How likely one drawn token was."""

    id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()
    """(token id, log-probability) of the likeliest tokens, best first."""


@dataclass(frozen=True, slots=True)
class Delta:
    """The next tokens of one answer; the last one carries `finish`."""

    ids: tuple[int, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    """One entry per id when they were asked for."""
    finish: Finish | None = None
    error: str = ""
    """What went wrong, when finish is `error`."""


@dataclass(frozen=True, slots=True)
class Result:
    """A whole answer: all deltas of one request together."""

    ids: tuple[int, ...]
    logprobs: tuple[TokenLogprob, ...]
    finish: Finish
    error: str = ""


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """A sequence, and which of its tokens are to be scored."""

    ids: Sequence[int] | NDArray[np.int32]
    weights: Sequence[float] | NDArray[np.float32]
    """As in `data.rendering.Rendered`: weight[i] > 0 asks for log p(ids[i] | ids[:i])."""
    adapter: str | None = None


@dataclass(frozen=True, slots=True)
class EngineStats:
    """What the engine is doing and has done since it was opened."""

    running: int
    waiting: int
    max_running: int
    max_waiting: int
    finished: Mapping[str, int]
    """Requests by how they ended (see `Finish`)."""
    refused: int
    """Requests turned away with QueueFull."""
    prompt_tokens: int
    """Prompt tokens that went through the model."""
    reused_tokens: int
    """Prompt tokens whose keys and values were taken from another sequence instead."""
    generated_tokens: int
    steps: int
    kv_tokens: int
    """Token places reserved for running requests."""
    max_kv_tokens: int
    details: Mapping[str, str | int | float] = field(default_factory=dict)
    """What this kind of engine can add, such as how it batches and why."""


@runtime_checkable
class Engine(Protocol):
    """A model that answers requests; it may be called from any thread or event loop."""

    @property
    def context_length(self) -> int:
        """Most tokens of prompt and answer together."""

    def generate(self, request: GenerateRequest) -> AsyncGenerator[Delta, None]:
        """Stream the answer; closing the generator (or cancelling its task) cancels the request.

        Raises:
            QueueFull: there are already `max_waiting` requests in the queue.
            RequestRefused: the prompt is empty or too long, or the adapter is not loaded.
            EngineClosed: the engine no longer takes requests.
        """

    async def score(self, requests: Sequence[ScoreRequest]) -> list[NDArray[np.float64]]:
        """Return, per request, the log-probabilities (nats) of its weighted tokens, in order."""

    def adapters(self) -> tuple[str, ...]:
        """Return the names of the loaded adapters, sorted."""

    def load_adapter(self, name: str, folder: Path) -> None:
        """Load a LoRA adapter (PEFT folder) under a name; requests may use it from the next step on."""

    def unload_adapter(self, name: str) -> None:
        """Drop an adapter; refused while requests are using it."""

    def stats(self) -> EngineStats:
        """Return a snapshot."""

    def close(self) -> None:
        """Stop at once: running requests end as `cancelled`. Idempotent."""


@runtime_checkable
class StateEngine(Engine, Protocol):
    """An engine that can also return the hidden states that a head reads."""

    async def states(self, requests: Sequence[ScoreRequest]) -> NDArray[np.float32]:
        """Return [n, D] the state of every request's last token after the final norm; weights are not read."""


def read_states(engine: Engine, requests: Sequence[ScoreRequest]) -> NDArray[np.float32]:
    """Return [n, D] the states of the requests' last tokens, and wait for them.

    Like `generate_all` it works with every such engine and also inside an event loop.

    Raises:
        RequestRefused: the engine gives no states, or a sequence is empty or too long.
    """
    if not isinstance(engine, StateEngine):
        raise RequestRefused("this engine gives no states for a head to read", hint="use the embedded engine")
    return _wait_for(engine.states(requests), thread="dizuo-read-states")


def generate_all(engine: Engine, requests: Sequence[GenerateRequest]) -> list[Result]:
    """Run many requests and wait for all of them; the engine batches them as it can.

    This is the one bridge from ordinary code to the asynchronous protocol. It works with every engine and also when
    the caller already runs inside an event loop.

    Args:
        engine: any engine.
        requests: any number; never more than the engine's queue holds are handed over at once.

    Returns:
        One result per request, in their order. A request that failed has `finish="error"`.

    Raises:
        RequestRefused: a request can never work.
    """
    return _wait_for(_gather(engine, requests), thread="dizuo-generate-all")


def _wait_for(work: Coroutine[None, None, T], *, thread: str) -> T:
    """Run a coroutine in an event loop of its own, on a thread of its own, and return its result."""
    outcome: list[T | BaseException] = []

    def run() -> None:
        try:
            outcome.append(asyncio.run(work))
        except BaseException as error:
            outcome.append(error)

    runner = threading.Thread(target=run, name=thread)
    runner.start()
    runner.join()
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


async def _gather(engine: Engine, requests: Sequence[GenerateRequest]) -> list[Result]:
    stats = engine.stats()
    in_flight = asyncio.Semaphore(max(1, min(stats.max_running + stats.max_waiting // 2, stats.max_waiting)))

    async def answer(request: GenerateRequest) -> Result:
        async with in_flight:
            return await collect(engine, request)

    tasks = [asyncio.ensure_future(answer(request)) for request in requests]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def collect(engine: Engine, request: GenerateRequest) -> Result:
    """Return one whole answer, when it has ended."""
    ids: list[int] = []
    logprobs: list[TokenLogprob] = []
    async for delta in engine.generate(request):
        ids += delta.ids
        logprobs += delta.logprobs
        if delta.finish is not None:
            return Result(tuple(ids), tuple(logprobs), delta.finish, delta.error)
    raise EngineClosed("the engine ended an answer without saying why")
