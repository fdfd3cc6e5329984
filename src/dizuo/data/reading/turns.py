"""Reads the turns of a conversation, in the shapes that people store them in, as `Message`s."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TypeGuard, cast

from dizuo.data.reading.columns import RowError, describe
from dizuo.errors import did_you_mean
from dizuo.records import Json, Message

__all__ = ["check_answered", "is_turn_list", "messages_from", "parse_human_assistant", "tools_from"]

ROLES = ("system", "developer", "user", "assistant", "tool")
SPEAKERS = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "bot": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "system": "system",
    "function_call": "function_call",
    "observation": "tool",
    "tool": "tool",
    "function_response": "tool",
}
"""ShareGPT's speakers and our roles."""
_HH = re.compile(r"\n\n(Human|Assistant):")


def is_turn_list(value: Json) -> TypeGuard[list[Mapping[str, Json]]]:
    """Return whether a value is a list of turns: objects with `role` (or `from`)."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(turn, dict) and ("role" in turn or "from" in turn) for turn in value)
    )


def messages_from(value: Json, *, column: str) -> tuple[Message, ...]:
    """Return a list of OpenAI or ShareGPT turns as messages.

    Raises:
        RowError: a turn has no role, an unknown one, no text, or a tool call that cannot be read.
    """
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise RowError(f"{column} is {describe(value)}, not a list of turns")
    if not value:
        raise RowError(f"{column} is empty")
    return tuple(_message(turn, number, column) for number, turn in enumerate(value, start=1))


def check_answered(messages: Sequence[Message], *, column: str) -> None:
    """Refuse conversations without anything to learn.

    Raises:
        RowError: no assistant turn has weight > 0.
    """
    answers = [message for message in messages if message.role == "assistant"]
    if not answers:
        raise RowError(f"{column} has no assistant turn")
    if all(message.weight == 0 for message in answers):
        raise RowError(f"every assistant turn of {column} has weight 0")
    if messages[0].role == "assistant":
        raise RowError(f"{column} begins with an assistant turn; there is nothing it answers")


def parse_human_assistant(text: str) -> tuple[Message, ...] | None:
    """Return the turns of a transcript in the form of the HH-RLHF data (`Human: … Assistant: …`), or None."""
    if not text.startswith("\n\n"):
        text = "\n\n" + text.lstrip("\n")
    pieces = _HH.split(text)
    if len(pieces) < 3 or pieces[0].strip():
        return None
    roles = {"Human": "user", "Assistant": "assistant"}
    return tuple(Message(roles[who], said.strip()) for who, said in zip(pieces[1::2], pieces[2::2]))


def tools_from(value: Json) -> tuple[Mapping[str, Json], ...]:
    """Return tool definitions, given as a list, or as JSON in a string.

    Raises:
        RowError: they are neither.
    """
    if value is None or value == "" or value == []:
        return ()
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise RowError("tools is a string that is not JSON") from None
    if not isinstance(value, list) or not all(isinstance(tool, dict) for tool in value):
        raise RowError(f"tools is {describe(value)}, not a list of objects")
    return tuple(value)


def _message(turn: Json, number: int, column: str) -> Message:
    place = f"turn {number} of {column}"
    if not isinstance(turn, Mapping):
        raise RowError(f"{place} is {describe(turn)}, not an object")
    if "role" not in turn and "from" in turn:
        return _spoken(turn, place)
    role = turn.get("role")
    if role is None:
        keys = ", ".join(map(str, turn)) or "none"
        raise RowError(f"{place} has no 'role'{did_you_mean('role', turn)}; its keys: {keys}")
    if role not in ROLES:
        raise RowError(f"{place} has the role {role!r}{did_you_mean(str(role), ROLES)}; known: {', '.join(ROLES)}")
    calls = _tool_calls(turn.get("tool_calls"), place)
    content = _content(turn.get("content"), place)
    if not content.strip() and not calls and role in ("assistant", "user"):
        raise RowError(f"{place} ({role}) is empty")
    weight = turn.get("weight")
    weight = 1.0 if weight is None else weight
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 1e6:
        raise RowError(f"{place} has the weight {weight!r}, not a number from 0")
    name, call_id = cast(str | None, turn.get("name")), cast(str | None, turn.get("tool_call_id"))
    return Message(role, content, weight=float(weight), name=name, tool_calls=calls, tool_call_id=call_id)


def _spoken(turn: Mapping[str, Json], place: str) -> Message:
    speaker = str(turn["from"]).lower()
    if speaker not in SPEAKERS:
        raise RowError(
            f"{place} is from {turn['from']!r}{did_you_mean(speaker, SPEAKERS)}; known: {', '.join(SPEAKERS)}"
        )
    role = SPEAKERS[speaker]
    value = turn.get("value", turn.get("content"))
    if role == "function_call":
        try:
            call = json.loads(value) if isinstance(value, str) else value
        except ValueError:
            raise RowError(f"{place} is a function call that is not JSON") from None
        return Message("assistant", "", tool_calls=_tool_calls(call if isinstance(call, list) else [call], place))
    content = _content(value, place)
    if not content.strip() and role in ("assistant", "user"):
        raise RowError(f"{place} ({turn['from']}) is empty")
    return Message(role, content)


def _content(value: Json, place: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        texts = []
        for part in value:
            if not isinstance(part, Mapping) or not isinstance(part.get("text"), str):
                kind = part.get("type", "unknown") if isinstance(part, Mapping) else describe(part)
                raise RowError(f"{place} has a part of type {kind!r}; dizuo reads text parts")
            texts.append(part["text"])
        return "".join(texts)
    raise RowError(f"{place} has content that is {describe(value)}, not a string or a list of parts")


def _tool_calls(value: Json, place: str) -> tuple[Mapping[str, Json], ...]:
    if value and not isinstance(value, Sequence | Mapping):
        raise RowError(f"{place} has tool calls that are {describe(value)}, not a list")
    calls: list[Mapping[str, Json]] = []
    for call in value if isinstance(value, Sequence | Mapping) else ():
        function = call.get("function", call) if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise RowError(f"{place} has a tool call without a function name")
        arguments = function.get("arguments", {})
        if isinstance(arguments, str):
            # Templates write arguments with `tojson`: a string would be quoted twice.
            try:
                arguments = json.loads(arguments or "{}")
            except ValueError:
                raise RowError(f"{place} calls {function['name']} with arguments that are not JSON") from None
        if not isinstance(arguments, Mapping):
            raise RowError(f"{place} calls {function['name']} with arguments that are {describe(arguments)}")
        entry: dict[str, Json] = {
            "type": "function",
            "function": {"name": function["name"], "arguments": dict(arguments)},
        }
        if isinstance(call, Mapping) and call.get("id"):
            entry["id"] = call["id"]
        calls.append(entry)
    return tuple(calls)
