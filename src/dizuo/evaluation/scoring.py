"""The score of a report: which number the score column shows, and what each answer is worth.

A score is one of three: the mean of a metric over the items (`metrics`), a figure of the whole set (`figures`), or a
number that the kind of task computes itself, such as R². `choosing` decides which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dizuo.evaluation.answering.answers import Answers
from dizuo.evaluation.figures import AnsweredSet, Figure
from dizuo.evaluation.metrics import Metric
from dizuo.evaluation.reporting.rows import Entry
from dizuo.evaluation.setting import Item

__all__ = ["Score", "answered_set"]


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """What the score column of a report shows."""

    name: str
    """As `evaluate.metric` names it; empty where the kind of task computes the score itself."""
    title: str
    """What people read, such as `accuracy`."""
    why: str
    """Why it is this one."""
    metric: Metric | None = None
    """What a single answer is worth; None where the kind of task computes that itself."""
    figure: Figure | None = None
    """The figure of the whole set that is shown instead of the metric's mean."""

    @property
    def binary(self) -> bool:
        """Whether a single answer is right or wrong and nothing between."""
        return self.metric is not None and self.metric.binary

    def entry(
        self, name: str, title: str, family: str, items: Sequence[Item], answers: Answers, *, labels: Sequence[str] = ()
    ) -> Entry:
        """Return answers with what they are worth.

        Args:
            name: of the row, such as `tfidf`.
            title: what people read.
            family: `cheap`, `untuned` or `tuned`.
            items: at least as many as there are answers.
            answers: of the first of the items.
            labels: the answers to choose from, where there are such.
        """
        assert self.metric is not None, "a kind that computes its own score makes its own entries"
        references = [item.references for item in items[: len(answers.texts)]]
        entry = Entry(name, title, family, answers, self.metric.items(answers.texts, references))
        if self.figure is None:
            return entry
        return replace(entry, figure=self.figure, answered=answered_set(entry, items, labels=labels))


def answered_set(entry: Entry, items: Sequence[Item], *, labels: Sequence[str] = ()) -> AnsweredSet:
    """Return what figures read of an entry."""
    answers = entry.answers
    likelihood = answers.likelihood
    return AnsweredSet(
        answers=answers.texts,
        expected=[item.answer for item in items[: len(answers.texts)]],
        values=entry.values,
        labels=tuple(labels),
        probabilities=answers.probabilities,
        logprobs=None if likelihood is None else likelihood.logprobs,
        texts=() if likelihood is None else likelihood.texts,
    )
