"""The pytest fixtures: one engine a session and database, alive at the start of each test that asks for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from engines.packages import EngineUnavailable

E = TypeVar("E")


def required() -> bool:
    """Whether an engine that does not start is a failure (DIZUO_REQUIRE_ENGINES=1)."""
    return os.environ.get("DIZUO_REQUIRE_ENGINES", "") not in ("", "0")


def had(start: Callable[[], E]) -> E:
    """Return a started engine; where it cannot be had, skip the test with the reason, or fail it if required."""
    try:
        return start()
    except EngineUnavailable as error:
        if required():
            pytest.fail(f"DIZUO_REQUIRE_ENGINES is set: {error}", pytrace=False)
        pytest.skip(str(error))


def named_service(name: str) -> Any | None:
    """Return the service that `DIZUO_TEST_<NAME>_URL` names as an engine that cannot be killed, or None."""
    url = os.environ.get(f"DIZUO_TEST_{name.upper()}_URL")
    if name == "pinecone":  # a key is enough to reach it, and nothing is without one
        url = (url or "pinecone://") if os.environ.get("PINECONE_API_KEY") else None
    if not url:
        return None
    return SimpleNamespace(
        name=name, url=url, wrong_password_url=None, kind="real", version="as named by the environment", alive=True
    )


def _session(start: Callable[[Path], Any], name: str) -> Any:
    @pytest.fixture(scope="session", name=f"session_{name}")
    def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
        if service := named_service(name):
            yield service
            return
        folder = tmp_path_factory.mktemp(name)

        def begin() -> Any:
            engine = start(folder)
            engine.start()
            return engine

        engine = had(begin)
        yield engine
        engine.kill()
        engine.clean()

    return running


def _engine(name: str) -> Any:
    @pytest.fixture(name=f"engine_{name}")
    def engine(request: pytest.FixtureRequest) -> Any:
        running = request.getfixturevalue(f"session_{name}")
        if not running.alive:  # an earlier test killed it
            had(lambda: running.start())
        return running

    engine.__doc__ = f"{name}: a running engine with `url`, `kill()`, `stop()`, `restart()`."
    return engine


def _postgresql(folder: Path) -> Any:
    from engines.postgresql import PostgreSQL

    return PostgreSQL(folder)


def _redis(folder: Path) -> Any:
    from engines.redis import Redis

    return Redis(folder)


def _chroma(folder: Path) -> Any:
    from engines.chroma import Chroma

    return Chroma(folder)


def _elasticsearch(folder: Path) -> Any:
    from engines.elasticsearch import elasticsearch

    return elasticsearch(folder)


def _milvus(folder: Path) -> Any:
    from engines.milvus import Milvus

    return Milvus(folder)


def _clickhouse(folder: Path) -> Any:
    from engines.clickhouse import ClickHouse

    return ClickHouse(folder)


def _pinecone(folder: Path) -> Any:
    from engines.pinecone import ValidatedPinecone

    return ValidatedPinecone(folder)


def _pinecone_emulator(folder: Path) -> Any:
    from engines.pinecone import Pinecone

    return Pinecone(folder)


def _marqo(folder: Path) -> Any:
    from engines.marqo import Marqo

    return Marqo(folder)


session_postgresql, engine_postgresql = _session(_postgresql, "postgresql"), _engine("postgresql")
session_redis, engine_redis = _session(_redis, "redis"), _engine("redis")
session_chroma, engine_chroma = _session(_chroma, "chroma"), _engine("chroma")
session_elasticsearch, engine_elasticsearch = _session(_elasticsearch, "elasticsearch"), _engine("elasticsearch")
session_milvus, engine_milvus = _session(_milvus, "milvus"), _engine("milvus")
session_clickhouse, engine_clickhouse = _session(_clickhouse, "clickhouse"), _engine("clickhouse")
session_pinecone, engine_pinecone = _session(_pinecone, "pinecone"), _engine("pinecone")
session_pinecone_emulator = _session(_pinecone_emulator, "pinecone_emulator")
engine_pinecone_emulator = _engine("pinecone_emulator")
session_marqo, engine_marqo = _session(_marqo, "marqo"), _engine("marqo")
