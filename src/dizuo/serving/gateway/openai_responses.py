"""Answers become the JSON of OpenAI's API: a chat completion, its chunks, log-probabilities, a classification."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dizuo.data.rendering.calls import Calls
from dizuo.engines import TokenLogprob
from dizuo.records import Json
from dizuo.serving.service import Classified, Service

__all__ = [
    "Answer",
    "begin_answer",
    "build_chunk",
    "build_classification",
    "build_completion",
    "build_usage_chunk",
    "write_calls",
]

_LOWEST = -9999.0
"""JSON has no minus infinity; this is what OpenAI writes for a token that cannot be drawn."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Holds what all parts of one answer repeat."""

    id: str
    created: int
    model: str
    """As the request called it."""
    service: Service
    num_prompt_tokens: int

    def opening(self, kind: str) -> dict[str, Json]:
        """Return the fields that open every object."""
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.service.fingerprint,
        }

    def usage(self, num_tokens: int) -> dict[str, int]:
        """Return the token counts."""
        return {
            "prompt_tokens": self.num_prompt_tokens,
            "completion_tokens": num_tokens,
            "total_tokens": self.num_prompt_tokens + num_tokens,
        }


def begin_answer(service: Service, model: str, *, num_prompt_tokens: int) -> Answer:
    """Return a new answer, with an id of its own."""
    return Answer(f"chatcmpl-{uuid.uuid4().hex}", int(time.time()), model, service, num_prompt_tokens)


def build_completion(
    answer: Answer,
    text: str,
    logprobs: Sequence[TokenLogprob] | None,
    *,
    finish: str | None,
    num_tokens: int,
    calls: Calls = (),
) -> dict[str, Json]:
    """Return a whole `chat.completion`."""
    message: dict[str, Json] = {"role": "assistant", "content": text, "refusal": None}
    if calls:
        message |= {"content": text or None, "tool_calls": write_calls(calls)}
    choice: dict[str, Json] = {
        "index": 0,
        "message": message,
        "logprobs": _logprobs(answer, logprobs),
        "finish_reason": finish,
    }
    return {**answer.opening("chat.completion"), "choices": [choice], "usage": answer.usage(num_tokens)}


def build_chunk(
    answer: Answer,
    *,
    role: bool = False,
    text: str = "",
    calls: Calls = (),
    logprobs: Sequence[TokenLogprob] | None = None,
    finish: str | None = None,
    include_usage: bool = False,
) -> dict[str, Json]:
    """Return one `chat.completion.chunk`."""
    delta: dict[str, Json] = {}
    if role:
        delta = {"role": "assistant", "content": ""}
    elif calls:
        delta = {"tool_calls": [{"index": index, **call} for index, call in enumerate(write_calls(calls))]}
    elif finish is None:
        delta = {"content": text}
    choice: dict[str, Json] = {
        "index": 0,
        "delta": delta,
        "logprobs": _logprobs(answer, logprobs),
        "finish_reason": finish,
    }
    whole: dict[str, Json] = {**answer.opening("chat.completion.chunk"), "choices": [choice]}
    return {**whole, "usage": None} if include_usage else whole


def write_calls(calls: Calls) -> list[dict[str, Json]]:
    """Return calls as OpenAI writes them: with an id each, and arguments as JSON in a string."""
    written: list[dict[str, Json]] = []
    for call in calls:
        function = call["function"]
        assert isinstance(function, Mapping)
        arguments = json.dumps(function["arguments"], ensure_ascii=False)
        written.append(
            {
                "id": f"call_{uuid.uuid4().hex[:24]}",
                "type": "function",
                "function": {"name": function["name"], "arguments": arguments},
            }
        )
    return written


def build_usage_chunk(answer: Answer, num_tokens: int) -> dict[str, Json]:
    """Return the chunk without choices that ends a stream whose client asked for usage."""
    return {**answer.opening("chat.completion.chunk"), "choices": [], "usage": answer.usage(num_tokens)}


def build_classification(answers: Sequence[Classified], model: str) -> dict[str, Json]:
    """Return the labels of several texts, in their order."""
    entries: list[dict[str, Json]] = []
    for index, answer in enumerate(answers):
        entry: dict[str, Json] = {
            "index": index,
            "label": answer.label,
            "probabilities": dict(answer.probabilities),
        }
        if answer.labels is not None:
            entry["labels"] = list(answer.labels)
        if answer.value is not None:
            entry["value"] = answer.value
        entries.append(entry)
    num_tokens = sum(answer.num_prompt_tokens for answer in answers)
    return {
        "id": f"classify-{uuid.uuid4().hex}",
        "object": "list",
        "created": int(time.time()),
        "model": model,
        "data": entries,
        "usage": {"prompt_tokens": num_tokens, "total_tokens": num_tokens},
    }


def _logprobs(answer: Answer, entries: Sequence[TokenLogprob] | None) -> dict[str, Json] | None:
    if entries is None:
        return None
    content = [
        {
            **_token(answer, entry.id, entry.logprob),
            "top_logprobs": [_token(answer, token, logprob) for token, logprob in entry.top],
        }
        for entry in entries
    ]
    return {"content": content, "refusal": None}


def _token(answer: Answer, token: int, logprob: float) -> dict[str, Json]:
    raw = answer.service.token_bytes(token)
    return {"token": raw.decode("utf-8", "replace"), "logprob": max(logprob, _LOWEST), "bytes": list(raw)}
