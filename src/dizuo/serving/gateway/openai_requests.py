"""A request's JSON is checked field by field and becomes a `ChatRequest` or a `ClassifyRequest`.

A field that is not supported is an error that names it, never ignored: an answer that silently lacks what was asked
for is worse than none. Fields that cannot change the answer (`user`, `metadata`, …) are accepted, and so are the
defaults of unsupported ones.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from dizuo.errors import did_you_mean
from dizuo.records import Json, Message
from dizuo.serving.gateway.api_errors import ApiError

__all__ = ["ChatRequest", "ClassifyRequest", "parse_chat", "parse_classify"]

D = TypeVar("D")
T = TypeVar("T")
ROLES = ("system", "developer", "user", "assistant", "tool")
_MOST_STOPS = 16
_MOST_TOP_LOGPROBS = 20
_MOST_INPUTS = 256
_MOST_TOOLS = 128

_HARMLESS = {
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "parallel_tool_calls",
}
"""Fields that do not change what is answered."""

_ONLY: dict[str, Callable[[Json], bool]] = {
    "n": lambda v: v == 1 and not isinstance(v, bool),
    "frequency_penalty": lambda v: v == 0,
    "presence_penalty": lambda v: v == 0,
    "logit_bias": lambda v: v == {},
    "functions": lambda v: v == [],
    "function_call": lambda v: v == "none",
    "response_format": lambda v: v == {"type": "text"},
    "modalities": lambda v: v == ["text"],
    "audio": lambda v: False,
    "prediction": lambda v: False,
    "reasoning_effort": lambda v: False,
    "verbosity": lambda v: False,
    "web_search_options": lambda v: False,
}
"""Known fields that are supported at these values only; null always means not given."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A checked `/v1/chat/completions` body; None where the model's own default counts."""

    model: str
    messages: tuple[Message, ...]
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int = 0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: int | None = None
    """Number of alternatives per token; None for no log-probabilities."""
    stream: bool = False
    include_usage: bool = False
    tools: tuple[Mapping[str, Json], ...] = ()
    """What the model may call; none where `tool_choice` is `none`."""
    thinking: bool | None = None
    """Whether it is asked to think before it answers; None is as it was trained."""


@dataclass(frozen=True, slots=True)
class ClassifyRequest:
    """A checked `/v1/classify` body."""

    model: str | None
    inputs: tuple[str, ...]
    is_list: bool
    """Whether the inputs came as a list."""


def parse_chat(body: Json) -> ChatRequest:
    """Return the checked request of a `/v1/chat/completions` body.

    Raises:
        ApiError: 400, naming the first wrong field.
    """
    fields = _Fields(body)
    stop = fields.take("stop", _stops, ())
    stream = fields.take("stream", _flag, False)
    wanted = fields.take("logprobs", _flag, False)
    top = fields.take("top_logprobs", _integer(0, _MOST_TOP_LOGPROBS), None)
    if top is not None and not wanted:
        raise _bad("top_logprobs", "needs logprobs to be true")
    options = fields.take("stream_options", _mapping, None)
    if options is not None and not stream:
        raise _bad("stream_options", "needs stream to be true")
    include_usage = False
    if options is not None:
        inner = _Fields(options, "stream_options.")
        include_usage = inner.take("include_usage", _flag, False)
        inner.take("include_obfuscation", _flag, False)
        inner.done()
    limits = [fields.take(name, _integer(1, 10**9), None) for name in ("max_completion_tokens", "max_tokens")]
    if None not in limits and limits[0] != limits[1]:
        raise _bad("max_tokens", "contradicts max_completion_tokens; give one of them")
    tools = fields.take("tools", _tools, ())
    if fields.take("tool_choice", _tool_choice, "auto") == "none":
        tools = ()
    request = ChatRequest(
        model=fields.need("model", _text),
        messages=fields.need("messages", _messages),
        max_tokens=next((limit for limit in limits if limit is not None), None),
        temperature=fields.take("temperature", _number(0, 2), None),
        top_p=fields.take("top_p", _number(0, 1), None),
        top_k=fields.take("top_k", _integer(0, 10**9), 0),
        seed=fields.take("seed", _integer(-(2**63), 2**63 - 1), None),
        stop=stop,
        logprobs=(top or 0) if wanted else None,
        stream=stream,
        include_usage=include_usage,
        tools=tools,
        thinking=fields.take("chat_template_kwargs", _thinking, None),
    )
    fields.done()
    return request


def parse_classify(body: Json) -> ClassifyRequest:
    """Return the checked request of a `/v1/classify` body: `{"input": text or list of texts, "model": optional}`.

    Raises:
        ApiError: 400, naming the wrong field.
    """
    fields = _Fields(body)
    model = fields.take("model", _text, None)
    inputs, is_list = fields.need("input", _inputs)
    request = ClassifyRequest(model, inputs, is_list)
    fields.done()
    return request


class _Fields:
    """Takes the fields of one JSON object, one after the other, and refuses what is left."""

    def __init__(self, body: Json, prefix: str = "") -> None:
        if not isinstance(body, dict):
            raise ApiError(400, f"the body must be a JSON object, not {_kind(body)}")
        self._left = {name: value for name, value in body.items() if value is not None}
        self._known: set[str] = set()
        self._prefix = prefix

    def take(self, name: str, check: Callable[[Json, str], T], default: D) -> T | D:
        """Return a field's checked value, or the default where it was not given."""
        self._known.add(name)
        if name not in self._left:
            return default
        return check(self._left.pop(name), self._prefix + name)

    def need(self, name: str, check: Callable[[Json, str], T]) -> T:
        """Return the checked value of a field that has to be there."""
        if name not in self._left:
            raise _bad(self._prefix + name, "is missing")
        self._known.add(name)
        return check(self._left.pop(name), self._prefix + name)

    def done(self) -> None:
        """Refuse what was not taken."""
        for name, value in self._left.items():
            path = self._prefix + name
            if self._prefix or name not in _HARMLESS | _ONLY.keys():
                near = did_you_mean(name, self._known)
                raise _bad(path, f"is not a field that this server knows{near}", code="unknown_parameter")
            if name in _ONLY and not _ONLY[name](value):
                raise _bad(path, "is not supported by this server", code="unsupported_parameter")


def _bad(param: str, problem: str, *, code: str | None = "invalid_value") -> ApiError:
    return ApiError(400, f"{param} {problem}", param=param, code=code)


def _kind(value: Json) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def _text(value: Json, path: str) -> str:
    if not isinstance(value, str):
        raise _bad(path, f"must be a string, not {_kind(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _bad(path, "holds half of a surrogate pair, which is no character") from None
    return value


def _flag(value: Json, path: str) -> bool:
    if not isinstance(value, bool):
        raise _bad(path, f"must be true or false, not {_kind(value)}")
    return value


def _mapping(value: Json, path: str) -> Mapping[str, Json]:
    if not isinstance(value, dict):
        raise _bad(path, f"must be an object, not {_kind(value)}")
    return value


def _integer(low: int, high: int) -> Callable[[Json, str], int]:
    def check(value: Json, path: str) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise _bad(path, f"must be a whole number, not {value if isinstance(value, float) else _kind(value)}")
        if not low <= value <= high:
            bound = f"at least {low}" if value < low else f"at most {high}"
            raise _bad(path, f"must be {bound}, not {value}")
        return value

    return check


def _number(low: float, high: float) -> Callable[[Json, str], float]:
    def check(value: Json, path: str) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise _bad(path, f"must be a number, not {_kind(value)}")
        if not math.isfinite(value) or not low <= value <= high:
            raise _bad(path, f"must be between {low} and {high}, not {value}")
        return float(value)

    return check


def _stops(value: Json, path: str) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    if len(items) > _MOST_STOPS:
        raise _bad(path, f"may hold at most {_MOST_STOPS} strings, not {len(items)}")
    stops = tuple(_text(item, f"{path}[{i}]" if isinstance(value, list) else path) for i, item in enumerate(items))
    if "" in stops:
        raise _bad(path, "holds an empty string, which would stop every answer before it begins")
    return stops


def _inputs(value: Json, path: str) -> tuple[tuple[str, ...], bool]:
    """Return the texts, and whether they came as a list."""
    is_list = isinstance(value, list)
    items = value if isinstance(value, list) else [value]
    if not items or len(items) > _MOST_INPUTS:
        raise _bad(path, f"must hold 1 to {_MOST_INPUTS} texts, not {len(items)}")
    texts = tuple(_text(item, f"{path}[{i}]" if is_list else path) for i, item in enumerate(items))
    for i, text in enumerate(texts):
        if not text.strip():
            raise _bad(f"{path}[{i}]" if is_list else path, "is empty")
    return texts, is_list


def _messages(value: Json, path: str) -> tuple[Message, ...]:
    if not isinstance(value, list):
        raise _bad(path, f"must be a list, not {_kind(value)}")
    if not value:
        raise _bad(path, "is empty; send at least one message")
    return tuple(_message(item, f"{path}[{i}]") for i, item in enumerate(value))


def _message(value: Json, path: str) -> Message:
    fields = _Fields(_mapping(value, path), f"{path}.")
    role = fields.need("role", _text)
    if role not in ROLES:
        raise _bad(f"{path}.role", f"must be one of {', '.join(ROLES)}, not {role!r}{did_you_mean(role, ROLES)}")
    calls = fields.take("tool_calls", _tool_calls, ()) if role == "assistant" else ()
    content = fields.take("content", _content, "") if calls else fields.need("content", _content)
    call_id = fields.need("tool_call_id", _text) if role == "tool" else None
    name = fields.take("name", _text, None)
    thoughts = ""
    if role == "assistant":
        fields.take("refusal", _text, None)
        thoughts = fields.take("reasoning_content", _text, "")
    fields.done()
    return Message(role, content, name=name, tool_calls=calls, tool_call_id=call_id, reasoning_content=thoughts)


def _content(value: Json, path: str) -> str:
    if not isinstance(value, list):
        return _text(value, path)
    parts = []
    for i, part in enumerate(value):
        kind = _mapping(part, f"{path}[{i}]").get("type")
        if kind != "text":
            raise _bad(f"{path}[{i}].type", f"is {kind!r}; this server reads text only", code="unsupported_value")
        fields = _Fields(part, f"{path}[{i}].")
        fields.take("type", _text, None)
        parts.append(fields.need("text", _text))
        fields.done()
    return "".join(parts)


def _tool_calls(value: Json, path: str) -> tuple[Mapping[str, Json], ...]:
    """Return calls as rows of a data set hold them: with arguments as an object, which is what templates write."""
    if not isinstance(value, list):
        raise _bad(path, f"must be a list, not {_kind(value)}")
    calls: list[Mapping[str, Json]] = []
    for i, call in enumerate(value):
        given = _mapping(call, f"{path}[{i}]")
        place = f"{path}[{i}].function"
        function = _mapping(given.get("function"), place)
        name, text = (
            _text(function.get("name"), f"{place}.name"),
            _text(function.get("arguments"), f"{place}.arguments"),
        )
        try:
            arguments = json.loads(text or "{}", parse_constant=_refuse_constant)
            json.dumps(arguments, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            raise _bad(f"{place}.arguments", "is not JSON") from None
        if not isinstance(arguments, dict):
            raise _bad(f"{place}.arguments", f"must be JSON of an object, not {_kind(arguments)}")
        entry: dict[str, Json] = {"type": "function", "function": {"name": name, "arguments": arguments}}
        calls.append({**entry, "id": given["id"]} if given.get("id") else entry)
    return tuple(calls)


def _tools(value: Json, path: str) -> tuple[Mapping[str, Json], ...]:
    if not isinstance(value, list):
        raise _bad(path, f"must be a list, not {_kind(value)}")
    if len(value) > _MOST_TOOLS:
        raise _bad(path, f"may hold at most {_MOST_TOOLS} tools, not {len(value)}")
    for i, tool in enumerate(value):
        kind = _mapping(tool, f"{path}[{i}]").get("type")
        if kind != "function":
            raise _bad(f"{path}[{i}].type", f"is {kind!r}; this server knows functions only", code="unsupported_value")
        function = _mapping(tool.get("function"), f"{path}[{i}].function")
        _text(function.get("name"), f"{path}[{i}].function.name")
        try:
            json.dumps(tool, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise _bad(f"{path}[{i}]", "holds half of a surrogate pair, which is no character") from None
    return tuple(value)


def _thinking(value: Json, path: str) -> bool | None:
    """Return `enable_thinking` of the options that other servers hand to the chat template; there are no others."""
    fields = _Fields(_mapping(value, path), f"{path}.")
    thinking = fields.take("enable_thinking", _flag, None)
    fields.done()
    return thinking


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def _tool_choice(value: Json, path: str) -> str:
    if value not in ("none", "auto"):
        raise _bad(path, "can be 'none' or 'auto' on this server", code="unsupported_parameter")
    return str(value)
