"""Conformance suites that anybody's plugin can be held to; they need pytest and hypothesis (`dizuo[dev]`).

sources.py    SourceSuite: a source of models and data (`dizuo.artifacts.sources`)
formats.py    FormatSuite: a record format (`dizuo.data.formats`)
readers.py    ReaderSuite: a reader of a container format (`dizuo.data.readers`)
training/     MethodSuite, CheckSuite, LauncherSuite, TrackerSuite: a training method, a check of the doctor, a way to
              start ranks, a tool that runs are shown in (`dizuo.training.methods`, `.doctor.checks`, `.launchers`,
              `.trackers`)
evaluation/   BaselineSuite, FigureSuite, MetricSuite, TaskKindSuite: what an evaluation is made of
              (`dizuo.evaluation.baselines`, `.figures`, `.metrics`, `.kinds`)
engines.py    EngineSuite: an engine of models (`dizuo.engines.kinds`)
vectors/      VectorStoreSuite, EmbedderSuite, RerankerSuite, DocumentReaderSuite, RawClientSuite: a vector database, a
              model that makes vectors, one that scores hits, a format of document files, a database used by hand
              (`dizuo.vectors.stores`, `.embedders`, `.rerankers`, `.documents.readers`, `.benchmarking.raw`)

Beside them, `method_results.py` and `vectors/table.py` keep what the suites found for the reference, with the commit
and the sources (`results.py`).

A suite is a class of pytest tests. Inherit from it and say which plugin it is about:

    from dizuo.testing import VectorStoreSuite

    class TestMine(VectorStoreSuite):
        @pytest.fixture
        def url(self): return "mine://localhost"

The front pages of `training/`, `evaluation/` and `vectors/` and the top of `engines.py` show it for the other kinds.
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
    from dizuo.testing.vectors import (
        DocumentReaderSuite,
        EmbedderSuite,
        RawClientSuite,
        RerankerSuite,
        VectorStoreSuite,
    )

__all__ = [
    "BaselineSuite",
    "CheckSuite",
    "DocumentReaderSuite",
    "EmbedderSuite",
    "EngineSuite",
    "FigureSuite",
    "FormatSuite",
    "LauncherSuite",
    "MethodSuite",
    "MetricSuite",
    "RawClientSuite",
    "ReaderSuite",
    "RerankerSuite",
    "Sick",
    "SourceSuite",
    "TaskKindSuite",
    "TrackerSuite",
    "VectorStoreSuite",
]

SUITES = {
    "BaselineSuite": "evaluation",
    "CheckSuite": "training",
    "DocumentReaderSuite": "vectors",
    "EmbedderSuite": "vectors",
    "EngineSuite": "engines",
    "FigureSuite": "evaluation",
    "FormatSuite": "formats",
    "LauncherSuite": "training",
    "MethodSuite": "training",
    "MetricSuite": "evaluation",
    "RawClientSuite": "vectors",
    "ReaderSuite": "readers",
    "RerankerSuite": "vectors",
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
