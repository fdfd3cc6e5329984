"""What an evaluation works on: the items, the training rows, the models, the options.

ChatPrompt a conversation up to the answer, with its tools; a question is one, or a raw prompt
Item       one question with its right answers, or one pair of answers
Setting    the items, the model before and after training, and the options: what all rows of a report share
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from dizuo.data import prompt_messages
from dizuo.errors import EvaluationError
from dizuo.evaluation.calls import text_of
from dizuo.evaluation.options import EvaluateOptions
from dizuo.events import Watcher
from dizuo.records import Chat, Example, Json, Labelled, Message, Preference, Text

if TYPE_CHECKING:
    from dizuo.data import Dataset, Task
    from dizuo.models import ModelSpec
    from dizuo.models.heads import Head

__all__ = ["ChatPrompt", "Item", "Question", "Setting", "WatchedAnswer", "items_of", "joined", "labels_of"]


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """A conversation up to the answer, and what may be called in it."""

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Json], ...] = ()
    """OpenAI tool definitions."""
    origin: str = field(default="", compare=False)
    """Where it stands, for errors."""


Question: TypeAlias = ChatPrompt | str
"""A conversation up to the answer, or a raw prompt, which the model continues without a template."""
TRAINING_ROWS = 50_000
"""Training rows that cheap baselines read at most."""


@dataclass(frozen=True, slots=True)
class Item:
    """One question with its right answers."""

    text: str
    """What is asked, without the instruction: for cheap baselines, and to be shown."""
    question: Question
    """What the model is shown."""
    references: tuple[str, ...]
    """Right answers, the first is the one to learn; at least one. Calls stand in them as `calls.py` writes them."""
    id: str = ""
    origin: str = ""
    pair: Preference | None = None
    """The pair of answers that is judged, where the question is which of two is better."""
    turn: Message | None = None
    """The answer to learn as a turn of a conversation, without thoughts; None behind a raw prompt."""
    thoughts: str = ""
    """What stands before the answer to learn where the task has thoughts; never compared."""

    @property
    def answer(self) -> str:
        """The first right answer."""
        return self.references[0]


@dataclass(frozen=True, slots=True)
class WatchedAnswer:
    """A line of samples.jsonl: one answer of the model while it was trained."""

    step: int
    item: str
    """Id of the example."""
    text: str
    expected: str
    answer: str
    note: str
    """Why there is no answer."""
    right: bool


@dataclass(frozen=True, slots=True)
class Setting:
    """Everything that the rows of a report share."""

    spec: ModelSpec
    data: Dataset
    task: Task
    items: list[Item]
    train: list[Item]
    options: EvaluateOptions
    watch: Watcher
    adapter: Path | None = None
    weights: Path | None = None
    head: Head | None = None
    """The tuned model's head, where it was trained with one."""

    @property
    def tuned(self) -> bool:
        """Whether there is a tuned model, beside the untuned one."""
        return self.adapter is not None or self.weights is not None

    @property
    def run(self) -> Path | None:
        """The folder of the training run, where adapter or weights lie in one."""
        result = self.adapter or self.weights
        if result is None or not (result.parent / "metrics.jsonl").is_file():
            return None
        return result.parent

    @property
    def labels(self) -> tuple[str, ...]:
        """The answers to choose from; none where answers are written."""
        if self.task.kind != "classification":
            return ()
        return self.task.labels or tuple(sorted({item.answer for item in self.train}))

    @property
    def training_rows(self) -> list[tuple[str, str]]:
        """(text, answer) of the training rows, for cheap baselines."""
        return [(item.text, item.answer) for item in self.train]

    def tuned_spec(self) -> ModelSpec:
        """Return the spec whose weights are the tuned ones, when the whole model was trained."""
        return self.spec if self.weights is None else dataclasses.replace(self.spec, folder=str(self.weights))

    def losses(self) -> list[Mapping[str, float]]:
        """Return the lines of the run's metrics.jsonl; an unfinished last one is left out."""
        if self.run is None:
            return []
        lines = (self.run / "metrics.jsonl").read_text("utf-8").split("\n")[:-1]
        return [json.loads(line) for line in lines if line.strip()]

    def samples(self) -> list[WatchedAnswer]:
        """Return the lines of the run's samples.jsonl, where it has one."""
        path = None if self.run is None else self.run / "samples.jsonl"
        if path is None or not path.is_file():
            return []
        lines = [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1] if line.strip()]
        names = [field.name for field in dataclasses.fields(WatchedAnswer)]
        return [WatchedAnswer(**{name: line[name] for name in names}) for line in lines]

    def training_seconds(self) -> float | None:
        """Return the seconds that the run's steps and evaluations took."""
        lines = self.losses()
        return sum(float(line.get("seconds", 0.0)) for line in lines) if lines else None

    def megabytes(self, *, tuned: bool) -> float:
        """Return what has to be kept to run the model, in 10⁶ bytes: weights, and the adapter."""
        folders = [Path(self.tuned_spec().folder if tuned else self.spec.folder)]
        if tuned and self.adapter is not None:
            folders.append(self.adapter)
        return sum(path.stat().st_size for folder in folders for path in folder.glob("*.safetensors")) / 1e6


def labels_of(setting: Setting) -> tuple[str, ...]:
    """Return the answers to choose from.

    Raises:
        EvaluationError: there are fewer than two.
    """
    labels = setting.labels
    if len(labels) < 2:
        raise EvaluationError(f"the task has {len(labels)} labels, and a choice needs two", hint="check the data set")
    return labels


def joined(messages: Sequence[Message]) -> str:
    """Return the text of several messages, calls included, with a blank line between them."""
    return "\n\n".join(message.content if not message.tool_calls else text_of(message) for message in messages)


def items_of(examples: Sequence[Example], task: Task | None, limit: int = 0) -> list[Item]:
    """Return the first `limit` (0: all) examples as questions with their right answers.

    Raises:
        EvaluationError: examples that hold no question with a right answer.
    """
    count = min(limit or len(examples), len(examples))
    return [_item(examples[i], task) for i in range(count)]


def _item(example: Example, task: Task | None) -> Item:
    origin = str(example.origin)
    if isinstance(example, Labelled) and task is not None:
        answer = ", ".join(example.labels)
        asked = ChatPrompt(prompt_messages(example.text, task), origin=origin)
        return Item(example.text, asked, (answer,), example.id, origin, turn=Message("assistant", answer))
    if isinstance(example, Chat):
        last = max((i for i, m in enumerate(example.messages) if m.role == "assistant"), default=0)
        if last > 0:
            text = next((m.content for m in reversed(example.messages[:last]) if m.role == "user"), "")
            asked = ChatPrompt(example.messages[:last], example.tools, origin)
            thoughts, answer = example.messages[last].thoughts_and_answer()
            turn = Message("assistant", answer, tool_calls=example.messages[last].tool_calls)
            references = (text_of(turn), *example.references)
            return Item(text, asked, references, example.id, origin, turn=turn, thoughts=thoughts)
    if isinstance(example, Text) and example.prompt:
        return Item(example.prompt, example.prompt, (example.text,), example.id, origin)
    what = "running text" if isinstance(example, Text) else f"a {type(example).__name__.lower()}"
    raise EvaluationError(
        f"{origin or 'an example'} is {what} without a question and its right answer",
        hint="evaluate classes, prompts with completions, or conversations that end in the assistant's answer",
    )
