"""LanceDB passes the suite, and keeps what is its own: hot keys, compaction, the index policy."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from dizuo.errors import VectorError
from dizuo.testing import VectorStoreSuite
from dizuo.vectors import Point, connect

pytest.importorskip("lancedb")


class TestLance(VectorStoreSuite):
    title = "LanceDB"
    examples = 12

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"lancedb://{tmp_path}/lance"


def points(number: int) -> list[Point]:
    values = ["zh", 2020, 2020.0, None, True, ["zh"], {"a": 1}, "en", "it's", -0.0]
    return [Point(str(n), [1, n], {"k": values[n % 10], "n": n} if n % 11 else {}, f"text {n}") for n in range(number)]


def test_hot_keys_answer_as_the_others_do(tmp_path: Path) -> None:
    plain = connect(f"{tmp_path}/a", dim=2)
    hot = connect(f"{tmp_path}/b", dim=2, hot=("k",))
    for store in (plain, hot):
        store.upsert(points(120))
        store.update_metadata({"7": {"k": "changed"}, "11": {"k": 5}})
    hot.optimize()
    late = connect(f"lancedb://{tmp_path}/b?hot=n,k")  # a key that becomes hot when there are rows already
    late.optimize()
    assert late.info().engine.details["hot keys"] == ["k", "n"]
    wheres = [
        'k == "zh"', "k == 2020", "k == null", "k == true", "k != 2020", "k in ['zh', 2020]", "not exists k",
        "k < 2021", "k >= -1", "k contains 'zh'", "k startswith 'z'", "k == 'changed'",
        "n >= 100 and k != 'en'", "n < 7.5",
    ]  # fmt: skip
    for where in wheres:
        right = sorted(point.id for point in plain.points(where))
        assert right or where == "k == true", where
        for store in (hot, late):
            assert sorted(point.id for point in store.points(where)) == right, where


def test_small_writes_are_compacted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dizuo.vectors.stores import lancedb as module

    monkeypatch.setattr(module, "BETWEEN", 10)
    store = connect(f"{tmp_path}/a", dim=2, keep_minutes=0.001)
    for point in points(40):
        store.upsert(point)
    assert store.info().engine.details["fragments"] < 12
    assert store.count() == 40
    before = len(list((tmp_path / "a").rglob("data/*.lance")))
    time.sleep(0.1)
    store.optimize()
    assert len(list((tmp_path / "a").rglob("data/*.lance"))) < before
    assert store.info().engine.details["fragments"] == 1


def test_the_index_is_built_by_size_and_a_short_answer_falls_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dizuo.vectors.stores import lancedb as module

    monkeypatch.setattr(module, "EXACT_ROWS", 500)
    store = connect(f"{tmp_path}/a", dim=8)
    table = np.random.default_rng(1).standard_normal((600, 8)).astype(np.float32)
    store.upsert([Point(str(n), vector, {"n": n}) for n, vector in enumerate(table[:400])])
    store.optimize()
    assert store.info().engine.index == "none"
    assert store.search(table[0]).path == "exact"
    store.upsert([Point(str(n), vector, {"n": n}) for n, vector in enumerate(table)])
    store.optimize()
    engine = store.info().engine
    assert (engine.index, engine.indexed_rows) == ("ivf_hnsw_sq", 600)
    assert store.search(table[0]).path == "index"
    assert store.search(table[0], exact=True).path == "exact"
    assert len(store.search(table[0], k=600)) == 600
    monkeypatch.setattr(module, "FEW", 10)  # so that a filtered search asks the index
    hits = store.search(table[0], k=30, where="n < 40")
    assert len(hits) == 30


def test_a_folder_of_someone_else_is_not_taken_for_ours(tmp_path: Path) -> None:
    import lancedb

    from dizuo.vectors.writing.naming import physical_name

    lancedb.connect(tmp_path).create_table(physical_name("default"), [{"vector": [1.0, 2.0]}])
    with pytest.raises(VectorError, match="was not made by dizuo"):
        connect(str(tmp_path), dim=2)


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(VectorError, match="cannot be used"):
        connect(f"{tmp_path}/file", dim=2)


def test_an_object_store_has_no_lock_and_so_one_writer(tmp_path: Path) -> None:
    store = connect(f"lancedb://file-object-store://{tmp_path}/lance", dim=2)  # object_store's own, over files
    assert not store.capabilities.several_writers
    assert "lock" in store.capabilities.notes["several_writers"]
    store.upsert([Point("a", [1, 0], {"x": 1}, "tea"), Point("b", [1, 1])])
    again = connect(f"lancedb://file-object-store://{tmp_path}/lance")
    assert again.search([1, 1], where="x == 1").ids == ["a"]
    assert again.words("tea").ids == ["a"]
    assert connect(f"{tmp_path}/local", dim=2).capabilities.several_writers


def test_batches_of_one_shape_are_filtered_as_others_are(tmp_path: Path) -> None:
    import json

    import pyarrow as pa

    rows = [{"lang": ("zh", "en", "it's")[n % 3], "year": 1990 + n, "share": n / 8} for n in range(100)]
    texts = [json.dumps(row) for row in rows]
    vectors = np.random.default_rng(0).standard_normal((100, 2)).astype(np.float32)
    stores = [
        connect(f"{tmp_path}/a", dim=2),
        connect(f"{tmp_path}/b", dim=2, hot=("year",)),
        connect("memory://", dim=2),
    ]
    for store in stores:
        for part in (slice(0, 80), slice(60, 100)):  # the second is too short to be read as a whole
            ids = [f"p{n}" for n in range(100)][part]
            columns = {"id": ids, "vector": list(vectors[part]), "metadata": texts[part]}
            store.upsert(pa.table(columns))
    for where in ('lang == "it\'s"', "year >= 2060", "share < 0.5", "share == 1", "year == 1990.0", "not exists lang"):
        right = sorted(point.id for point in stores[-1].points(where))
        for store in stores[:-1]:
            assert sorted(point.id for point in store.points(where)) == right, where
