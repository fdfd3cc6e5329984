"""Multiple choice: a `question`, its choices, and which of them is right, in the forms of MMLU, ARC and C-Eval.

The choices are `options` or `choices` (a list, an object of marks and texts, or ARC's `{text: […], label: […]}`), or
columns `A`, `B`, `C`, …. The user's turn is the question, a blank line, and a line per choice, `A. red`; the answer is
the mark, or the choice's text where the row answers with the text. A whole number counts choices from 0.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping

from dizuo.data.formats import Format
from dizuo.data.options import PrepareOptions
from dizuo.data.reading.asking import before_of
from dizuo.data.reading.columns import Columns, RowError, describe
from dizuo.data.reading.files import Cells
from dizuo.data.rendering.prompts import prompt_messages
from dizuo.data.task import Task
from dizuo.records import Chat, Json, Message

_MARKS = string.ascii_uppercase


def fits(row: Cells, columns: Columns) -> set[str] | None:
    """Return the columns of a string question, two choices at least, and the answer."""
    if not isinstance(columns.get(row, "question"), str):
        return None
    held = _columns_of_choices(row, columns)
    answer = columns.name(row, "answer_key")
    if answer is None or answer in held or isinstance(row[answer], bool) or not isinstance(row[answer], str | int):
        return None
    try:
        if len(_choices(row, columns)) < 2:
            return None
    except RowError:
        return None
    used = {columns.name(row, "question"), columns.name(row, "context"), answer, *held}
    return {str(name) for name in used if name is not None}


def read(row: Cells, columns: Columns, options: PrepareOptions) -> Iterator[Chat]:
    """Yield one conversation: the question with its choices, and the right one."""
    question = columns.string(row, "question")
    context = columns.get(row, "context")
    if isinstance(context, str) and context.strip():
        question = f"{context}\n\n{question}"
    choices = _choices(row, columns)
    if len(choices) < 2:
        raise RowError(f"has {len(choices)} choices")
    lines = "\n".join(f"{mark}. {text}" for mark, text in choices.items())
    answer = _answer(columns.need(row, "answer_key"), choices, str(columns.name(row, "answer_key")))
    task = Task("generation", options.instruction or "", input_template=options.input_template)
    asked = (*before_of(row, columns), *prompt_messages(f"{question}\n\n{lines}", task))
    yield Chat((*asked, Message("assistant", answer)))


def _columns_of_choices(row: Cells, columns: Columns) -> list[str]:
    if (name := columns.name(row, "options")) is not None:
        return [name]
    held = []
    for mark in _MARKS:
        if mark not in row:
            break
        held.append(mark)
    return held if len(held) > 1 else []


def _choices(row: Cells, columns: Columns) -> dict[str, str]:
    """Return the choices by mark."""
    held = _columns_of_choices(row, columns)
    if columns.name(row, "options") is None:
        pairs: list[tuple[Json, Json]] = [(mark, row[mark]) for mark in held if row[mark] not in (None, "")]
    else:
        pairs = _pairs(columns.need(row, "options"))
    choices = {}
    for mark, text in pairs:
        if not isinstance(text, str | int | float) or isinstance(text, bool) or not str(text).strip():
            raise RowError(f"the choice {mark} is {describe(text)}, not a text")
        choices[str(mark).strip()] = str(text).strip()
    return choices


def _pairs(value: Json) -> list[tuple[Json, Json]]:
    if isinstance(value, Mapping):
        texts, marks = value.get("text"), value.get("label")
        if isinstance(texts, list) and isinstance(marks, list) and len(texts) == len(marks):
            return list(zip(marks, texts))
        return list(value.items())
    if isinstance(value, list):
        if all(isinstance(item, Mapping) for item in value):
            marks = [item.get("label", item.get("key")) for item in value]
            named = [mark if isinstance(mark, str) else _MARKS[at % 26] for at, mark in enumerate(marks)]
            return [(mark, item.get("text")) for mark, item in zip(named, value)]
        return [(_MARKS[at % 26], item) for at, item in enumerate(value)]
    raise RowError(f"the choices are {describe(value)}, not a list or an object")


def _answer(value: Json, choices: Mapping[str, str], column: str) -> str:
    """Return the right choice as the row names it: its mark, or its text."""
    if isinstance(value, int) and not isinstance(value, bool):
        if str(value) in choices:
            return str(value)
        if 0 <= value < len(choices):
            return list(choices)[value]
        raise RowError(f"{column} is {value}; there are {len(choices)} choices, counted from 0")
    if not isinstance(value, str):
        raise RowError(f"{column} is {describe(value)}, not a choice")
    bare = value.strip().strip("().").strip()
    if bare in choices:
        return bare
    if value.strip() in choices.values():
        return value.strip()
    raise RowError(f"{column} is {value!r}, which is none of the choices {', '.join(choices)}")


FORMAT = Format(makes=(Chat,), needs=("question", "options", "answer_key"), fits=fits, read=read)
