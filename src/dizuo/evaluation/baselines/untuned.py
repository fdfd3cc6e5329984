"""The language model as it came, asked as the tuned one is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from dizuo.evaluation.options import EvaluateOptions
from dizuo.records import Message

TITLE = "untuned"
KINDS = ("classification", "generation")

Question: TypeAlias = tuple[Message, ...]


def prompts(
    rows: Sequence[tuple[Question, str]], *, labels: Sequence[str], options: EvaluateOptions
) -> Callable[[Question], Question]:
    """Return a function that gives a question's messages to show: the question itself."""
    return lambda question: question
