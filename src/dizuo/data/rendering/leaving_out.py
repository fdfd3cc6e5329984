"""Finds what of a conversation a chat template does not write: tools, calls, names, whole contents.

A template reads the keys that its author thought of, and says nothing of others: on SmolLM2's own template an answer
that is a call is an empty answer. So a conversation is written twice, as it is and with one key saying something else;
where both texts are the same, that key does not reach the model. Every key that a turn or a row can carry has its
variants here; `Message` and `Chat` say which keys there are.

Two keys are left out on purpose. Thoughts of earlier turns are dropped by many templates, and the model is asked so
later; those of the turn that is learnt are looked for where it is cut out (`templates.py`). Ids of calls only say which
result belongs to which call, which their order says as well; only where it does not must they be written.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from dizuo.records import Json, Message

__all__ = ["find_lost_keys", "shape_of", "unwritten_by_text"]

Tools: TypeAlias = Sequence[Mapping[str, Json]]
Write: TypeAlias = Callable[[Sequence[Message], Tools], str | None]
"""(messages, tools) -> the text that the template makes of them, or None where it refuses them."""

_OTHER = "something-else"
"""What a variant says instead."""
_OF_TOOLS = ("name", "description", "parameters")


def shape_of(messages: Sequence[Message], tools: Tools) -> Hashable:
    """Return what a conversation has of keys: what is written of one is written of all of its shape."""
    keys = frozenset(key for tool in tools for key in _function(tool) if key in _OF_TOOLS)
    return bool(tools), keys, frozenset(_kinds(messages)), bool(_out_of_order(messages))


def find_lost_keys(write: Write, messages: Sequence[Message], tools: Tools) -> list[str]:
    """Return the keys that do not reach the text, such as `tools` or `tool_calls of turn 2 (assistant)`.

    Of several turns that carry the same keys the first and the last are looked at.

    Args:
        write: asks the template.
        messages: a conversation; nothing is lost of one that the template refuses.
        tools: OpenAI tool definitions.
    """
    text = write(messages, tools)
    lost: list[str] = []
    if text is None:
        return lost

    def reaches(messages: Sequence[Message], tools: Tools) -> bool:
        return write(messages, tools) != text

    if tools and not reaches(messages, ()):
        lost.append("tools")
    elif tools:
        lost += [f"tools[].{key}" for key, variant in _other_tools(tools) if not reaches(messages, variant)]
    kinds = _kinds(messages)
    for number, message in enumerate(messages):
        if kinds[number] in kinds[:number] and kinds[number] in kinds[number + 1 :]:
            continue
        before, after = messages[:number], messages[number + 1 :]
        missing: list[str] = []
        for key, variant in _other_turns(message, _called(messages)):
            whole = any(key.startswith(f"{other}[") for other in missing)
            if not whole and not reaches([*before, variant, *after], tools):
                missing.append(key)
        lost += [f"{key} of turn {number + 1} ({message.role})" for key in missing]
    crossed = _out_of_order(messages)
    if crossed and not reaches(crossed, tools):
        lost.append("tool_call_id of results that stand in another order than their calls")
    return lost


def unwritten_by_text(messages: Sequence[Message], tools: Tools) -> list[str]:
    """Return the keys that are lost where contents alone are written, one after the other."""
    lost = ["tools"] if tools else []
    for number, message in enumerate(messages, start=1):
        keys = {
            "tool_calls": message.tool_calls,
            "reasoning_content": message.reasoning_content,
            "name": message.name and message.role != "tool",
        }
        lost += [f"{key} of turn {number} ({message.role})" for key, value in keys.items() if value]
    return lost


def _kinds(messages: Sequence[Message]) -> list[Hashable]:
    """Return by turn which keys it carries."""
    called = _called(messages)
    return [
        (
            message.role,
            bool(message.content.strip()),
            bool(message.thoughts_and_answer()[0]),
            min(len(message.tool_calls), 2),
            _names(message, called),
            number == len(messages) - 1,
        )
        for number, message in enumerate(messages)
    ]


def _other_tools(tools: Tools) -> Iterator[tuple[str, Tools]]:
    """Yield (key, the tools with that key of the first or the last one saying something else)."""
    parameters: Json = {"type": "object", "properties": {_OTHER: {"type": "string", "description": _OTHER}}}
    for place in dict.fromkeys((0, len(tools) - 1)):
        function = _function(tools[place])
        for key in _OF_TOOLS:
            if not function.get(key):
                continue
            changed: dict[str, Json] = {**function, key: _OTHER if isinstance(function[key], str) else parameters}
            tool = {**tools[place], "function": changed} if "function" in tools[place] else changed
            yield key, [*tools[:place], tool, *tools[place + 1 :]]


def _function(tool: Mapping[str, Json]) -> Mapping[str, Json]:
    inner = tool.get("function")
    return inner if isinstance(inner, Mapping) else tool


def _other_turns(message: Message, called: frozenset[str]) -> Iterator[tuple[str, Message]]:
    """Yield (key, the turn with that key saying something else), the whole of a key before its parts."""
    answer = message.thoughts_and_answer()[1]
    if answer.strip() and message.role in ("assistant", "tool"):  # what others say is looked for in every text
        kept = message.content[: len(message.content) - len(answer)] if message.content.endswith(answer) else ""
        yield "content", replace(message, content=kept + _OTHER)
    if _names(message, called):
        yield "name", replace(message, name=_OTHER)
    if not message.tool_calls:
        return
    calls = message.tool_calls
    yield "tool_calls", replace(message, tool_calls=())
    for place in dict.fromkeys((0, len(calls) - 1)):
        function = _function(calls[place])
        others: dict[str, Mapping[str, Json]] = {
            "name": {**function, "name": _OTHER},
            "arguments": {**function, "arguments": {_OTHER: _OTHER}},
        }
        for key, changed in others.items():
            call: dict[str, Json] = {**calls[place], "function": changed}
            yield f"tool_calls[].{key}", replace(message, tool_calls=(*calls[:place], call, *calls[place + 1 :]))


def _called(messages: Sequence[Message]) -> frozenset[str]:
    return frozenset(str(_function(call).get("name")) for message in messages for call in message.tool_calls)


def _names(message: Message, called: frozenset[str]) -> bool:
    """Return whether a turn has a name that nothing else says: a result's is that of the function that was called."""
    return bool(message.name) and not (message.role == "tool" and message.name in called)


def _out_of_order(messages: Sequence[Message]) -> list[Message]:
    """Return the conversation with other ids where only ids say which result belongs to which call, else nothing."""
    expected: list[Json] = []
    crossed = False
    for message in messages:
        if message.role != "tool":
            expected = [call.get("id") for call in message.tool_calls]
        elif message.tool_call_id in expected:
            crossed = crossed or expected.index(message.tool_call_id) != 0
            expected.remove(message.tool_call_id)
    if not crossed:
        return []
    return [replace(message, tool_call_id=_OTHER) if message.role == "tool" else message for message in messages]
