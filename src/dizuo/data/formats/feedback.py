"""Feedback on single answers (KTO): a question, its answer, and `label` or `kto_tag`: wanted or not.

The question and the answer are a `prompt` with its `completion`, a `question` with its `answer`, an `instruction` with
its `output` (LLaMA-Factory), or a conversation whose last turn is judged (ms-swift). True, 1, "true" and "yes" are
wanted, their opposites are not, in any file; anything else is a bad row.
"""

from __future__ import annotations

from collections.abc import Iterator

from dizuo.data.formats import Format
from dizuo.data.options import PrepareOptions
from dizuo.data.reading.asking import TURNS, asked_of, asking_columns
from dizuo.data.reading.columns import Columns, RowError, describe, truth_of
from dizuo.data.reading.files import Cells
from dizuo.data.reading.tool_calls import check_parallel, tools_of
from dizuo.data.reading.turns import is_turn_list, messages_from
from dizuo.records import Feedback, Message

_ANSWERS = {"prompt": "completion", "question": "answer", "instruction": "output"}
"""The role of a question and the role of its answer."""


def fits(row: Cells, columns: Columns) -> set[str] | None:
    """Return the columns of a question, an answer and a true-or-false value."""
    if truth_of(columns.get(row, "desirable")) is None:
        return None
    judged = str(columns.name(row, "desirable"))
    if any(is_turn_list(columns.get(row, role)) for role in TURNS):
        return {judged, *asking_columns(row, columns)}
    for question, answer in _ANSWERS.items():
        values = columns.get(row, question), columns.get(row, answer)
        if all(isinstance(value, str) or is_turn_list(value) for value in values):
            return {judged, str(columns.name(row, answer)), *asking_columns(row, columns, turns=False)}
    return None


def read(row: Cells, columns: Columns, options: PrepareOptions) -> Iterator[Feedback]:
    """Yield one judged answer."""
    value = columns.need(row, "desirable")
    wanted = truth_of(value)
    if wanted is None:
        shown = repr(value) if isinstance(value, str) else describe(value)
        raise RowError(f"{columns.name(row, 'desirable')} is {shown}, not true or false")
    prompt, completion = _parts(row, columns)
    if completion[-1].weight == 0:
        raise RowError("the answer that is judged has weight 0")
    check_parallel(row, columns, completion)
    yield Feedback(prompt, completion, wanted, tools=tools_of(row, columns))


def _parts(row: Cells, columns: Columns) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    """Return the question and the answer."""
    pairs = [
        (question, answer)
        for question, answer in _ANSWERS.items()
        if columns.name(row, question) is not None and columns.name(row, answer) is not None
    ]
    if not pairs and any(columns.name(row, role) is not None for role in TURNS):
        turns = asked_of(row, columns)
        if not turns or turns[-1].role != "assistant":
            raise RowError("the conversation does not end with an answer, which would be judged")
        if len(turns) == 1:
            raise RowError("the conversation has no question")
        return turns[:-1], turns[-1:]
    question, answer = pairs[0] if pairs else ("prompt", "completion")
    columns.need(row, question)
    prompt = asked_of(row, columns, turns_first=False)
    value = columns.need(row, answer)
    if isinstance(value, str):
        return prompt, (Message("assistant", columns.string(row, answer)),)
    return prompt, messages_from(value, column=answer)


FORMAT = Format(makes=(Feedback,), needs=("prompt", "completion", "desirable"), fits=fits, read=read)
