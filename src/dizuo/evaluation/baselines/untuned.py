"""The language model as it came, asked as the tuned one is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dizuo.evaluation.baselines import Baseline, Prompt
from dizuo.evaluation.options import EvaluateOptions

if TYPE_CHECKING:
    from dizuo.evaluation.setting import Question
    from dizuo.records import Message

__all__ = ["BASELINE", "prompts"]


def prompts(
    rows: Sequence[tuple[Question, Message | str]], *, labels: Sequence[str], options: EvaluateOptions
) -> Callable[[Question], Question]:
    """Return a function that gives what is shown for a question: the question itself."""
    return lambda question: question


BASELINE = Baseline(title="untuned", answers=("label", "labels", "text"), how=Prompt(prompts))
