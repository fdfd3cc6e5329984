"""Milvus Lite, and the real Milvus standalone server, pass the suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dizuo.testing import VectorStoreSuite
from dizuo.vectors import Point, connect

pytest.importorskip("pymilvus")


@pytest.mark.slow
class TestMilvusLite(VectorStoreSuite):
    examples = 5
    many_queries = 16_400  # Milvus takes 16,384
    namespaces_at_once = 150  # each write and each count waits for all that were written: 0.4 s, Lite and server
    rows = 4000  # Lite compares in Python: a search in 20,000 rows takes about a second

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"milvus://{tmp_path}/lite.db"


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.timeout(900)
class TestMilvusStandalone(VectorStoreSuite):
    examples = 2  # a strongly consistent read waits for 0.2 s
    rows = 5000  # and an exact search reads all vectors
    namespaces_at_once = 150

    @pytest.fixture(autouse=True)
    def words(self, tmp_path: Path) -> None:
        self.options = {"lexical": str(tmp_path / "words")}  # type: ignore[misc]

    @pytest.fixture
    def url(self, engine_milvus: Any) -> str:
        return str(engine_milvus.url)

    @pytest.fixture
    def unreachable_url(self) -> str:
        from engines.server import free_port

        return f"milvus://127.0.0.1:{free_port()}"

    @pytest.fixture
    def denied_url(self, engine_milvus: Any) -> str:
        return str(engine_milvus.wrong_password_url)

    @pytest.fixture
    def breakable(self, tmp_path: Path) -> Iterator[tuple[str, Callable[[], None]]]:
        from engines.fixtures import had
        from engines.milvus import Milvus

        server = had(lambda: Milvus(tmp_path / "breakable"))
        had(server.start)
        yield server.url, server.kill
        server.kill()


def test_namespaces_are_listed_page_by_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Milvus answers with 16,384 rows at most; so many namespaces take an hour to make, so the page is made small."""
    from dizuo.vectors.stores import milvus

    with connect(f"milvus://{tmp_path}/many.db", dim=2) as store:
        names = [f"space {n:02}" for n in range(23)]
        for name in names:
            store.namespace(name).upsert(Point("a", [1, 0]))
        for window in (3, 8, 24, 25):
            monkeypatch.setattr(milvus, "WINDOW", window)
            assert list(store.namespaces()) == names
            assert len([id for block in store.scan(everywhere=True) for id in block.ids]) == 23
