"""Suites that every metric, figure, baseline and kind of task can be held to: ours, and a third party's.

class TestBleu(MetricSuite):                        # metric.py
    name = "bleu"                                   # the entry point's name, or the file's

class TestKappa(FigureSuite):                       # figure.py
    name = "kappa"

class TestNeighbours(BaselineSuite):                # baseline.py
    name = "k_nearest"

class TestRanking(TaskKindSuite):                   # task_kind.py
    name = "ranking"

    @pytest.fixture
    def setting(self): ...                          # a Setting of a few items, with the model that answers them
"""

from __future__ import annotations

from dizuo.testing.evaluation.baseline import BaselineSuite
from dizuo.testing.evaluation.figure import FigureSuite
from dizuo.testing.evaluation.metric import MetricSuite
from dizuo.testing.evaluation.task_kind import TaskKindSuite

__all__ = ["BaselineSuite", "FigureSuite", "MetricSuite", "TaskKindSuite"]
