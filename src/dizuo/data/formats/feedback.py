"""Feedback on single answers (KTO): `prompt`, `completion`, `tools?`, and `label` or `kto_tag`: wanted or not.

True, 1, "1" and "true" are wanted, their opposites are not, in any file; anything else is a bad row.
"""

from __future__ import annotations

from collections.abc import Iterator

from dizuo.data.formats import Format
from dizuo.data.options import PrepareOptions
from dizuo.data.reading.columns import Columns, RowError, describe
from dizuo.data.reading.files import Cells
from dizuo.data.reading.turns import is_turn_list, messages_from, tools_from
from dizuo.records import Feedback, Message

_TRUTH = {"true": True, "1": True, "false": False, "0": False}


def fits(row: Cells, columns: Columns) -> set[str] | None:
    """Return the columns of a prompt, an answer and a true-or-false value."""
    for role in ("prompt", "completion"):
        value = columns.get(row, role)
        if not isinstance(value, str) and not is_turn_list(value):
            return None
    value = columns.get(row, "desirable")
    if not isinstance(value, bool | int | str) or str(value).strip().lower() not in _TRUTH:
        return None
    return {str(columns.name(row, role)) for role in ("prompt", "completion", "desirable")}


def read(row: Cells, columns: Columns, options: PrepareOptions) -> Iterator[Feedback]:
    """Yield one judged answer."""
    value = columns.need(row, "desirable")
    wanted = _TRUTH.get(str(value).strip().lower())
    if wanted is None:
        shown = repr(value) if isinstance(value, str) else describe(value)
        raise RowError(f"{columns.name(row, 'desirable')} is {shown}, not true or false")
    yield Feedback(
        _messages(row, columns, "prompt", "user"),
        _messages(row, columns, "completion", "assistant"),
        wanted,
        tools=tools_from(columns.get(row, "tools")),
    )


def _messages(row: Cells, columns: Columns, role: str, speaker: str) -> tuple[Message, ...]:
    value = columns.need(row, role)
    if isinstance(value, str):
        return (Message(speaker, columns.string(row, role)),)
    return messages_from(value, column=role)


FORMAT = Format(makes=(Feedback,), needs=("prompt", "completion", "desirable"), fits=fits, read=read)
