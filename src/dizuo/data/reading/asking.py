"""Reads what stands before an answer, in all the columns that people keep it in.

`system` comes first, then `history` (earlier questions with their answers), then the question: a `prompt`, a
`question` with its `context`, an `instruction` with its `input`, or the turns of a conversation. Every format that
needs a question asks here, so that a column which one of them reads is read by all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dizuo.data.reading.columns import Columns, RowError, describe
from dizuo.data.reading.files import Cells
from dizuo.data.reading.keys import peek
from dizuo.data.reading.turns import is_turn_list, messages_from, parse_human_assistant
from dizuo.records import Json, Message

__all__ = ["asked_of", "asking_columns", "before_of", "instructed", "turns_of"]

TURNS = ("messages", "conversations")
"""Roles of columns that hold the turns of a conversation."""
ASKING = ("prompt", "question", "instruction")
"""Roles of columns that hold a question as text."""


def asking_columns(row: Cells, columns: Columns, *, turns: bool = True) -> set[str]:
    """Return the columns of a row that hold a question or belong to it; empty where there is none."""
    if turns and (name := _turns_column(row, columns)) is not None:
        return {name, *_names(row, columns, "system", "prompt")}
    value = columns.get(row, "input")
    if isinstance(value, Mapping) and is_turn_list(value.get("messages")):
        return {str(columns.name(row, "input"))}
    for role in ASKING:
        value = columns.get(row, role)
        if isinstance(value, str) or is_turn_list(value):
            beside = {"question": ("context",), "instruction": ("input",)}.get(role, ())
            return _names(row, columns, role, *beside, "system", "history")
    return set()


def before_of(row: Cells, columns: Columns, turns: Sequence[Message] = ()) -> tuple[Message, ...]:
    """Return what a row says before its question: the system text and the history.

    Args:
        row: the row.
        columns: finds its columns.
        turns: the turns that follow; a system text that they begin with already is not said twice.

    Raises:
        RowError: one of them is of another type.
    """
    return (*_system(row, columns, turns), *_history(row, columns))


def asked_of(row: Cells, columns: Columns, *, turns_first: bool = True) -> tuple[Message, ...]:
    """Return all that stands before the answer, or nothing where the row has no question of its own.

    Args:
        row: the row.
        columns: finds its columns.
        turns_first: a conversation is the question, also where the row has a prompt besides.

    Raises:
        RowError: it is there and cannot be read.
    """
    role = next((role for role in TURNS if columns.name(row, role) is not None), None)
    prompted = not turns_first and any(columns.name(row, role) is not None for role in ASKING)
    if role is not None and not prompted and columns.get(row, role) is not None:
        return turns_of(row, columns, role)
    name = columns.name(row, "input")
    if name is not None and isinstance(peek(row, name), Mapping):
        given = columns.need(row, "input")
        turns = messages_from(given.get("messages") if isinstance(given, Mapping) else None, column=f"{name}.messages")
        return (*before_of(row, columns, turns), *turns)
    role = next((role for role in ASKING if columns.get(row, role) is not None), None)
    if role is None:
        return ()
    value = columns.get(row, role)
    if not isinstance(value, str):
        turns = messages_from(value, column=role)
        return (*before_of(row, columns, turns), *turns)
    if columns.name(row, role) == columns.name(row, "instruction"):
        question = instructed(columns.string(row, role, empty=True), columns.get(row, "input"))
    else:
        question = columns.string(row, role)
        if transcript := _transcript(question):
            return (*before_of(row, columns), *transcript)
        if role == "question" and isinstance(context := columns.get(row, "context"), str) and context.strip():
            question = f"{context}\n\n{question}"
    return (*before_of(row, columns), Message("user", question))


def turns_of(row: Cells, columns: Columns, role: str) -> tuple[Message, ...]:
    """Return the turns of a conversation, with what the row says before them.

    Raises:
        RowError: a turn cannot be read.
    """
    turns = messages_from(columns.need(row, role), column=role)
    return (*before_of(row, columns, turns), *turns)


def instructed(instruction: str, given: Json) -> str:
    """Return an instruction with its input behind a blank line; either may be empty, not both.

    Raises:
        RowError: the input is no string, or both are empty.
    """
    if given is not None and not isinstance(given, str):
        raise RowError(f"input is {describe(given)}, not a string")
    parts = [part for part in (instruction, given or "") if part.strip()]
    if not parts:
        raise RowError("instruction is empty")
    return "\n\n".join(parts)


def _turns_column(row: Cells, columns: Columns) -> str | None:
    for role in TURNS:
        if is_turn_list(columns.get(row, role)):
            return columns.name(row, role)
    return None


def _names(row: Cells, columns: Columns, *roles: str) -> set[str]:
    return {name for role in roles if (name := columns.name(row, role)) is not None}


def _system(row: Cells, columns: Columns, turns: Sequence[Message]) -> tuple[Message, ...]:
    system = columns.get(row, "system")
    if system is None:
        return ()
    name = columns.name(row, "system")
    if not isinstance(system, str):
        raise RowError(f"{name} is {describe(system)}, not a string")
    if not system.strip():
        return ()
    if turns and turns[0].role == "system":
        if turns[0].content.strip() == system.strip():
            return ()
        raise RowError(f"has a system text in {name} and another one as its first turn")
    return (Message("system", system),)


def _history(row: Cells, columns: Columns) -> tuple[Message, ...]:
    history = columns.get(row, "history") or ()
    if not isinstance(history, Sequence | Mapping) or isinstance(history, str):
        raise RowError(f"history is {describe(history)}, not a list of pairs")
    before: list[Message] = []
    if is_turn_list(history):
        return messages_from(history, column="history")
    for number, turn in enumerate(history, start=1):
        match turn:
            case [str(asked), str(answered)]:
                before += [Message("user", asked), Message("assistant", answered)]
            case _:
                raise RowError(f"turn {number} of history is not a pair of strings")
    return tuple(before)


def _transcript(text: str) -> tuple[Message, ...]:
    """Return the turns of a prompt that is an HH-RLHF transcript, without an answer that is still to come."""
    turns = parse_human_assistant(text) if text.lstrip().startswith("Human:") else None
    if turns and turns[-1].role == "assistant" and not turns[-1].content:
        turns = turns[:-1]
    return turns or ()
