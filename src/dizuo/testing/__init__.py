"""Conformance suites that anybody's plugin can be held to; they need pytest and hypothesis (`dizuo[dev]`).

    CheckSuite          a check of the doctor (`dizuo.training.doctor.checks`)
    EngineSuite         an engine of models (`dizuo.engines.kinds`)
    FormatSuite         a record format (`dizuo.data.formats`)
    LauncherSuite       a way to start ranks (`dizuo.training.launchers`)
    MethodSuite         a training method (`dizuo.training.methods`)
    ReaderSuite         a reader of a container format (`dizuo.data.readers`)
    SourceSuite         a source of models and data (`dizuo.artifacts.sources`)
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
    from dizuo.testing.formats import FormatSuite
    from dizuo.testing.readers import ReaderSuite
    from dizuo.testing.sources import SourceSuite
    from dizuo.testing.training import CheckSuite, LauncherSuite, MethodSuite, Sick, TrackerSuite
    from dizuo.testing.vectors import VectorStoreSuite

__all__ = [
    "CheckSuite",
    "EngineSuite",
    "FormatSuite",
    "LauncherSuite",
    "MethodSuite",
    "ReaderSuite",
    "Sick",
    "SourceSuite",
    "TrackerSuite",
    "VectorStoreSuite",
]

SUITES = {
    "CheckSuite": "training",
    "EngineSuite": "engines",
    "FormatSuite": "formats",
    "LauncherSuite": "training",
    "MethodSuite": "training",
    "ReaderSuite": "readers",
    "Sick": "training",
    "SourceSuite": "sources",
    "TrackerSuite": "training",
    "VectorStoreSuite": "vectors",
}
"""By suite the module that defines it."""

# Before they are imported: their asserts then say what they compared.
pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in sorted(set(SUITES.values()))))

__getattr__, __dir__ = lazy.names(__name__, SUITES)
