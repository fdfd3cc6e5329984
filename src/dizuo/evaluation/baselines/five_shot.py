"""The language model as it came, with examples in its prompt (Brown et al., 2020): the tuning that costs nothing.

Every question has the same examples, so the token tree computes them once per pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from dizuo.evaluation.baselines import Baseline, Prompt
from dizuo.evaluation.options import EvaluateOptions
from dizuo.records import Message

if TYPE_CHECKING:
    from dizuo.evaluation.setting import Question

__all__ = ["BASELINE", "choose", "prompts"]


def prompts(
    rows: Sequence[tuple[Question, str]], *, labels: Sequence[str], options: EvaluateOptions
) -> Callable[[Question], Question]:
    """Return a function that puts answered training questions before a question.

    They are earlier turns of a conversation; raw prompts with their answers stand before a raw prompt, with a blank
    line after each.

    A question is never among its own examples: where it was drawn, others are drawn for it.

    Args:
        rows: training questions with their answers.
        labels: examples are drawn in turn from these; empty for tasks without labels.
        options: `shots` and `seed`.
    """

    def drawn(rows: Sequence[tuple[Question, str]]) -> tuple[list[Question], Question]:
        shown = [rows[i] for i in choose([answer for _, answer in rows], labels=labels, options=options)]
        return [question for question, _ in shown], _joined(shown)

    asked, usual = drawn(rows)

    def ask(question: Question) -> Question:
        before = usual if question not in asked else drawn([row for row in rows if row[0] != question])[1]
        if isinstance(question, str) or isinstance(before, str):
            assert isinstance(question, str)
            assert isinstance(before, str)
            return before + question
        # A system turn must stay the first one, and stand there once.
        system = [message for message in question if message.role in ("system", "developer")]
        if not system:
            return (*before, *question)
        rest = [message for message in (*before, *question) if message.role not in ("system", "developer")]
        return (*system, *rest)

    return ask


def _joined(shown: Sequence[tuple[Question, str]]) -> Question:
    """Return answered questions as one: turns, or one text."""
    if shown and isinstance(shown[0][0], str):
        return "".join(f"{question}{answer}\n\n" for question, answer in shown)
    return tuple(
        message
        for question, answer in shown
        if not isinstance(question, str)
        for message in (*question, Message("assistant", answer))
    )


def choose(answers: Sequence[str], *, labels: Sequence[str], options: EvaluateOptions) -> list[int]:
    """Return the rows to show: a seeded draw, evenly over the labels, in a seeded order."""
    random = np.random.default_rng([options.seed, 0x5407])
    order = [int(i) for i in random.permutation(len(answers))]
    if not labels:
        return order[: options.shots]
    queues = {label: [i for i in order if answers[i] == label] for label in labels}
    names = [name for name in (labels[int(i)] for i in random.permutation(len(labels))) if queues[name]]
    chosen: list[int] = []
    while names and len(chosen) < options.shots:
        for name in list(names):
            if len(chosen) < options.shots:
                chosen.append(queues[name].pop(0))
            if not queues[name]:
                names.remove(name)
    return chosen


BASELINE = Baseline(title="untuned, {shots} in the prompt", answers=("label", "labels", "text"), how=Prompt(prompts))
