"""ClickHouse's engine, in the process and behind HTTP, passes the suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dizuo.errors import VectorError
from dizuo.testing import VectorStoreSuite
from dizuo.vectors import Point, VectorStore, connect, field

pytest.importorskip("clickhouse_connect")
pytest.importorskip("chdb")


class TestClickHouseInTheProcess(VectorStoreSuite):
    examples = 10

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"clickhouse:///{tmp_path}/clickhouse"


@pytest.mark.slow
class TestClickHouseOverHTTP(VectorStoreSuite):
    """The engine is the real one; the HTTP server around it is the tests' own."""

    examples = 5

    @pytest.fixture
    def url(self, engine_clickhouse: Any) -> str:
        return str(engine_clickhouse.url)

    @pytest.fixture
    def unreachable_url(self) -> str:
        from engines.server import free_port

        return f"clickhouse://127.0.0.1:{free_port()}"

    @pytest.fixture
    def denied_url(self, engine_clickhouse: Any) -> str:
        return str(engine_clickhouse.wrong_password_url)

    @pytest.fixture
    def breakable(self, tmp_path: Path) -> Iterator[tuple[str, Callable[[], None]]]:
        from engines.clickhouse import ClickHouse
        from engines.fixtures import had

        server = had(lambda: ClickHouse(tmp_path / "breakable"))
        had(server.start)
        yield server.url, server.kill
        server.kill()


def words_held(store: VectorStore) -> int:
    inner: Any = store.store
    return int(inner._ask(f"SELECT count() AS c FROM {inner.words}")["c"][0].as_py())


def test_words_that_no_record_names_count_for_nothing_and_are_removed(tmp_path: Path) -> None:
    store = connect(f"clickhouse:///{tmp_path}/clickhouse", dim=2, keep_minutes=0)
    oracle = connect("memory://", dim=2)
    for text in ("red tea", "red cup cup", "blue cup"):
        for one in (store, oracle):
            one.upsert([Point(f"p{n}", [1, n], {}, f"{text} {n}") for n in range(20)])
    for one in (store, oracle):
        one.delete([f"p{n}" for n in range(5)])
        one.update_metadata({"p7": {"new": True}})
    assert words_held(store) == 20 * 9
    for _ in range(2):
        assert store.words("red tea") == []
        found, right = store.words("blue 7 cup", k=20), oracle.words("blue 7 cup", k=20)
        assert found.ids == right.ids
        assert [hit.score for hit in found] == pytest.approx([hit.score for hit in right], rel=1e-12)
        assert store.words("7", where="new == true").ids == ["p7"]
        store.optimize()
        assert words_held(store) == 15 * 3
    store.close()
    later = connect(f"clickhouse:///{tmp_path}/clickhouse")  # by default they stay for an hour: somebody may be writing
    later.delete("p7")
    later.optimize()
    assert words_held(later) == 15 * 3
    assert later.words("7") == []
    later.close()


def test_words_under_a_filter_that_the_engine_cannot_tell_are_read_page_by_page(tmp_path: Path) -> None:
    store, oracle = connect(f"clickhouse:///{tmp_path}/clickhouse", dim=2), connect("memory://", dim=2)
    title = "a title of more than twenty-four bytes "
    for one in (store, oracle):
        one.upsert([Point(f"p{n:04}", [1, n], {"title": f"{title}{n:04}"}, "tea " * (n % 7 + 1)) for n in range(1500)])
    where = field("title") >= f"{title}1490"
    assert store.words("tea", k=50, where=where).ids == oracle.words("tea", k=50, where=where).ids
    assert len(store.words("tea", k=3, where=where)) == 3
    store.close()


def test_a_collection_without_its_words_is_refused(tmp_path: Path) -> None:
    store = connect(f"clickhouse:///{tmp_path}/clickhouse", dim=2, collection="old")
    inner: Any = store.store
    inner._do(f'ALTER TABLE {inner.root} MODIFY COMMENT \'{{"dim": 2, "metric": "cosine"}}\'')
    store.close()
    with pytest.raises(VectorError, match="another version of dizuo") as caught:
        connect(f"clickhouse:///{tmp_path}/clickhouse", collection="old")
    assert "import it" in str(caught.value.hint)
