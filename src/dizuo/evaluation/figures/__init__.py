"""Figures are numbers that only a whole set of answers has, such as macro F1; one file each.

    macro_f1         the mean F1 of the labels: rare labels count as much as frequent ones; may be the score
    brier            how far stated probabilities are from the truth
    calibration      whether stated confidence comes true, and the bins of the reliability chart
    perplexity       how surprised the model is by the right answers, per token
    bits_per_byte    the same per byte, comparable between models with different vocabularies

A figure is a file that ends in one value:

    from dizuo.evaluation.figures import Figure

    def kappa(answered):                          # an AnsweredSet -> a number
        ...

    FIGURE = Figure(title="Cohen's kappa", value=kappa, answers=("label",), is_score=True)

Reports show the figures of every row beside its score. Where `is_score` is true, `evaluate.metric` may name the figure;
its interval is then a bootstrap over the items, its test an exchange of the answers. A package of yours offers one
through the entry-point group `dizuo.evaluation.figures`, and `dizuo.testing.FigureSuite` tests it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dizuo.errors import EvaluationError, PluginError
from dizuo.plugins import Kind, check_fields

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dizuo.significance import Statistic

__all__ = ["FIGURES", "OPTIONAL", "AnsweredSet", "Figure"]

OPTIONAL = ("probabilities", "logprobs")
"""Parts of an `AnsweredSet` that not every row has."""


@dataclass(frozen=True, slots=True, eq=False)
class AnsweredSet:
    """What one row of a report answered to n items, and what would have been right.

    Shapes: n items, L labels.
    """

    answers: Sequence[str]
    """[n] what was answered."""
    expected: Sequence[str]
    """[n] the right answer; where there are several, the first."""
    values: NDArray[np.float64]
    """[n] what each answer is worth by the metric of single items; for labels 1 is right and 0 is wrong."""
    labels: tuple[str, ...] = ()
    """[L] the answers to choose from, where there are such."""
    probabilities: NDArray[np.float64] | None = None
    """[n, L] where the row has them; each row sums to 1."""
    logprobs: Sequence[NDArray[np.float32]] | None = None
    """Natural log-probabilities of the right answers' tokens, where the row has them; one array per text."""
    texts: Sequence[str] = ()
    """The texts that the log-probabilities belong to."""

    def take(self, rows: NDArray[np.intp]) -> AnsweredSet:
        """Return the set of some of the items, which may be drawn several times; log-probabilities are left out."""
        return AnsweredSet(
            [self.answers[row] for row in rows],
            [self.expected[row] for row in rows],
            self.values[rows],
            self.labels,
            None if self.probabilities is None else self.probabilities[rows],
        )

    def first(self, n: int) -> AnsweredSet:
        """Return the set of the first n items."""
        import numpy as np

        return self.take(np.arange(n))

    def followed_by(self, other: AnsweredSet) -> AnsweredSet:
        """Return the set of the items of this one and then those of another; log-probabilities are left out."""
        import numpy as np

        probabilities = None
        if self.probabilities is not None and other.probabilities is not None:
            probabilities = np.concatenate((self.probabilities, other.probabilities))
        return AnsweredSet(
            [*self.answers, *other.answers],
            [*self.expected, *other.expected],
            np.concatenate((self.values, other.values)),
            self.labels,
            probabilities,
        )


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that a whole set of answers has."""

    title: str
    """What people read, such as `macro F1`."""
    value: Callable[[AnsweredSet], float]
    """The figure. It is asked only for sets that have what `needs` names."""
    answers: tuple[str, ...]
    """What kinds of answers it is made for: see `TaskKind.answers`."""
    needs: tuple[str, ...] = ()
    """The parts of the set that it reads and that a row may lack: `probabilities`, `logprobs`."""
    is_score: bool = False
    """Whether it may stand in the score column: it is 0 to 1, higher is better, and it needs nothing a row may lack."""
    statistic: Callable[[AnsweredSet], Statistic] | None = None
    """Returns a function from the places of drawn items to the figure, where that is faster than `value`: intervals
    and tests ask thousands of times."""
    name: str = ""
    """Filled in by `FIGURES.load`."""

    def __post_init__(self) -> None:
        check_fields(self)
        unknown = [need for need in self.needs if need not in OPTIONAL]
        if unknown:
            raise PluginError(f"needs names {unknown[0]!r}; it may name {' and '.join(OPTIONAL)}")
        if self.is_score and self.needs:
            raise PluginError(f"a figure that needs {self.needs[0]} cannot be the score: not every row has them")

    def over_items(self, answered: AnsweredSet) -> Statistic:
        """Return a function from the places of drawn items to the figure."""
        if self.statistic is not None:
            return self.statistic(answered)
        return lambda rows: self.value(answered.take(rows))


FIGURES = Kind("figure", "dizuo.evaluation.figures", "FIGURE", Figure, error=EvaluationError)
