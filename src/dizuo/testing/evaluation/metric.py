"""What every metric of single answers does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from dizuo.evaluation.choosing import usable_metrics
from dizuo.evaluation.kinds import KINDS
from dizuo.evaluation.metrics import METRICS, Metric

__all__ = ["MetricSuite"]


class MetricSuite:
    """What every metric of single answers does."""

    name: str
    right: tuple[str, tuple[str, ...]] = ("so it is\n#### 42", ("so it is\n#### 42", "forty-two: #### 42"))
    """An answer that is entirely right, and its references."""
    wrong: tuple[str, tuple[str, ...]] = ("~", ("so it is\n#### 42",))
    """An answer that is entirely wrong, and its references."""
    between: Sequence[tuple[str, tuple[str, ...]]] = (
        ("", ("a text",)),
        ("one of the words", ("nothing shared", "two of the other words")),
        ("今天天气很好", ("今天天气不好",)),
        ("12 apples", ("13 apples", "12")),
        ("\x00\ud7ff", ("a text",)),
        (" A  Text ", ("a text",)),
    )
    """Further answers with their references."""

    @pytest.fixture
    def metric(self) -> Metric:
        """Return the metric, found by its name."""
        return METRICS.load(self.name)

    @pytest.fixture
    def rows(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return answers with their references."""
        return [self.right, self.wrong, *self.between]

    def test_it_has_a_title_and_a_kind_of_task_uses_it(self, metric: Metric) -> None:
        assert metric.title
        assert metric.name == self.name
        assert set(metric.answers) & {kind.answers for kind in KINDS.all().values()}, "no kind of task has such answers"
        assert any(self.name in usable_metrics(kind) for kind in KINDS.all().values())

    def test_right_is_worth_one_and_wrong_nothing(self, metric: Metric) -> None:
        values = metric.items([self.right[0], self.wrong[0]], [self.right[1], self.wrong[1]])
        assert values.tolist() == [1.0, 0.0]

    def test_every_answer_has_a_value_from_nothing_to_one(
        self, metric: Metric, rows: list[tuple[str, tuple[str, ...]]]
    ) -> None:
        values = metric.items([answer for answer, _ in rows], [references for _, references in rows])
        assert values.shape == (len(rows),)
        assert values.dtype == np.float64
        assert np.isfinite(values).all()
        assert ((values >= 0) & (values <= 1)).all()
        if metric.binary:
            assert np.isin(values, (0.0, 1.0)).all()

    def test_an_answers_value_does_not_depend_on_the_others(
        self, metric: Metric, rows: list[tuple[str, tuple[str, ...]]]
    ) -> None:
        together = metric.items([answer for answer, _ in rows], [references for _, references in rows])
        alone = [float(metric.items([answer], [references])[0]) for answer, references in rows]
        assert together.tolist() == alone

    def test_a_further_reference_never_lowers_the_value(
        self, metric: Metric, rows: list[tuple[str, tuple[str, ...]]]
    ) -> None:
        fewer = metric.items([answer for answer, _ in rows], [references[:1] for _, references in rows])
        more = metric.items([answer for answer, _ in rows], [references for _, references in rows])
        assert (more >= fewer).all()
