"""Conformance suites that anybody's plugin can be held to; they need pytest and hypothesis (`dizuo[dev]`).

from dizuo.testing import VectorStoreSuite

class TestMine(VectorStoreSuite):
    @pytest.fixture
    def url(self): return "mine://localhost"

evaluation    MetricSuite, FigureSuite, BaselineSuite, TaskKindSuite
vectors       VectorStoreSuite
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dizuo import lazy

if TYPE_CHECKING:
    from dizuo.testing.evaluation import BaselineSuite, FigureSuite, MetricSuite, TaskKindSuite
    from dizuo.testing.vectors import VectorStoreSuite

__all__ = ["BaselineSuite", "FigureSuite", "MetricSuite", "TaskKindSuite", "VectorStoreSuite"]

__getattr__, __dir__ = lazy.names(
    __name__,
    {
        "BaselineSuite": "evaluation",
        "FigureSuite": "evaluation",
        "MetricSuite": "evaluation",
        "TaskKindSuite": "evaluation",
        "VectorStoreSuite": "vectors",
    },
)
