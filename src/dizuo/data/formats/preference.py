"""Preference pairs: a question with a better and a worse answer, in the forms of TRL, LLaMA-Factory, ms-swift, axolotl
and OpenAI.

The answers are strings, message lists or single messages under `chosen` and `rejected` (or `preferred_output`, …);
with `messages` and `rejected_response` alone the last answer of the conversation is the chosen one. The question is
whatever `reading/asking.py` finds; without one the turns that both sides share are it. HH-RLHF transcripts
(`\\n\\nHuman: …`) are parsed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dizuo.data.formats import Format
from dizuo.data.options import PrepareOptions
from dizuo.data.reading.asking import TURNS, asked_of, asking_columns
from dizuo.data.reading.columns import Columns, RowError, describe
from dizuo.data.reading.files import Cells
from dizuo.data.reading.keys import peek
from dizuo.data.reading.tool_calls import check_parallel, tools_from, tools_of
from dizuo.data.reading.turns import is_turn_list, messages_from, parse_human_assistant
from dizuo.records import Json, Message, Preference


def fits(row: Cells, columns: Columns) -> set[str] | None:
    """Return the columns of two answers, each a string, a turn or a list of turns, and of their question."""
    asked = asking_columns(row, columns)
    sides = ("chosen", "rejected") if columns.name(row, "chosen") is not None else ("rejected",)
    for role in sides:
        value = columns.get(row, role)
        if not isinstance(value, str) and not is_turn_list([value] if isinstance(value, dict) else value):
            return None
    if len(sides) == 1 and not any(is_turn_list(columns.get(row, role)) for role in TURNS):
        return None
    repeated = {name for role in TURNS if (name := columns.name(row, role)) is not None}
    return {*(str(columns.name(row, role)) for role in sides), *asked, *repeated}


def read(row: Cells, columns: Columns, options: PrepareOptions) -> Iterator[Preference]:
    """Yield one pair."""
    if columns.get(row, "chosen") is None and any(columns.name(row, role) is not None for role in TURNS):
        prompt, chosen = _answered(asked_of(row, columns))
    else:
        prompt = asked_of(row, columns, turns_first=False)
        chosen = _side(columns.need(row, "chosen"), "chosen", has_prompt=bool(prompt))
    rejected = _side(columns.need(row, "rejected"), "rejected", has_prompt=bool(prompt))
    chosen, rejected = (_after(prompt, side) for side in (chosen, rejected))
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
    _check_scores(row, columns)
    _read_copy(row, columns, (*prompt, *chosen))
    check_parallel(row, columns, (*chosen, *rejected))
    yield Preference(prompt, chosen, rejected, tools=_tools(row, columns, (*chosen, *rejected)))


def _tools(row: Cells, columns: Columns, answers: tuple[Message, ...]) -> tuple[Mapping[str, Json], ...]:
    name = columns.name(row, "input")
    given = None if name is None else peek(row, name)
    if isinstance(given, Mapping):  # OpenAI's form has them beside the question
        given = columns.need(row, "input")
        assert isinstance(given, Mapping)
        check_parallel(given, columns, answers)
        return tools_from(given.get("tools"))
    return tools_of(row, columns)


def _answered(turns: tuple[Message, ...]) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    """Return a conversation as (question, its last answer)."""
    if not turns or turns[-1].role != "assistant":
        raise RowError("the conversation does not end with an answer, which would be the chosen one")
    if len(turns) == 1:
        raise RowError("the conversation has no question")
    return turns[:-1], turns[-1:]


def _after(prompt: tuple[Message, ...], side: tuple[Message, ...]) -> tuple[Message, ...]:
    """Return a side without the prompt, where it repeats it."""
    return side[len(prompt) :] if prompt and side[: len(prompt)] == prompt else side


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


def _check_scores(row: Cells, columns: Columns) -> None:
    """Refuse a pair whose own scores say that the rejected answer is the better one."""
    if columns.name(row, "chosen_score") is None or columns.name(row, "rejected_score") is None:
        return
    better, worse = columns.get(row, "chosen_score"), columns.get(row, "rejected_score")
    if better is None or worse is None:
        return
    if not isinstance(better, int | float) or not isinstance(worse, int | float):
        raise RowError(f"{columns.name(row, 'chosen_score')} is {describe(better)}, not a number")
    if better < worse:
        names = columns.name(row, "chosen_score"), columns.name(row, "rejected_score")
        raise RowError(f"{names[0]} is {better} and {names[1]} {worse}: chosen is the worse answer")


def _read_copy(row: Cells, columns: Columns, chosen: tuple[Message, ...]) -> None:
    """Count a conversation as read that only repeats the chosen side, as UltraFeedback has it."""
    for role in TURNS:
        name = columns.name(row, role)
        value = None if name is None else peek(row, name)
        if is_turn_list(value) and messages_from(value, column=role) == chosen:
            messages_from(columns.need(row, role), column=role)


FORMAT = Format(makes=(Preference,), needs=("chosen", "rejected"), fits=fits, read=read)
