"""The conformance suite of vector stores: every sentence of the meaning as a test, held against `memory://`.

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

A store passes all of it or declares in its `Capabilities` what it lacks; what is skipped for that reason says so.
`python -m dizuo.testing.vectors URL` runs it against any address and prints a table.

    suite.py          `VectorStoreSuite`: all areas in one class
    areas/            the tests, one file per area
    opening.py        how a test gets a store: a fresh collection, dropped afterwards
    samples.py        awkward values, and strategies that generate points, filters and operations
    comparing.py      a store's answers beside those of the store in memory
    worker.py         a process that opens a store and writes, to be joined or killed
    conformance.py    the suite against an address
    table.py          its results as a table, for people and for the docs
"""

from __future__ import annotations

import pytest

# Before the areas are imported: their asserts say what they compared.
pytest.register_assert_rewrite(
    "dizuo.testing.vectors.areas",
    "dizuo.testing.vectors.comparing",
)

from dizuo.testing.vectors.suite import AREAS, VectorStoreSuite  # noqa: E402

__all__ = ["AREAS", "VectorStoreSuite"]
