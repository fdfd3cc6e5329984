"""Where each trained turn of a row stands in its token sequences.

It is found from outside: by the prompt that serving would send, and by the tokens at which serving would stop.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dizuo.data import chat_for
from dizuo.data.rendering.conversations import Rendered, render_prompt
from dizuo.data.task import Task
from dizuo.errors import DizuoError
from dizuo.records import Chat, Example, Feedback, Labelled, Message, Preference
from dizuo.training.doctor.subject import Row, Subject

if TYPE_CHECKING:
    from dizuo.data.rendering.tokenizer import Tokenizer

__all__ = ["Turn", "chats_of", "find_turns", "find_turns_of", "raw_text", "same_text"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer that a row trains."""

    row: Row
    number: int
    """Which message of its conversation it is, from 1."""
    message: Message
    prompt: tuple[int, ...]
    """What serving sends to the model before this answer."""
    sequence: Rendered | None
    """The training sequence that begins with that prompt, ids for ids; None where no sequence does."""
    stop: int | None = None
    """Where in the sequence the first token stands, from the prompt's end on, at which serving stops; None if nowhere.
    The answer is `sequence.ids[len(prompt) : stop + 1]`."""

    @property
    def place(self) -> str:
        """The row's place with the turn, as in `chats.jsonl:3, turn 2`."""
        return f"{self.row.place}, turn {self.number}"

    def ids(self) -> list[int]:
        """Return the answer's token ids, its end included where it has one."""
        assert self.sequence is not None
        stop = len(self.sequence.ids) if self.stop is None else self.stop + 1
        return [int(token) for token in self.sequence.ids[len(self.prompt) : stop]]


def chats_of(example: Example, task: Task | None) -> list[tuple[Chat, int]]:
    """Return the conversations of an example, each with the number of messages before its first trained one."""
    if isinstance(example, Chat | Labelled):
        return [(chat_for(example, task), 0)]
    if isinstance(example, Preference):
        return [
            (Chat((*example.prompt, *answer), tools=example.tools), len(example.prompt))
            for answer in (example.chosen, example.rejected)
        ]
    if isinstance(example, Feedback):
        return [(Chat((*example.prompt, *example.completion), tools=example.tools), len(example.prompt))]
    return []


def find_turns(subject: Subject) -> Iterator[Turn]:
    """Yield every trained turn of the rows that could be written as tokens; running text has none."""
    from dizuo.models import end_of_turn_ids

    stops = end_of_turn_ids(subject.tokenizer)
    for row in subject.rows:
        if row.sequences:
            yield from find_turns_of(row, subject, stops=stops)


def find_turns_of(row: Row, subject: Subject, *, stops: Sequence[int]) -> Iterator[Turn]:
    """Yield the trained turns of one row."""
    for chat, first in chats_of(row.example, subject.data.task):
        for number, message in enumerate(chat.messages):
            if message.role != "assistant" or number < first or not message.weight > 0:
                continue
            try:
                thinking = bool(message.thoughts_and_answer()[0])
                before = chat.messages[:number]
                prompt = tuple(render_prompt(subject.tokenizer, before, tools=chat.tools, thinking=thinking))
            except DizuoError:
                continue
            located = [_locate(row, number, message, prompt, sequence, stops) for sequence in row.sequences]
            fitting = [turn for turn in located if turn is not None]
            if not fitting:
                yield Turn(row, number + 1, message, prompt, None)
                continue
            # Both answers of a pair follow one prompt: take the sequence that has this one.
            texts = [same_text(message.content, subject.tokenizer.decode(turn.ids())) for turn in fitting]
            yield fitting[texts.index(True)] if True in texts else fitting[0]


def _locate(
    row: Row, number: int, message: Message, prompt: tuple[int, ...], sequence: Rendered, stops: Sequence[int]
) -> Turn | None:
    """Return the turn in a sequence that begins with its prompt; None for any other sequence."""
    ids = sequence.ids
    if len(ids) < len(prompt) or not np.array_equal(ids[: len(prompt)], prompt):
        return None
    ends = np.flatnonzero(np.isin(ids[len(prompt) :], stops))
    return Turn(row, number + 1, message, prompt, sequence, int(ends[0]) + len(prompt) if len(ends) else None)


def same_text(content: str, decoded: str) -> bool:
    """Return whether decoded tokens hold a message's text, up to white space and what a tokenizer may fold."""
    return _folded(content) in _folded(decoded)


def _folded(text: str) -> str:
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text).casefold())


def raw_text(tokenizer: Tokenizer, chat: Chat) -> str | None:
    """Return what the model's own template makes of a conversation, asked without dizuo's care; None if it refuses."""
    try:
        text: str = tokenizer.apply_chat_template(
            [message.as_template_dict() for message in chat.messages],
            tools=[dict(tool) for tool in chat.tools] or None,
            tokenize=False,
            add_generation_prompt=False,
        )
    except Exception:  # a template is a program, and raises what it likes
        return None
    return text
