"""`sqlite://FOLDER` passes the suite; a folder is SQLite's where LanceDB is not installed."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from dizuo import packages
from dizuo.errors import VectorError
from dizuo.testing import VectorStoreSuite
from dizuo.vectors import Point, connect
from dizuo.vectors.connecting.connect import find_store
from dizuo.vectors.protocol.errors import Transient


class TestSQLite(VectorStoreSuite):
    title = "SQLite"

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite://{tmp_path}/index"


def test_a_folder_is_that_of_the_database_in_it_and_a_new_one_lancedbs_where_that_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = connect(f"sqlite://{tmp_path}/kept", dim=2)
    kept.upsert(Point("a", [1, 0]))
    kept.close()
    (tmp_path / "lance" / "dizuo_x.lance").mkdir(parents=True)
    for installed, new in ((True, "lancedb"), (False, "sqlite")):
        monkeypatch.setattr(packages, "has", lambda name, installed=installed: installed)
        engines = {name: find_store(f"{tmp_path}/{name}")[0].scheme for name in ("kept", "lance", "new")}
        assert engines == {"kept": "sqlite", "lance": "lancedb", "new": new}
    with connect(f"{tmp_path}/kept") as store:
        assert store.count() == 1


def test_a_file_that_is_no_database_and_one_that_is_being_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "dizuo.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(VectorError, match=r"dizuo\.sqlite is no file of dizuo's"):
        connect(f"sqlite://{tmp_path}", dim=2)
    store = connect(f"sqlite://{tmp_path}/other", dim=2, timeout=0.05)
    other = sqlite3.connect(tmp_path / "other" / "dizuo.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Transient, match="is being written by another process"):
        store.store.upsert("", _block(), wait=True)  # type: ignore[attr-defined]
    other.execute("ROLLBACK")
    other.close()
    store.close()


def _block() -> object:
    import numpy as np

    from dizuo.vectors.points import Block

    return Block(["a"], np.ones((1, 2), np.float32), ["{}"], [None])
