"""Elasticsearch passes the suite: an emulator here, a real server where DIZUO_TEST_ELASTICSEARCH_URL names one."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dizuo.testing import VectorStoreSuite
from dizuo.testing.vectors.samples import AWKWARD_NUMBERS

pytest.importorskip("elasticsearch")


@pytest.mark.slow
@pytest.mark.exhaustive
class TestElasticsearch(VectorStoreSuite):
    namespaces_at_once = 10_500  # a `terms` aggregation lists 10,000
    kind = "real" if os.environ.get("DIZUO_TEST_ELASTICSEARCH_URL") else "emulator"
    examples = 10

    @pytest.fixture
    def url(self, engine_elasticsearch: Any) -> str:
        return str(engine_elasticsearch.url)

    @pytest.fixture
    def unreachable_url(self) -> str:
        from engines.server import free_port

        return f"elasticsearch://127.0.0.1:{free_port()}"

    @pytest.fixture
    def breakable(self, tmp_path: Path) -> Iterator[tuple[str, Callable[[], None]]]:
        from engines.elasticsearch import Elasticsearch
        from engines.fixtures import had

        server = had(lambda: Elasticsearch(tmp_path / "breakable"))
        had(server.start)
        yield server.url, server.kill
        server.kill()


def test_numbers_as_texts_have_the_order_of_numbers() -> None:
    from dizuo.vectors.stores.elasticsearch.filters import order_number

    numbers = sorted({float(number) for number in AWKWARD_NUMBERS} | {-0.5, -1e-300, math.nextafter(1.0, 2.0)})
    assert [order_number(number) for number in numbers] == sorted(map(order_number, numbers))
    assert len({order_number(number) for number in numbers}) == len(numbers)
    assert order_number(-0.0) == order_number(0.0)
