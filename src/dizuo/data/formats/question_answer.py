"""Questions and answers: `question`, `answer`, `context?`; SQuAD's nesting unfolds (`paragraphs[].qas[]`).

The user's turn is the context, a blank line, the question. Of several answers the first is trained and the others
are references, which count as right in evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from dizuo.data.options import PrepareOptions
from dizuo.data.reading.columns import Columns, RowError, describe
from dizuo.data.task import Task, prompt_messages
from dizuo.records import Chat, Message, Origin

KIND = Chat
NEEDS = ("question", "answer")


def fits(row: Mapping[str, Any], columns: Columns) -> set[str] | None:
    """A string question with an answer, or nested paragraphs."""
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


def read(row: Mapping[str, Any], columns: Columns, options: PrepareOptions) -> Iterator[Chat | RowError]:
    """One conversation per question, with its place in the row; a question that cannot be used is one bad row."""
    if columns.get(row, "paragraphs") is not None:
        name = columns.name(row, "paragraphs")
        for place, paragraph in enumerate(columns.get(row, "paragraphs")):
            yield from _paragraph(paragraph, "qas", f"{name}[{place}].", options)
    elif columns.get(row, "qas") is not None:
        yield from _paragraph(row, str(columns.name(row, "qas")), "", options)
    else:
        context = columns.get(row, "context")
        yield _chat(columns.string(row, "question"), columns.need(row, "answer"), context, options)


def _paragraph(paragraph: Any, qas: str, before: str, options: PrepareOptions) -> Iterator[Chat | RowError]:
    if not isinstance(paragraph, Mapping) or not isinstance(paragraph.get(qas), list):
        yield RowError(f"a paragraph has no list {qas!r}", path=before.removesuffix("."))
        return
    for number, entry in enumerate(paragraph[qas]):
        place = f"{before}{qas}[{number}]"
        name = f"question {entry.get('id', '?')}" if isinstance(entry, Mapping) else "a question"
        if not isinstance(entry, Mapping) or not isinstance(entry.get("question"), str):
            yield RowError(f"{name} has no text", path=place)
            continue
        try:
            chat = _chat(entry["question"], entry.get("answers"), paragraph.get("context"), options)
        except RowError as error:
            yield RowError(f"{name}: {error}", path=place)
            continue
        yield replace(chat, origin=Origin(path=place))


def _chat(question: str, answer: Any, context: Any, options: PrepareOptions) -> Chat:
    answers = _answers(answer)
    if not answers:
        raise RowError("has no answer")
    text = f"{context}\n\n{question}" if isinstance(context, str) and context.strip() else question
    task = Task("generation", options.instruction or "", input_template=options.input_template)
    others = tuple(dict.fromkeys(other for other in answers[1:] if other != answers[0]))
    return Chat((*prompt_messages(text, task), Message("assistant", answers[0])), references=others)


def _answers(value: Any) -> list[str]:
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
