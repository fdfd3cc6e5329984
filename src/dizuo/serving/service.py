"""A service is one model that can be asked: messages in, pieces of text out; or a text in, a label out.

It holds the model's engine, its tokenizer with the chat template, and its task. The gateway and `dizuo chat` both go
through a `Service`, so a bare headline typed into either is asked exactly as it was when the model was evaluated.

    messages ──► prompt ──► sampling ──► answer ──► Piece, Piece, …, Piece(finish="stop")
    text     ──► classify ──► Classified
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from dizuo.data.rendering.calls import Calls, read_calls
from dizuo.data.rendering.conversations import render_completions, render_prompt, without_thoughts
from dizuo.data.rendering.last_token import render_for
from dizuo.data.rendering.prompts import prompt_messages
from dizuo.data.task import Task
from dizuo.engines import (
    Engine,
    EngineClosed,
    GenerateRequest,
    RequestRefused,
    Sampling,
    ScoreRequest,
    StateEngine,
    TokenLogprob,
)
from dizuo.errors import ServingError
from dizuo.models.heads import Head
from dizuo.records import Json, Message
from dizuo.serving.bundle.generation import GenerationDefaults
from dizuo.serving.detokenizing import Detokenizer, TokenBytes
from dizuo.serving.stop_strings import StopStrings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["Classified", "DeadlinePassed", "NoLabels", "Piece", "Service"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Piece:
    """The next piece of an answer; the last one has `finish`."""

    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    num_tokens: int = 0
    """Tokens drawn since the last piece; their text may still be held back."""
    finish: Literal["stop", "length"] | None = None
    ids: tuple[int, ...] = ()
    """The tokens drawn since the last piece."""


@dataclass(frozen=True, slots=True)
class Classified:
    """A label with the probabilities of all labels, likeliest first."""

    label: str
    """The likeliest one; of a regression, the number as text."""
    probabilities: Mapping[str, float]
    """Softmax over the head's outputs, or over the summed log-probabilities of the labels; they sum to 1. With several
    labels per text each is a probability of its own. Empty for a regression."""
    num_prompt_tokens: int
    labels: tuple[str, ...] | None = None
    """Every label above one half, likeliest first, where a text may have several."""
    value: float | None = None
    """What a regression predicts, in the units of its data."""


@dataclass(slots=True)
class Service:
    """A model that can be asked.

    Args:
        name: what requests call it.
        engine: answers; the service owns it.
        tokenizer: with the chat template the model was trained with.
        adapter: the engine's name for the adapter, or None.
        task: what it was trained to do, or None.
        generation: what a request that does not say gets.
        fingerprint: changes whenever an answer may change.
        head: what it was trained to answer with instead of text.
    """

    name: str
    engine: Engine
    tokenizer: PreTrainedTokenizerFast
    adapter: str | None = None
    task: Task | None = None
    generation: GenerationDefaults = field(default_factory=GenerationDefaults)
    fingerprint: str = ""
    head: Head | None = None
    created: int = field(default_factory=lambda: int(time.time()))
    # The tokenizer is not safe for use by two threads at once, and a long prompt must not hold up the event loop.
    _tokenizing: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "dizuo-tokenizer"))
    _bytes: TokenBytes | None = None

    async def prompt(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Json]] = (), *, thinking: bool | None = None
    ) -> list[int]:
        """Return the ids that the model reads, as in training.

        Args:
            messages: the conversation.
            tools: OpenAI tool definitions.
            thinking: ask for thoughts before the answer, or for none; None is as the model was trained.

        Raises:
            DataError: the template refuses the conversation, or leaves out a part of it, such as the tools.
        """
        # A model that nobody tuned thinks as its template has it.
        think = (self.task is None or self.task.thinking) if thinking is None else thinking
        return await self._off_loop(lambda: render_prompt(self.tokenizer, messages, tools=tools, thinking=think))

    async def read_calls(self, ids: Sequence[int], tools: Sequence[Mapping[str, Json]]) -> tuple[str, Calls]:
        """Return an answer as (what it says besides its calls, the calls), read as they were in evaluation."""

        def read() -> tuple[str, Calls]:
            text = str(self.tokenizer.decode(list(ids)))
            answer = without_thoughts(self.tokenizer, text)
            content, calls = read_calls(self.tokenizer, answer, tools=tools)
            return (text.removesuffix(answer) + content).strip(), calls

        return await self._off_loop(read)

    def sampling(
        self,
        num_prompt_tokens: int,
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int = 0,
        seed: int | None = None,
        logprobs: int | None = None,
    ) -> Sampling:
        """Return the sampling that a request asks for; the model's defaults fill in what it does not say.

        A default `max_tokens` shrinks to what the context leaves; one that was asked for never does.
        """
        room = self.engine.context_length - num_prompt_tokens
        if room < 1:
            raise RequestRefused(
                f"the messages have {num_prompt_tokens:,} tokens, which exceed the "
                f"{self.engine.context_length:,} tokens that the model reads, answer included",
                hint="shorten the conversation",
            )
        return Sampling(
            max_tokens=min(self.generation.max_tokens, room) if max_tokens is None else max_tokens,
            temperature=self.generation.temperature if temperature is None else temperature,
            # 0 is allowed by the protocol and means the likeliest token.
            top_p=max(self.generation.top_p if top_p is None else top_p, 1e-9),
            top_k=top_k,
            seed=seed,
            stop_ids=self.generation.stop_ids,
            logprobs=logprobs,
        )

    async def answer(
        self,
        prompt_ids: Sequence[int],
        sampling: Sampling,
        *,
        stop: Sequence[str] = (),
        deadline: float | None = None,
        request_id: str = "",
    ) -> AsyncGenerator[Piece, None]:
        """Stream an answer as text; closing the iterator cancels the request in the engine.

        Raises:
            QueueFull, RequestRefused, EngineClosed: from the engine, before the first piece.
            ServingError: the engine failed or the deadline passed.
        """
        detokenizer, stops = Detokenizer(self.tokenizer), StopStrings(stop)
        request = GenerateRequest(prompt_ids, sampling, self.adapter, deadline, request_id)
        async with aclosing(self.engine.generate(request)) as deltas:
            async for delta in deltas:
                shown = stops.add(detokenizer.add(delta.ids))
                if stops.found:
                    yield Piece(shown, delta.logprobs, len(delta.ids), "stop", delta.ids)
                    return
                if delta.finish is None:
                    yield Piece(shown, delta.logprobs, len(delta.ids), ids=delta.ids)
                    continue
                if delta.finish == "cancelled":
                    raise EngineClosed("the engine is closing")
                if delta.finish == "deadline":
                    raise DeadlinePassed("the request took longer than it may")
                if delta.finish == "error":
                    raise ServingError(f"the engine failed: {delta.error}")
                shown += stops.add(detokenizer.finish())
                if not stops.found:
                    shown += stops.finish()
                yield Piece(shown, delta.logprobs, len(delta.ids), "stop" if stops.found else delta.finish, delta.ids)
                return

    async def classify(self, text: str) -> Classified:
        """Return the label of a text with probabilities, asked and scored as in evaluation.

        A model with a head answers with it, in one pass. Else the score of a label is the sum of the
        log-probabilities of its tokens, end of turn included.

        Raises:
            ServingError: this model has no labels to choose from.
        """
        task = self.task
        if self.head is not None:
            return await self._classify_with_head(self.head, text)
        if task is None or not task.labels or task.multi_label:
            raise NoLabels(
                f"{self.name} was not trained to choose one of several labels", hint="ask it through chat instead"
            )
        rendered = await self._off_loop(
            lambda: render_completions(self.tokenizer, prompt_messages(text, task), task.labels)
        )
        requests = [ScoreRequest(label.ids, label.weights, self.adapter) for label in rendered]
        sums = np.array([values.sum() for values in await self.engine.score(requests)])
        shares = np.exp(sums - sums.max())
        shares /= shares.sum()
        order = np.argsort(-shares, kind="stable")
        probabilities = {task.labels[i]: float(shares[i]) for i in order}
        return Classified(task.labels[order[0]], probabilities, rendered[0].num_prompt)

    async def _classify_with_head(self, head: Head, text: str) -> Classified:
        """Return the head's answer to a text, asked as in evaluation."""
        if head.facts.kind == "reward":
            raise NoLabels(f"{self.name} is a reward model, which chooses no label", hint="use it in training")
        rendered = await self._off_loop(lambda: render_for(head.facts, self.tokenizer, text, self.task))
        if not isinstance(self.engine, StateEngine):
            raise RequestRefused("this engine gives no states for a head to read", hint="use the embedded engine")
        outputs = head.outputs(await self.engine.states([ScoreRequest(rendered.ids, rendered.weights, self.adapter)]))
        if head.facts.kind == "regression":
            value = float(head.numbers(outputs)[0])
            return Classified(f"{value:g}", {}, len(rendered.ids), value=value)
        shares, labels = head.probabilities(outputs)[0], head.facts.labels
        order = np.argsort(-shares, kind="stable")
        probabilities = {labels[i]: float(shares[i]) for i in order}
        several = tuple(label for label, share in probabilities.items() if share > 0.5)
        return Classified(
            labels[order[0]], probabilities, len(rendered.ids), several if head.facts.kind == "multi_label" else None
        )

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes of one token."""
        if self._bytes is None:
            self._bytes = TokenBytes(self.tokenizer)
        return self._bytes.of(token)

    def close(self) -> None:
        """Close the engine; running answers end."""
        self.engine.close()
        self._tokenizing.shutdown(wait=False)

    async def _off_loop(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._tokenizing, work)


class DeadlinePassed(ServingError):
    """A request took longer than it may."""


class NoLabels(ServingError):
    """The model is no classifier."""
