"""Writes a task's question about a text as messages, and an example as a conversation.

The same functions write a training row, a test item and a request at the served model, so that what is asked in
training is what is asked later.
"""

from __future__ import annotations

from dizuo.data.task import Task
from dizuo.errors import DataError
from dizuo.records import Chat, Example, Labelled, Message

__all__ = ["chat_for", "default_instruction", "prompt_messages"]

SEPARATOR = ", "
"""Stands between the labels of a multi-label answer."""


def default_instruction(labels: tuple[str, ...], *, multi_label: bool = False) -> str:
    """Return the instruction of a classification task whose author gave none."""
    if multi_label:
        return f"Classify the text. Answer with all that apply of: {SEPARATOR.join(labels)}."
    return f"Classify the text. Answer with one of: {SEPARATOR.join(labels)}."


def prompt_messages(text: str, task: Task) -> tuple[Message, ...]:
    """Return the messages that ask `task` about one text: instruction, a blank line, the text."""
    body = task.input_template.replace("{text}", text)
    return (Message("user", f"{task.instruction}\n\n{body}" if task.instruction else body),)


def chat_for(example: Example, task: Task | None) -> Chat:
    """Return the conversation that trains or tests one example.

    A `Labelled` becomes one user turn (instruction, blank line, text) and the label as the assistant's turn;
    a `Chat` passes through unchanged.

    Raises:
        DataError: the example is of a kind that has no conversation (text, preference, feedback, pair).
    """
    if isinstance(example, Chat):
        return example
    if isinstance(example, Labelled):
        if task is None:
            raise DataError("a labelled example needs its task", hint="pass the dataset's task: data.task")
        answer = Message("assistant", SEPARATOR.join(example.labels))
        return Chat(
            messages=(*prompt_messages(example.text, task), answer),
            group=example.group,
            id=example.id,
            origin=example.origin,
        )
    raise DataError(
        f"{example.origin or 'an example'} is a {type(example).__name__.lower()}, which is no conversation",
        hint="choose a training method for this kind of record",
    )
