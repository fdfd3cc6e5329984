"""Reads the turns of a conversation, in the shapes that people store them in, as `Message`s.

A turn is an object with `role` or `from`, and `content` or `value`. An answer may be switched off, or weighted, by any
key of `WEIGHTS`; thoughts stand in `reasoning_content`, in another key of `THOUGHTS`, or in parts of the content. What
a turn calls is read by `tool_calls.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeGuard

from dizuo.data.reading.columns import RowError, describe, truth_of
from dizuo.data.reading.keys import mark_read, peek
from dizuo.data.reading.tool_calls import calls_of, parse_calls
from dizuo.errors import did_you_mean
from dizuo.records import Json, Message

__all__ = ["ROLES", "SPEAKERS", "check_answered", "is_turn_list", "messages_from", "parse_human_assistant"]

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
    "tool_call": "function_call",
    "observation": "tool",
    "tool": "tool",
    "tool_response": "tool",
    "function_response": "tool",
    "function": "tool",
}
"""What ShareGPT, ms-swift and OpenAI's older interface call speakers, and our roles."""
WEIGHTS = ("weight", "train", "training", "trainable", "loss", "loss_weight", "loss_scale")
"""Keys by which OpenAI, axolotl, ms-swift and others say how much an answer is trained."""
THOUGHTS = ("reasoning_content", "reasoning", "thinking")
_HH = re.compile(r"\n\n(Human|Assistant):")
_MOST = 1e6


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
    return tuple(_message(turn, f"turn {number} of {column}") for number, turn in enumerate(value, start=1))


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


def _message(turn: Json, place: str) -> Message:
    if not isinstance(turn, Mapping):
        raise RowError(f"{place} is {describe(turn)}, not an object")
    role, shown = _role(turn, place)
    said = turn.get("content")
    if said is None and "value" in turn:
        said = turn.get("value")
    if role == "function_call":
        return Message("assistant", "", weight=_weight(turn, "assistant", place), tool_calls=parse_calls(said, place))
    content, thoughts = _content(said, place)
    calls = calls_of(turn, place)
    if not content.strip() and not calls and role in ("assistant", "user"):
        raise RowError(f"{place} ({shown}) is empty")
    return Message(
        role,
        content,
        weight=_weight(turn, role, place),
        name=_string(turn, "name", place),
        tool_calls=calls,
        tool_call_id=_string(turn, "tool_call_id", place),
        reasoning_content=_thoughts(turn, role, thoughts, place),
    )


def _role(turn: Mapping[str, Json], place: str) -> tuple[str, str]:
    """Return (our role, or `function_call`; the speaker as the row calls it)."""
    if "role" not in turn and "from" in turn:
        given = turn["from"]
        speaker = str(given).lower()
        if speaker not in SPEAKERS:
            raise RowError(f"{place} is from {given!r}{did_you_mean(speaker, SPEAKERS)}; known: {', '.join(SPEAKERS)}")
        return SPEAKERS[speaker], str(given)
    given = turn.get("role")
    if given is None:
        keys = ", ".join(map(str, turn)) or "none"
        raise RowError(f"{place} has no 'role'{did_you_mean('role', turn)}; its keys: {keys}")
    if isinstance(given, str) and (given in ROLES or given in SPEAKERS):
        return SPEAKERS.get(given, given), given
    raise RowError(f"{place} has the role {given!r}{did_you_mean(str(given), ROLES)}; known: {', '.join(ROLES)}")


def _string(turn: Mapping[str, Json], key: str, place: str) -> str | None:
    value = turn.get(key)
    if value is None or isinstance(value, str):
        return value
    raise RowError(f"{place} has a {key} that is {describe(value)}, not a string")


def _weight(turn: Mapping[str, Json], role: str, place: str) -> float:
    """Return how much a turn is trained, from 0.

    Only answers are trained. A key that switches another turn off says so too; one that switches it on is left unread,
    and so reported: training questions is not what we do.
    """
    given = {key: peek(turn, key) for key in WEIGHTS}
    weights = {key: _number(value, key, place) for key, value in given.items() if value is not None}
    for key, weight in weights.items():
        if role == "assistant" or weight == 0:
            mark_read(turn, key)
    if role != "assistant" or not weights:
        return 1.0
    if len(set(weights.values())) > 1:
        both = " and ".join(f"{key} {given[key]!r}" for key in weights)
        raise RowError(f"{place} has {both}, which contradict each other")
    return next(iter(weights.values()))


def _number(value: Json, key: str, place: str) -> float:
    """Return a weight that is written as a number, or as yes or no."""
    if isinstance(value, int | float) and 0 <= value <= _MOST:
        return float(value)
    truth = truth_of(value)
    if truth is None:
        what = f"the weight {value!r}" if key == "weight" else f"{key} {value!r}"
        raise RowError(f"{place} has {what}, not a number from 0 or true or false")
    return float(truth)


def _thoughts(turn: Mapping[str, Json], role: str, in_parts: str, place: str) -> str:
    """Return what an assistant thinks before its answer."""
    if role != "assistant":
        return ""
    for key in THOUGHTS:
        value = turn.get(key)
        if value is None:
            continue
        if not isinstance(value, str):
            raise RowError(f"{place} has {key} that is {describe(value)}, not a string")
        if value.strip():
            if in_parts and in_parts != value:
                raise RowError(f"{place} has two different thoughts, in {key} and elsewhere")
            in_parts = value
    return in_parts


def _content(value: Json, place: str) -> tuple[str, str]:
    """Return (the text of a content, the thoughts among its parts)."""
    if value is None:
        return "", ""
    if isinstance(value, str):
        return value, ""
    if not isinstance(value, list):
        raise RowError(f"{place} has content that is {describe(value)}, not a string or a list of parts")
    texts: list[str] = []
    thoughts: list[str] = []
    for part in value:
        kind = part.get("type", "text") if isinstance(part, Mapping) else describe(part)
        if not isinstance(part, Mapping) or not isinstance(kind, str) or kind not in _PARTS:
            raise RowError(f"{place} has a part of type {kind!r}; dizuo reads text parts")
        text = next((part[key] for key in _PARTS[kind] if isinstance(part.get(key), str)), None)
        if text is None:
            raise RowError(f"{place} has a part of type {kind!r} without a text")
        (thoughts if kind in ("thinking", "reasoning") else texts).append(text)
    return "".join(texts), "\n".join(thoughts)


_PARTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("text", "input_text", "output_text"), ("text", "value", "content")),
    **dict.fromkeys(("thinking", "reasoning"), ("thinking", "reasoning", "text", "value", "content")),
}
"""The types of parts that are text, with the keys that hold it."""
