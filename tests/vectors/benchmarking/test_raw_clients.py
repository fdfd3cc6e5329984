"""Every raw client of ours is held to the suite that a third party's is held to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dizuo.testing import RawClientSuite
from dizuo.vectors.benchmarking.raw import RAW


class TestLance(RawClientSuite):
    name = "lancedb"

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        pytest.importorskip("lancedb")
        return f"lancedb://{tmp_path / 'index'}"


class TestPostgres(RawClientSuite):
    name = "postgresql"

    @pytest.fixture
    def url(self, engine_postgresql: Any) -> str:
        pytest.importorskip("psycopg")
        return str(engine_postgresql.url)


class TestRedis(RawClientSuite):
    name = "redis"

    @pytest.fixture
    def url(self, engine_redis: Any) -> str:
        pytest.importorskip("redis")
        return str(engine_redis.url)


@pytest.mark.slow
class TestElasticsearch(RawClientSuite):
    name = "elasticsearch"

    @pytest.fixture
    def url(self, engine_elasticsearch: Any) -> str:
        pytest.importorskip("elasticsearch")
        return str(engine_elasticsearch.url)


def test_every_raw_client_of_ours_runs_through_the_suite() -> None:
    held = {suite.name for suite in RawClientSuite.__subclasses__() if suite.__module__ == __name__}
    assert held == set(RAW.names())
