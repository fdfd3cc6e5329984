"""Elasticsearch passes the suite: a real server where `engines/elasticsearch.py` finds one, else an emulator."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import pytest
from engines.elasticsearch import installation

from dizuo.testing import VectorStoreSuite
from dizuo.testing.vectors.samples import AWKWARD_NUMBERS

pytest.importorskip("elasticsearch")


REAL = installation() is not None or bool(os.environ.get("DIZUO_TEST_ELASTICSEARCH_URL"))


@pytest.mark.slow
class TestElasticsearch(VectorStoreSuite):
    kind = "real" if REAL else "emulator"
    examples = 10

    @pytest.fixture
    def url(self, engine_elasticsearch: Any) -> str:
        return str(engine_elasticsearch.url)

    @pytest.fixture
    def unreachable_url(self) -> str:
        from engines.server import free_port

        return f"elasticsearch://127.0.0.1:{free_port()}"

    @pytest.fixture
    def denied_url(self, engine_elasticsearch: Any) -> str | None:
        url: str | None = engine_elasticsearch.wrong_password_url
        return url

    @pytest.fixture
    def breakable(self, engine_elasticsearch: Any) -> tuple[str, Callable[[], None]]:
        """Return the one server of the session: a second takes 12 s and 1 GB; the next test starts it again."""
        if not hasattr(engine_elasticsearch, "kill"):
            pytest.skip("not applicable: a server that the environment names is not ours to kill")
        return engine_elasticsearch.url, engine_elasticsearch.kill


def test_numbers_as_texts_have_the_order_of_numbers() -> None:
    from dizuo.vectors.stores.elasticsearch import _order_number

    numbers = sorted({float(number) for number in AWKWARD_NUMBERS} | {-0.5, -1e-300, math.nextafter(1.0, 2.0)})
    assert [_order_number(number) for number in numbers] == sorted(map(_order_number, numbers))
    assert len({_order_number(number) for number in numbers}) == len(numbers)
    assert _order_number(-0.0) == _order_number(0.0)
