"""What a data set asks of a model, and how an example becomes a conversation.

The same task turns a training row, a test item and a request at the served model into the same messages,
so that what is asked in training is what is asked later. It travels with the model as `task.json`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from dizuo.errors import DataError, did_you_mean
from dizuo.records import Chat, Example, Labelled, Message

__all__ = ["KINDS", "Task", "chat_for", "default_instruction", "prompt_messages"]

KINDS = ("classification", "generation", "text", "preference", "feedback")
SEPARATOR = ", "
"""Stands between the labels of a multi-label answer."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked."""

    kind: str
    """One of `KINDS`."""
    instruction: str = ""
    """Put before every input, with a blank line between; empty for none."""
    labels: tuple[str, ...] = ()
    """The answers a classification may give, sorted."""
    input_template: str = "{text}"
    """How the input is written, with `{text}` once; `"Ticket: {text}"` for example."""
    multi_label: bool = False
    """True when a text may carry several labels; the answer joins them with a comma and a space."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError(
                f"there is no task kind {self.kind!r}{did_you_mean(self.kind, KINDS)}",
                hint=f"choose one of: {', '.join(KINDS)}",
            )
        if self.input_template.count("{text}") != 1:
            raise DataError(
                f"input_template is {self.input_template!r}; it must hold {{text}} exactly once",
                hint='write it like "Ticket: {text}"',
            )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; `from_json` is the inverse."""
        return {**asdict(self), "labels": list(self.labels)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Task:
        """Return the task that `to_json` wrote; fields that this version does not know are refused."""
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(value) - known)
        if unknown:
            raise DataError(
                f"task.json has unknown fields: {', '.join(unknown)}",
                hint="it was written by a newer dizuo: upgrade with pip install -U dizuo",
            )
        return cls(**{**value, "labels": tuple(value.get("labels", ()))})

    @classmethod
    def read(cls, path: Path) -> Task:
        """Return the task in a `task.json` file."""
        return cls.from_json(json.loads(path.read_text("utf-8")))


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
