"""Answers that are calls: as texts that can be shown and compared, and when two of them are the same.

A report holds answers as texts. A call stands there as the JSON of a list, `[{"name": …, "arguments": {…}}]`, behind
what the answer says besides. Two answers with calls are the same where they make the same calls: equal names, and
arguments that are equal as JSON values. The order of keys, and that of calls made at once, means nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dizuo.records import Json, Message

__all__ = ["calls_in", "same_answer", "text_of", "written_answer"]

_ARGUMENTS = ("arguments", "parameters")


def written_answer(content: str, calls: Sequence[Mapping[str, Json]]) -> str:
    """Return an answer as one text: what it says, then what it calls."""
    if not calls:
        return content
    plain: list[str] = []
    for call in calls:
        inner = call.get("function", call)
        function: Mapping[str, Json] = inner if isinstance(inner, Mapping) else {}
        arguments = json.dumps(function.get("arguments") or {}, ensure_ascii=False, sort_keys=True)
        plain.append(f'{{"name": {json.dumps(function.get("name"), ensure_ascii=False)}, "arguments": {arguments}}}')
    text = f"[{', '.join(plain)}]"
    return f"{content.strip()}\n{text}" if content.strip() else text


def text_of(message: Message) -> str:
    """Return a turn as one text, without thoughts: what it says, then what it calls."""
    return written_answer(message.thoughts_and_answer()[1], message.tool_calls)


def calls_in(text: str) -> list[tuple[str, Any]] | None:
    """Return (name, arguments) of the calls in an answer, as `written_answer` writes it; None where it makes none."""
    value = _read(text)
    if value is None:
        value = _read(text[text.rfind("\n[{") + 1 :])
    calls = []
    for call in value if isinstance(value, list) else [value]:
        if not isinstance(call, dict) or not isinstance(call.get("name"), str):
            return None
        key = next((key for key in _ARGUMENTS if key in call), None)
        if key is None or not set(call) <= {"name", key, "id", "type"}:
            return None
        calls.append((call["name"], call[key]))
    return calls or None


def same_answer(answer: str, reference: str) -> bool | None:
    """Return whether an answer makes the calls of a reference; None where the reference makes none.

    What the two say besides their calls is not compared.
    """
    wanted = calls_in(reference)
    if wanted is None:
        return None
    made = calls_in(answer)
    if made is None or len(made) != len(wanted):
        return False
    for name, arguments in made:
        place = next((i for i, (other, of) in enumerate(wanted) if other == name and _equal(of, arguments)), None)
        if place is None:
            return False
        del wanted[place]
    return True


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _equal(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)
