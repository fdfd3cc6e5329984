"""The conformance suites of vectors: of stores, embedders, rerankers, readers of document files and raw clients.

    suite.py              VectorStoreSuite: every sentence of the meaning as a test, held against `memory://`
    areas/                what it is made of, one file per part of the meaning
    opening.py            how it opens stores, and what a subclass may set
    samples.py            awkward values, and hypothesis strategies
    filter_trees.py       generated filters of up to six levels, and their records
    comparing.py          a store's answers compared with those of memory
    worker.py             a process that writes and is watched, joined or killed
    table.py              the table store × area
    conformance.py        what `python -m dizuo.testing.vectors URL` runs: the suite against any address
    embedder.py           EmbedderSuite
    reranker.py           RerankerSuite
    document_reader.py    DocumentReaderSuite
    raw_client.py         RawClientSuite

How they are used:

    class TestRedis(VectorStoreSuite):
        options = {}                                  # for connect()
        examples = 25                                 # of hypothesis, per property

        @pytest.fixture
        def url(self, redis_server): return redis_server.url

        # where there is a server; a test without its fixture is skipped and the table says so
        @pytest.fixture
        def unreachable_url(self): ...                # nobody listens there
        @pytest.fixture
        def denied_url(self, redis_server): ...       # wrong password
        @pytest.fixture
        def breakable(self): ...                      # (url, stop()): a server of its own that stop() kills

    class TestMyEmbedder(EmbedderSuite):              # and RerankerSuite
        name = "mine"                                 # the entry point's name, or the file's

        @pytest.fixture
        def address(self): return "mine:large"        # where the name alone opens none

    class TestTex(DocumentReaderSuite):
        name = "tex"
        pieces, headings = ("Cats sleep.", "Dogs bark."), ("Animals",)

        def write(self, folder): ...                  # a file with these

A store passes all of it or declares in its `Capabilities` what it lacks; what is skipped for that reason says so.
"""

from __future__ import annotations

import pytest

# Before the areas are imported: their asserts say what they compared.
pytest.register_assert_rewrite(
    "dizuo.testing.vectors.areas",
    "dizuo.testing.vectors.comparing",
    "dizuo.testing.vectors.document_reader",
    "dizuo.testing.vectors.embedder",
    "dizuo.testing.vectors.raw_client",
    "dizuo.testing.vectors.reranker",
)

from dizuo.testing.vectors.document_reader import DocumentReaderSuite  # noqa: E402
from dizuo.testing.vectors.embedder import EmbedderSuite  # noqa: E402
from dizuo.testing.vectors.raw_client import RawClientSuite  # noqa: E402
from dizuo.testing.vectors.reranker import RerankerSuite  # noqa: E402
from dizuo.testing.vectors.suite import AREAS, VectorStoreSuite  # noqa: E402

__all__ = ["AREAS", "DocumentReaderSuite", "EmbedderSuite", "RawClientSuite", "RerankerSuite", "VectorStoreSuite"]
