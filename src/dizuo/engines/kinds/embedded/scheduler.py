"""The worker thread: which requests take part in the next step, and what their next tokens are.

Continuous batching: between any two steps, requests that ended leave and waiting ones enter. A step holds one token
of every request that is answering, and fills up with chunks of the prompts that are still being read, up to
`step_tokens`. Everything a caller can do (submit, cancel, call) is a message to this thread, so the model is only
ever touched here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch

from dizuo.engines.kinds.embedded.backends import Backend, Memory, Work
from dizuo.engines.kinds.embedded.sampling import draw, logprob_of
from dizuo.engines.options import EngineOptions
from dizuo.engines.protocol import Delta, EngineClosed, EngineStats, Finish, GenerateRequest, QueueFull
from dizuo.errors import ModelError

__all__ = ["ScheduledRequest", "Scheduler"]

log = logging.getLogger("dizuo.engines")
T = TypeVar("T")
WORTH_WAITING = 16
"""A shared prefix of this many tokens is worth waiting one step for, until the first request has computed it."""


@dataclass(slots=True, eq=False)
class ScheduledRequest:
    """One request on its way."""

    request: GenerateRequest
    deliver: Callable[[Delta], None]
    prompt: list[int]
    random: np.random.Generator
    memory: Memory | None = None
    answer: list[int] = field(default_factory=list)
    cancelled: bool = False

    @property
    def reserved(self) -> int:
        return len(self.prompt) + self.request.sampling.max_tokens

    @property
    def seen(self) -> int:
        """Tokens whose keys and values are computed."""
        return 0 if self.memory is None else self.memory.length

    @property
    def tokens(self) -> list[int]:
        return self.prompt + self.answer


class Scheduler:
    """Runs requests over a backend on one thread.

    Args:
        backend: advances sequences.
        options: bounds of batch, queue and memory.
        max_kv_tokens: token places of all running requests together.
        use_adapter: called on the worker thread before a pass with the adapter's name.
        knows_adapter: whether an adapter is (still) loaded.
    """

    def __init__(
        self,
        backend: Backend,
        options: EngineOptions,
        *,
        max_kv_tokens: int,
        use_adapter: Callable[[str | None], None],
        knows_adapter: Callable[[str | None], bool],
    ) -> None:
        self.backend = backend
        self.options = options
        self.max_kv_tokens = max_kv_tokens
        self._use_adapter = use_adapter
        self._knows_adapter = knows_adapter
        self._lock = threading.Condition()
        self._waiting: deque[ScheduledRequest] = deque()
        self._running: list[ScheduledRequest] = []
        self._recent: deque[ScheduledRequest] = deque(maxlen=options.keep_recent)
        self._calls: deque[Callable[[], None]] = deque()
        self._closing = False
        self._counts: Counter[str] = Counter()
        self._finished: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._loop, name="dizuo-engine", daemon=True)
        self._thread.start()

    # What callers do, from any thread.

    def submit(self, request: GenerateRequest, deliver: Callable[[Delta], None]) -> ScheduledRequest:
        """Queue a request; `deliver` is called on the worker thread with every delta."""
        seed = request.sampling.seed
        generator = np.random.default_rng(seed if seed is None else seed % 2**64)
        sequence = ScheduledRequest(request, deliver, [int(token) for token in request.prompt_ids], generator)
        with self._lock:
            self._must_be_open()
            if len(self._waiting) >= self.options.max_waiting:
                self._counts["refused"] += 1
                raise QueueFull(
                    f"the engine is answering {len(self._running)} requests and {len(self._waiting)} are waiting",
                    hint="try again later",
                )
            self._waiting.append(sequence)
            self._lock.notify()
        return sequence

    def cancel(self, sequence: ScheduledRequest) -> None:
        """End a request at the next step; it takes no part in any step after this call's."""
        with self._lock:
            sequence.cancelled = True
            self._lock.notify()

    def call(self, work: Callable[[], T], done: Callable[[T | BaseException], None], *, bounded: bool = False) -> None:
        """Run something on the worker thread between two steps; `done` is called there with its result or fault.

        Raises:
            QueueFull: it is `bounded`, and as many calls are waiting as requests may.
        """

        def run() -> None:
            try:
                result: T | BaseException = work()
            except Exception as error:
                result = error
            done(result)

        with self._lock:
            self._must_be_open()
            if bounded and len(self._calls) >= self.options.max_waiting:
                self._counts["refused"] += 1
                raise QueueFull(f"{len(self._calls)} sequences are waiting to be scored", hint="try again later")
            self._calls.append(run)
            self._lock.notify()

    def in_use(self, adapter: str) -> int:
        """Return how many requests, running or waiting, use an adapter."""
        with self._lock:
            return sum(s.request.adapter == adapter for s in (*self._running, *self._waiting))

    def forget(self, adapter: str) -> None:
        """Drop the kept keys and values of an adapter (on the worker thread)."""
        kept = [s for s in self._recent if s.request.adapter != adapter]
        self._recent.clear()
        self._recent.extend(kept)

    def close(self) -> None:
        """Stop after the current step; requests end as `cancelled`."""
        with self._lock:
            self._closing = True
            self._lock.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def stats(self, **details: str | int | float) -> EngineStats:
        """Return a snapshot."""
        with self._lock:
            return EngineStats(
                running=len(self._running),
                waiting=len(self._waiting),
                max_running=self.options.max_running,
                max_waiting=self.options.max_waiting,
                finished=dict(self._finished),
                refused=self._counts["refused"],
                prompt_tokens=self._counts["prompt"],
                reused_tokens=self._counts["reused"],
                generated_tokens=self._counts["generated"],
                steps=self._counts["steps"],
                kv_tokens=sum(s.reserved for s in self._running),
                max_kv_tokens=self.max_kv_tokens,
                details={"batching": self.backend.name, **details},
            )

    def _must_be_open(self) -> None:
        if self._closing:
            raise EngineClosed("the engine is closing")

    # What the worker thread does.

    def _loop(self) -> None:
        while True:
            with self._lock:
                while not (self._closing or self._calls or self._waiting or self._running):
                    self._lock.wait()
                if self._closing:
                    break
                call = self._calls.popleft() if self._calls else None
            if call is not None:  # one between two steps: scoring and answering take turns
                call()
            try:
                self._weed()
                # Only the steps: an adapter loaded by a call must stay fit for training.
                with torch.inference_mode():
                    self._admit()
                    self._step()
            except Exception as error:
                self._fail(error)
        self._shut()

    def _shut(self) -> None:
        with self._lock:
            left = [*self._running, *self._waiting]
            calls, self._calls = self._calls, deque()
        for sequence in left:
            self._end(sequence, "cancelled")
        for call in calls:
            call()
        self._recent.clear()

    def _fail(self, error: Exception) -> None:
        """End the requests of a failed step; those that are waiting go on."""
        log.error("a step of the engine failed", exc_info=error)
        with self._lock:
            # A request that cannot even be let in must not be tried for ever.
            failed = list(self._running) or list(self._waiting)[:1]
        for sequence in failed:
            self._end(sequence, "error", error=f"{type(error).__name__}: {error}")
        self._recent.clear()

    def _weed(self) -> None:
        """End what was cancelled or is too late, running or waiting."""
        now = time.monotonic()
        with self._lock:
            everyone = [*self._running, *self._waiting]
        for sequence in everyone:
            deadline = sequence.request.deadline
            if sequence.cancelled:
                self._end(sequence, "cancelled")
            elif deadline is not None and now >= deadline:
                self._end(sequence, "deadline")

    def _end(self, sequence: ScheduledRequest, finish: Finish, *, delta: Delta | None = None, error: str = "") -> None:
        with self._lock:
            if sequence in self._running:
                self._running.remove(sequence)
            if sequence in self._waiting:
                self._waiting.remove(sequence)
            self._finished[finish] += 1
        if self.options.reuse_prefix and finish in {"stop", "length", "cancelled"} and sequence.seen:
            self._recent.append(sequence)
        sequence.deliver(delta or Delta(finish=finish, error=error))

    def _admit(self) -> None:
        """Let waiting requests in, first come first served, while batch and memory have room.

        A request that shares a long prefix with one let in just now waits one step, and then takes the keys and
        values from it instead of computing them again.
        """
        with self._lock:
            waiting = list(self._waiting)
        fresh: list[ScheduledRequest] = []
        for sequence in waiting:
            if len(self._running) >= self.options.max_running:
                break
            if not self._knows_adapter(sequence.request.adapter):
                self._end(sequence, "error", error=f"the adapter {sequence.request.adapter!r} was unloaded")
                continue
            used = sum(s.reserved for s in self._running)
            if self._running and used + sequence.reserved > self.max_kv_tokens:
                break
            source, shared = self._best_source(sequence)
            if self.options.reuse_prefix and any(
                _shared(sequence, other, len(other.prompt)) >= shared + WORTH_WAITING for other in fresh
            ):
                continue
            memory = self.backend.fork(source.memory, shared) if source is not None else None
            if memory is not None:
                self._counts["reused"] += shared
            sequence.memory = memory or self.backend.new()
            fresh.append(sequence)
            with self._lock:
                self._waiting.remove(sequence)
                self._running.append(sequence)

    def _best_source(self, sequence: ScheduledRequest) -> tuple[ScheduledRequest | None, int]:
        """Return the sequence whose computed tokens share the longest prefix, and how long that is."""
        best: ScheduledRequest | None = None
        longest = 0
        if self.options.reuse_prefix:
            for other in (*self._running, *self._recent):
                shared = _shared(sequence, other, other.seen)
                if shared > longest:
                    best, longest = other, shared
        return best, longest

    def _step(self) -> None:
        works: list[tuple[ScheduledRequest, Work]] = []
        room = self.options.step_tokens
        # Answers first: they need one token each and somebody is reading along.
        for sequence in sorted(self._running, key=lambda s: not s.answer):
            tokens = sequence.tokens
            # At least one token: a prompt is never starved, however many are answering.
            chunk = tokens[sequence.seen : sequence.seen + max(room, 1)]
            room -= len(chunk)
            works.append((sequence, Work(chunk, sequence.memory, sequence.seen + len(chunk) == len(tokens))))
        if not works:
            return
        adapters = sorted({s.request.adapter for s, _ in works}, key=lambda name: (name is not None, name))
        for adapter in adapters:
            group = [(s, w) for s, w in works if s.request.adapter == adapter]
            self._use_adapter(adapter)
            logits_RV = self.backend.step([work for _, work in group])
            wanted = [sequence for sequence, work in group if work.wanted]
            self._counts["prompt"] += sum(len(work.ids) for s, work in group if not s.answer)
            for sequence, row_V in zip(wanted, logits_RV, strict=True):
                self._advance(sequence, row_V)
        self._counts["steps"] += 1

    def _advance(self, sequence: ScheduledRequest, logits_V: torch.Tensor) -> None:
        """Draw a token and tell the caller."""
        sampling = sequence.request.sampling
        try:
            token = draw(logits_V, sampling, sequence.random)
        except ModelError as error:  # logits that are not numbers end this request, not its neighbours
            self._end(sequence, "error", error=error.message)
            return
        if token in sampling.stop_ids:
            self._end(sequence, "stop")
            return
        sequence.answer.append(token)
        self._counts["generated"] += 1
        logprobs = () if sampling.logprobs is None else (logprob_of(logits_V, token, sampling.logprobs),)
        if len(sequence.answer) >= sampling.max_tokens:
            self._end(sequence, "length", delta=Delta((token,), logprobs, "length"))
        else:
            sequence.deliver(Delta((token,), logprobs))


def _shared(sequence: ScheduledRequest, other: ScheduledRequest, limit: int) -> int:
    """Return how many first tokens agree, at most `limit` and never the whole prompt: its last token must be run."""
    if sequence.request.adapter != other.request.adapter:
        return 0
    mine, theirs = sequence.prompt, other.prompt
    length = min(len(mine) - 1, len(theirs), limit)
    if mine[:length] == theirs[:length]:
        longer = min(len(mine) - 1, limit)
        answer = other.answer
        while length < longer and length >= len(theirs) and mine[length] == answer[length - len(theirs)]:
            length += 1
        return length
    low, high = 0, length  # mine[:low] agrees, mine[:high] does not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if mine[:middle] == theirs[:middle] else (low, middle)
    return low
