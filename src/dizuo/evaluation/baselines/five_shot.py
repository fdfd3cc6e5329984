"""The language model as it came, with examples in its prompt (Brown et al., 2020): the tuning that costs nothing.

Every question has the same examples, so the token tree computes them once per pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dizuo.evaluation.baselines import Baseline, Prompt
from dizuo.evaluation.calls import text_of
from dizuo.evaluation.options import EvaluateOptions

if TYPE_CHECKING:
    from dizuo.evaluation.setting import Question
    from dizuo.records import Message

__all__ = ["BASELINE", "choose", "prompts"]


def prompts(
    rows: Sequence[tuple[Question, Message | str]], *, labels: Sequence[str], options: EvaluateOptions
) -> Callable[[Question], Question]:
    """Return a function that puts answered training questions before a question.

    They are earlier turns of a conversation, with their calls, and the question keeps its own tools; raw prompts with
    their answers stand before a raw prompt, with a blank line after each.

    A question is never among its own examples: where it was drawn, others are drawn for it.

    Args:
        rows: training questions with their answers.
        labels: examples are drawn in turn from these; empty for tasks without labels.
        options: `shots` and `seed`.
    """
    asked, usual = _draw(rows, labels, options)

    def ask(question: Question) -> Question:
        shown = usual
        if question in asked:
            shown = _draw([row for row in rows if row[0] != question], labels, options)[1]
        if isinstance(question, str):
            return "".join(f"{before}{answer}\n\n" for before, answer in shown) + question
        turns = [
            turn
            for before, answer in shown
            if not isinstance(before, str) and not isinstance(answer, str)
            for turn in (*before.messages, answer)
        ]
        # A system turn must stay the first one, and stand there once.
        system = [message for message in question.messages if message.role in ("system", "developer")]
        rest = [*turns, *question.messages]
        if system:
            rest = [message for message in rest if message.role not in ("system", "developer")]
        return replace(question, messages=(*system, *rest))

    return ask


def _draw(
    rows: Sequence[tuple[Question, Message | str]], labels: Sequence[str], options: EvaluateOptions
) -> tuple[list[Question], list[tuple[Question, Message | str]]]:
    """Return the questions that are drawn, alone and with their answers."""
    answers = [answer if isinstance(answer, str) else text_of(answer) for _, answer in rows]
    shown = [rows[i] for i in choose(answers, labels=labels, options=options)]
    return [question for question, _ in shown], shown


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
