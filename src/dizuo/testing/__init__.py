"""Conformance suites that anybody's plugin can be held to; they need pytest and hypothesis (`dizuo[dev]`).

from dizuo.testing import VectorStoreSuite

class TestMine(VectorStoreSuite):
    @pytest.fixture
    def url(self): return "mine://localhost"

formats.py    FormatSuite: a record format
readers.py    ReaderSuite: a reader of a container format
sources.py    SourceSuite: a source of models and data
vectors/      VectorStoreSuite: a vector store
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dizuo import lazy

if TYPE_CHECKING:
    from dizuo.testing.formats import FormatSuite
    from dizuo.testing.readers import ReaderSuite
    from dizuo.testing.sources import SourceSuite
    from dizuo.testing.vectors import VectorStoreSuite

__all__ = ["FormatSuite", "ReaderSuite", "SourceSuite", "VectorStoreSuite"]

__getattr__, __dir__ = lazy.names(
    __name__,
    {
        "FormatSuite": "formats",
        "ReaderSuite": "readers",
        "SourceSuite": "sources",
        "VectorStoreSuite": "vectors",
    },
)
