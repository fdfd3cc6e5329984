"""Copies are verified record by record, and what was killed goes on."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from filled_store import SPACES, filled

from dizuo.errors import VectorError
from dizuo.testing.vectors.comparing import assert_same_points, assert_same_store
from dizuo.vectors import Point, connect, copy, export_parquet
from dizuo.vectors.points import Block


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
