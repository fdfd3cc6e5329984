"""Conformance suites that anybody's plugin can be held to; they need pytest and hypothesis (`dizuo[dev]`).

    BaselineSuite       a baseline of an evaluation (`dizuo.evaluation.baselines`)
    CheckSuite          a check of the doctor (`dizuo.training.doctor.checks`)
    EngineSuite         an engine of models (`dizuo.engines.kinds`)
    FigureSuite         a figure of a whole set of answers (`dizuo.evaluation.figures`)
    FormatSuite         a record format (`dizuo.data.formats`)
    LauncherSuite       a way to start ranks (`dizuo.training.launchers`)
    MethodSuite         a training method (`dizuo.training.methods`)
    MetricSuite         what a single answer is worth (`dizuo.evaluation.metrics`)
    ReaderSuite         a reader of a container format (`dizuo.data.readers`)
    SourceSuite         a source of models and data (`dizuo.artifacts.sources`)
    TaskKindSuite       a kind of task that is evaluated (`dizuo.evaluation.kinds`)
    TrackerSuite        a tool that runs are shown in (`dizuo.training.trackers`)
    VectorStoreSuite    a vector database (`dizuo.vectors.stores`)

A suite is a class of pytest tests. Inherit from it and say which plugin it is about:

    from dizuo.testing import VectorStoreSuite

    class TestMine(VectorStoreSuite):
        @pytest.fixture
        def url(self): return "mine://localhost"
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dizuo import lazy

if TYPE_CHECKING:
    from dizuo.testing.engines import EngineSuite
    from dizuo.testing.evaluation import BaselineSuite, FigureSuite, MetricSuite, TaskKindSuite
    from dizuo.testing.formats import FormatSuite
    from dizuo.testing.readers import ReaderSuite
    from dizuo.testing.sources import SourceSuite
    from dizuo.testing.training import CheckSuite, LauncherSuite, MethodSuite, Sick, TrackerSuite
    from dizuo.testing.vectors import VectorStoreSuite

__all__ = [
    "BaselineSuite",
    "CheckSuite",
    "EngineSuite",
    "FigureSuite",
    "FormatSuite",
    "LauncherSuite",
    "MethodSuite",
    "MetricSuite",
    "ReaderSuite",
    "Sick",
    "SourceSuite",
    "TaskKindSuite",
    "TrackerSuite",
    "VectorStoreSuite",
]

SUITES = {
    "BaselineSuite": "evaluation",
    "CheckSuite": "training",
    "EngineSuite": "engines",
    "FigureSuite": "evaluation",
    "FormatSuite": "formats",
    "LauncherSuite": "training",
    "MethodSuite": "training",
    "MetricSuite": "evaluation",
    "ReaderSuite": "readers",
    "Sick": "training",
    "SourceSuite": "sources",
    "TaskKindSuite": "evaluation",
    "TrackerSuite": "training",
    "VectorStoreSuite": "vectors",
}
"""By suite the module that defines it."""

# Before they are imported: their asserts then say what they compared.
pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in sorted(set(SUITES.values()))))

__getattr__, __dir__ = lazy.names(__name__, SUITES)
