"""Preference pairs: `prompt?`, `chosen`, `rejected`, `tools?`; strings, message lists or single messages.

Without a prompt the turns that both sides share are the prompt. HH-RLHF transcripts (`\\n\\nHuman: …`) are parsed.
"""

from __future__ import annotations

from collections.abc import Iterator

from dizuo.data.formats import Format
from dizuo.data.options import PrepareOptions
from dizuo.data.reading.columns import Columns, RowError, describe
from dizuo.data.reading.files import Cells
from dizuo.data.reading.turns import is_turn_list, messages_from, parse_human_assistant, tools_from
from dizuo.records import Json, Message, Preference


def fits(row: Cells, columns: Columns) -> set[str] | None:
    """Return the columns of two answers, each a string, a turn or a list of turns, and of their prompt."""
    for role in ("chosen", "rejected"):
        value = columns.get(row, role)
        if not isinstance(value, str) and not is_turn_list([value] if isinstance(value, dict) else value):
            return None
    used = {columns.name(row, role) for role in ("chosen", "rejected", "prompt", "conversations")}
    return {str(name) for name in used if name is not None}


def read(row: Cells, columns: Columns, options: PrepareOptions) -> Iterator[Preference]:
    """Yield one pair."""
    prompt = _prompt(row, columns)
    chosen = _side(columns.need(row, "chosen"), "chosen", has_prompt=bool(prompt))
    rejected = _side(columns.need(row, "rejected"), "rejected", has_prompt=bool(prompt))
    if prompt and chosen[: len(prompt)] == prompt and rejected[: len(prompt)] == prompt:
        chosen, rejected = chosen[len(prompt) :], rejected[len(prompt) :]
    if chosen == rejected:
        raise RowError("chosen and rejected are equal")
    shared = 0
    while shared < min(len(chosen), len(rejected)) and chosen[shared] == rejected[shared]:
        shared += 1
    prompt, chosen, rejected = (*prompt, *chosen[:shared]), chosen[shared:], rejected[shared:]
    if prompt and prompt[-1].role == "assistant" and (not chosen or not rejected):
        raise RowError(f"{'chosen' if not chosen else 'rejected'} has nothing after what both share")
    for name, side in (("chosen", chosen), ("rejected", rejected)):
        if not side:
            raise RowError(f"{name} has nothing after what both share")
        if side[0].role != "assistant":
            raise RowError(f"{name} goes on with a {side[0].role} turn where the two sides part")
        if not side[-1].content.strip() and not side[-1].tool_calls:
            raise RowError(f"{name} is empty")
        if side[-1].role != "assistant":
            raise RowError(f"{name} ends with a {side[-1].role} turn, not an answer")
    if not prompt:
        raise RowError("has no prompt, and the two sides share no turn")
    yield Preference(prompt, chosen, rejected, tools=tools_from(columns.get(row, "tools")))


def _prompt(row: Cells, columns: Columns) -> tuple[Message, ...]:
    if columns.get(row, "conversations") is not None:
        return messages_from(columns.need(row, "conversations"), column="conversations")
    value = columns.get(row, "prompt")
    if value is None:
        return ()
    if isinstance(value, str):
        text = columns.string(row, "prompt")
        turns = parse_human_assistant(text) if text.lstrip().startswith("Human:") else None
        if turns and turns[-1].role == "assistant" and not turns[-1].content:
            turns = turns[:-1]
        return turns or (Message("user", text),)
    return messages_from(value, column="prompt")


def _side(value: Json, column: str, *, has_prompt: bool) -> tuple[Message, ...]:
    if isinstance(value, str):
        if not value.strip():
            raise RowError(f"{column} is empty")
        turns = parse_human_assistant(value) if value.lstrip().startswith("Human:") else None
        if turns:
            return turns
        if not has_prompt:
            raise RowError(f"{column} is a string without turns, and there is no prompt")
        return (Message("assistant", value.strip() if value.startswith("\n\nAssistant:") else value),)
    if not isinstance(value, list | dict):
        raise RowError(f"{column} is {describe(value)}, not a string or a list of turns")
    return messages_from(value, column=column)


FORMAT = Format(makes=(Preference,), needs=("chosen", "rejected"), fits=fits, read=read)
