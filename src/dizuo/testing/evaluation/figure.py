"""What every figure of a whole set of answers does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from dizuo.evaluation.choosing import usable_metrics
from dizuo.evaluation.figures import FIGURES, AnsweredSet, Figure
from dizuo.evaluation.kinds import KINDS

__all__ = ["FigureSuite"]


class FigureSuite:
    """What every figure of a whole set of answers does."""

    name: str
    labels: tuple[str, ...] = ("money", "music", "sport")

    @pytest.fixture
    def figure(self) -> Figure:
        """Return the figure, found by its name."""
        return FIGURES.load(self.name)

    @pytest.fixture
    def answered(self) -> AnsweredSet:
        """Return 60 answers, two thirds of which are right."""
        random = np.random.default_rng(0)
        expected = random.choice(self.labels, size=60, p=[0.6, 0.3, 0.1]).tolist()
        answers = [text if random.random() < 0.6 else str(random.choice([*self.labels, "?"])) for text in expected]
        return self.answered_set(answers, expected)

    def answered_set(self, answers: Sequence[str], expected: Sequence[str]) -> AnsweredSet:
        """Return answers with everything that a figure may need."""
        random = np.random.default_rng(1)
        shares = random.dirichlet(np.ones(len(self.labels)), size=len(answers))
        logprobs = [np.log(random.uniform(0.1, 1, 3)).astype(np.float32) for _ in answers]
        values = np.array([float(a == b) for a, b in zip(answers, expected, strict=True)])
        return AnsweredSet(answers, expected, values, self.labels, shares, logprobs, expected)

    def test_it_has_a_title_and_a_kind_of_task_shows_it(self, figure: Figure) -> None:
        assert figure.title
        assert figure.name == self.name
        assert set(figure.answers) & {kind.answers for kind in KINDS.all().values()}, "no kind of task has such answers"
        shown = any(self.name in usable_metrics(kind) for kind in KINDS.all().values())
        assert shown == figure.is_score

    def test_it_is_a_finite_number(self, figure: Figure, answered: AnsweredSet) -> None:
        assert np.isfinite(figure.value(answered))
        single = self.answered_set(answered.answers[:1], answered.expected[:1])
        assert np.isfinite(figure.value(single))

    def test_the_order_of_the_answers_says_nothing(self, figure: Figure, answered: AnsweredSet) -> None:
        if "logprobs" in figure.needs:
            return
        random = np.random.default_rng(2)
        for _ in range(10):
            rows = random.permutation(len(answered.answers))
            assert figure.value(answered.take(rows)) == pytest.approx(figure.value(answered), rel=1e-9)

    def test_a_score_is_one_where_all_is_right_and_nothing_where_all_is_wrong(
        self, figure: Figure, answered: AnsweredSet
    ) -> None:
        if not figure.is_score:
            return
        assert 0 < figure.value(answered) < 1
        assert figure.value(self.answered_set(answered.expected, answered.expected)) == pytest.approx(1)
        assert figure.value(self.answered_set(["?"] * len(answered.expected), answered.expected)) == 0

    def test_the_figure_of_drawn_items_is_that_of_their_set(self, figure: Figure, answered: AnsweredSet) -> None:
        if not figure.is_score:
            return
        statistic, random = figure.over_items(answered), np.random.default_rng(3)
        for _ in range(20):
            rows = random.integers(0, len(answered.answers), len(answered.answers))
            assert statistic(rows) == pytest.approx(figure.value(answered.take(rows)), abs=1e-12)
