"""Baselines are what an expert would try before tuning a language model; one file each.

    cheap models, fitted on the training rows
        majority       always the most frequent label
        tfidf          TF-IDF with logistic regression
        embedder       a small text encoder with logistic regression
        tfidf_ridge    TF-IDF with ridge regression, for numbers
        nearest        the answer of the most similar training question
    prompts of the language model as it came
        untuned        the question alone
        five_shot      with answered training questions before it

A baseline is a file that ends in one value:

    from dizuo.evaluation.answering.answers import Absent, Answers
    from dizuo.evaluation.baselines import Baseline, CheapModel
    from dizuo.events import ignore

    def fit(rows, *, labels, options, watch=ignore):         # rows are (text, answer) pairs
        ...                                                  # raises Absent(why) where it cannot be made here
        return lambda texts: Answers(texts=[...])

    BASELINE = Baseline(title="k nearest neighbours", answers=("label",), how=CheapModel(fit))

One that reads a model names it in `CheapModel(fit, fetch=fetch)`, so that it is fetched before anything is trained.

`auto` in `evaluate.baselines` is every cheap model whose `answers` suit the kind of task. A package of yours offers one
through the entry-point group `dizuo.evaluation.baselines`, and `dizuo.testing.BaselineSuite` tests it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dizuo.errors import EvaluationError
from dizuo.plugins import Kind, check_fields

if TYPE_CHECKING:
    from dizuo.evaluation.answering.answers import Answers
    from dizuo.evaluation.options import EvaluateOptions
    from dizuo.evaluation.setting import Question
    from dizuo.events import Watcher
    from dizuo.records import Message

__all__ = ["BASELINES", "Baseline", "CheapModel", "Fetch", "Fit", "Prompt", "Prompts"]


class Fit(Protocol):
    """Trains a cheap model."""

    def __call__(
        self,
        rows: Sequence[tuple[str, str]],
        *,
        labels: Sequence[str],
        options: EvaluateOptions,
        watch: Watcher = ...,
    ) -> Callable[[Sequence[str]], Answers]:
        """Return a function that answers texts.

        Args:
            rows: (text, answer) of the training rows.
            labels: the answers to choose from; empty where answers are no labels.
            options: of the evaluation.
            watch: told about progress.

        Raises:
            Absent: the model cannot be made here; the report says why and goes on.
        """
        ...


class Fetch(Protocol):
    """Fetches the model that a cheap model reads, before hours are spent on what it will be compared with."""

    def __call__(self, options: EvaluateOptions, *, watch: Watcher = ...) -> str | None:
        """Return the digest of what is read, or None where the options want nothing, or what they want is not here.

        Args:
            options: of the evaluation.
            watch: told what is fetched.

        Raises:
            EvaluationError: what the options name cannot be had.
        """
        ...


class Prompts(Protocol):
    """Decides what the language model is shown before a question."""

    def __call__(
        self, rows: Sequence[tuple[Question, Message | str]], *, labels: Sequence[str], options: EvaluateOptions
    ) -> Callable[[Question], Question]:
        """Return a function from a question to what the model is shown.

        Args:
            rows: (question, answer) of the training rows: a conversation and its next turn, or two texts.
            labels: the answers to choose from; empty where answers are no labels.
            options: of the evaluation.
        """
        ...


@dataclass(frozen=True, slots=True)
class CheapModel:
    """A baseline that is a model of its own, fitted on the training rows."""

    fit: Fit
    fetch: Fetch | None = None
    """Fetches a model that it reads; None where it reads none."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A baseline that is the language model as it came, shown certain messages: nothing is fitted."""

    prompts: Prompts

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class Baseline:
    """One way to do a task without tuning a language model."""

    title: str
    """What people read, such as `majority label`."""
    answers: tuple[str, ...]
    """What kinds of answers it gives: see `TaskKind.answers`."""
    how: CheapModel | Prompt
    """A cheap model that is fitted, or a prompt of the untuned model."""
    name: str = ""
    """Filled in by `BASELINES.load`."""

    def __post_init__(self) -> None:
        check_fields(self)


BASELINES = Kind("baseline", "dizuo.evaluation.baselines", "BASELINE", Baseline, error=EvaluationError)
