"""What answers look like on the wire: OpenAI's chat completion, its chunks, its log-probabilities."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dizuo.engines import TokenLogprob
from dizuo.serving.service import Service

__all__ = ["Answer", "chunk", "completion", "usage_chunk"]

_LOWEST = -9999.0
"""JSON has no minus infinity; this is what OpenAI writes for a token that cannot be drawn."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What all parts of one answer repeat."""

    id: str
    created: int
    model: str
    fingerprint: str
    num_prompt_tokens: int

    @classmethod
    def of(cls, service: Service, model: str, *, num_prompt_tokens: int) -> Answer:
        """Return a new answer's facts."""
        return cls(f"chatcmpl-{uuid.uuid4().hex}", int(time.time()), model, service.fingerprint, num_prompt_tokens)

    def head(self, kind: str) -> dict[str, Any]:
        """Return the fields that open every object."""
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
        }

    def usage(self, num_tokens: int) -> dict[str, int]:
        """Return the token counts."""
        return {
            "prompt_tokens": self.num_prompt_tokens,
            "completion_tokens": num_tokens,
            "total_tokens": self.num_prompt_tokens + num_tokens,
        }


def completion(
    service: Service,
    answer: Answer,
    text: str,
    logprobs: Sequence[TokenLogprob] | None,
    *,
    finish: str | None,
    num_tokens: int,
) -> dict[str, Any]:
    """Return a whole `chat.completion`."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, "refusal": None},
        "logprobs": _logprobs(service, logprobs),
        "finish_reason": finish,
    }
    return {**answer.head("chat.completion"), "choices": [choice], "usage": answer.usage(num_tokens)}


def chunk(
    service: Service,
    answer: Answer,
    *,
    role: bool = False,
    text: str = "",
    logprobs: Sequence[TokenLogprob] | None = None,
    finish: str | None = None,
    include_usage: bool = False,
) -> dict[str, Any]:
    """Return one `chat.completion.chunk`."""
    delta: dict[str, Any] = {}
    if role:
        delta = {"role": "assistant", "content": ""}
    elif finish is None:
        delta = {"content": text}
    choice = {"index": 0, "delta": delta, "logprobs": _logprobs(service, logprobs), "finish_reason": finish}
    whole = {**answer.head("chat.completion.chunk"), "choices": [choice]}
    return {**whole, "usage": None} if include_usage else whole


def usage_chunk(service: Service, answer: Answer, num_tokens: int) -> dict[str, Any]:
    """Return the chunk without choices that ends a stream whose client asked for usage."""
    return {**answer.head("chat.completion.chunk"), "choices": [], "usage": answer.usage(num_tokens)}


def _logprobs(service: Service, entries: Sequence[TokenLogprob] | None) -> dict[str, Any] | None:
    if entries is None:
        return None
    content = [
        {
            **_token(service, entry.id, entry.logprob),
            "top_logprobs": [_token(service, token, logprob) for token, logprob in entry.top],
        }
        for entry in entries
    ]
    return {"content": content, "refusal": None}


def _token(service: Service, token: int, logprob: float) -> dict[str, Any]:
    raw = service.token_bytes(token)
    return {"token": raw.decode("utf-8", "replace"), "logprob": max(logprob, _LOWEST), "bytes": list(raw)}
