"""Questions and answers: `question`, `answer`, `context?`; SQuAD's nesting unfolds (`paragraphs[].qas[]`).

The user's turn is the context, a blank line, the question; `system`, `history` and `tools` are read where they stand.
Of several answers the first is trained and the others are references, which count as right in evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from dizuo.data.formats import Format
from dizuo.data.options import PrepareOptions
from dizuo.data.reading.asking import before_of
from dizuo.data.reading.columns import Columns, RowError, describe
from dizuo.data.reading.files import Cells
from dizuo.data.reading.tool_calls import tools_of
from dizuo.data.rendering.prompts import prompt_messages
from dizuo.data.task import Task
from dizuo.records import Chat, Json, Message, Origin


def fits(row: Cells, columns: Columns) -> set[str] | None:
    """Return the columns of a string question, its answer and its context, or of nested paragraphs."""
    for role in ("paragraphs", "qas"):
        nested = columns.get(row, role)
        if isinstance(nested, list) and nested and isinstance(nested[0], dict):
            return {str(columns.name(row, role))}
    if not isinstance(columns.get(row, "question"), str):
        return None
    answer = columns.get(row, "answer")
    if not isinstance(answer, str | list) and not (isinstance(answer, dict) and "text" in answer):
        return None
    used = {columns.name(row, "question"), columns.name(row, "answer"), columns.name(row, "context")}
    return {str(name) for name in used if name is not None}


def read(row: Cells, columns: Columns, options: PrepareOptions) -> Iterator[Chat | RowError]:
    """Yield one conversation per question, with its place in the row; a question that cannot be used is one bad row."""
    if columns.get(row, "paragraphs") is not None:
        name, paragraphs = columns.name(row, "paragraphs"), columns.need(row, "paragraphs")
        if not isinstance(paragraphs, list):
            raise RowError(f"{name} is {describe(paragraphs)}, not a list")
        for number, paragraph in enumerate(paragraphs):
            yield from _paragraph(paragraph, "qas", f"{name}[{number}].", options)
    elif columns.get(row, "qas") is not None:
        yield from _paragraph(row, str(columns.name(row, "qas")), "", options)
    else:
        context = columns.get(row, "context")
        chat = _chat(columns.string(row, "question"), columns.need(row, "answer"), context, options)
        yield replace(chat, messages=(*before_of(row, columns), *chat.messages), tools=tools_of(row, columns))


def _paragraph(paragraph: Json, qas: str, before: str, options: PrepareOptions) -> Iterator[Chat | RowError]:
    entries = paragraph.get(qas) if isinstance(paragraph, Mapping) else None
    if not isinstance(paragraph, Mapping) or not isinstance(entries, list):
        yield RowError(f"a paragraph has no list {qas!r}", path=before.removesuffix("."))
        return
    context = paragraph.get("context")
    for number, entry in enumerate(entries):
        path = f"{before}{qas}[{number}]"
        name = f"question {entry.get('id', '?')}" if isinstance(entry, Mapping) else "a question"
        question = entry.get("question") if isinstance(entry, Mapping) else None
        if not isinstance(entry, Mapping) or not isinstance(question, str):
            yield RowError(f"{name} has no text", path=path)
            continue
        try:
            chat = _chat(question, entry.get("answers"), context, options)
        except RowError as error:
            yield RowError(f"{name}: {error}", path=path)
            continue
        yield replace(chat, origin=Origin(path=path))


def _chat(question: str, answer: Json, context: Json, options: PrepareOptions) -> Chat:
    answers = _answers(answer)
    if not answers:
        raise RowError("has no answer")
    text = f"{context}\n\n{question}" if isinstance(context, str) and context.strip() else question
    task = Task("generation", options.instruction or "", input_template=options.input_template)
    others = tuple(dict.fromkeys(other for other in answers[1:] if other != answers[0]))
    return Chat((*prompt_messages(text, task), Message("assistant", answers[0])), references=others)


def _answers(value: Json) -> list[str]:
    if isinstance(value, Mapping):  # the column form of SQuAD: {"text": […], "answer_start": […]}
        value = value.get("text")
    if isinstance(value, str):
        value = [value]
    if value is None:
        return []
    if not isinstance(value, list):
        raise RowError(f"answer is {describe(value)}, not a string or a list")
    answers: list[str] = []
    for item in value:
        text = item.get("text") if isinstance(item, Mapping) else item
        if not isinstance(text, str):
            raise RowError("an answer is not a string")
        if text.strip():
            answers.append(text)
    return answers


FORMAT = Format(makes=(Chat,), needs=("question", "answer"), fits=fits, read=read)
