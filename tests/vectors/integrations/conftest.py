"""Addresses that the other projects' tests run over: the oracle, LanceDB, and PostgreSQL among the slow ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"  # read when haystack is imported; tests tell nobody

ENGINES = ["memory", "lancedb", pytest.param("postgresql", marks=pytest.mark.slow)]


@pytest.fixture(params=ENGINES)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "memory":
        return "memory://"
    if request.param == "lancedb":
        pytest.importorskip("lancedb")
        return f"lancedb://{tmp_path}/index"
    url: str = request.getfixturevalue("engine_postgresql").url
    return url


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
