"""A scan sees every record once, in constant memory, whatever is written meanwhile; and a copy is the same."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from dizuo.testing.vectors.comparing import assert_same_store
from dizuo.testing.vectors.opening import Connect, Opening, lacking
from dizuo.vectors import Point, VectorStore
from dizuo.vectors import connect as plain
from dizuo.vectors.points import Block

__all__ = ["Scans"]


NAMES = [f"s{n:03}" for n in range(320)]
SPACES = ("a", "知")


def make_points(names: list[str], *, n: int | None = None) -> list[Point]:
    """Return records with these ids."""
    return [Point(name, [1, row], {"n": row if n is None else n}, f"text {row}") for row, name in enumerate(names)]


class Scans(Opening):
    """Scan and Arrow."""

    def test_a_scan_yields_every_record_once_in_blocks(self, connect: Connect) -> None:
        store = connect(dim=4)
        size = 2500
        table = np.random.default_rng(7).standard_normal((size, 4)).astype(np.float32)
        ids = [f"s{n:04}" for n in range(size)]
        store.upsert(Block(ids, table, [f'{{"n":{n}}}' for n in range(size)], [None] * size))
        blocks = list(store.scan(rows=300))
        assert max(len(block) for block in blocks) <= 600
        scanned = [id for block in blocks for id in block.ids]
        assert len(scanned) == size
        assert sorted(scanned) == ids
        for block in blocks:
            for id, vector, metadata in zip(block.ids, block.vectors, block.metadata, strict=True):
                assert metadata == {"n": int(id[1:])}
                assert vector.tobytes() == table[int(id[1:])].tobytes()
        chosen = [id for block in store.scan("n >= 2400", columns=["metadata"], rows=37) for id in block.ids]
        assert sorted(chosen) == ids[2400:]

    def test_only_the_columns_asked_for_come(self, connect: Connect) -> None:
        store = connect(dim=2)
        store.upsert(Point("a", [1, 2], {"n": 1}, "text"))
        assert [block.columns for block in store.scan(columns=[])] == [()]
        block = next(iter(store.scan(columns=["documents"])))
        assert block.documents == ["text"]
        assert block.columns == ("documents",)

    def test_a_scan_over_all_namespaces_names_them(self, connect: Connect) -> None:
        store = connect(dim=2)
        for name in ("", "a", "知"):
            store.namespace(name).upsert([Point("same", [1, 1]), Point(f"own {name}", [1, 2])])
        scanned = [
            pair for block in store.scan(everywhere=True) for pair in zip(block.namespaces, block.ids, strict=True)
        ]
        assert sorted(scanned) == sorted((name, id) for name in ("", "a", "知") for id in ("same", f"own {name}"))

    def test_other_calls_may_come_in_the_middle_of_a_scan(self, connect: Connect) -> None:
        store = connect(dim=2)
        store.upsert([Point(f"s{n}", [1, n], {"n": n}) for n in range(100)])
        seen = []
        for block in store.scan(rows=10):
            seen += block.ids
            assert store.count("n < 50") == 50
            assert len(store.search([1, 1], k=3)) == 3
        assert sorted(seen) == sorted(f"s{n}" for n in range(100))

    def test_a_loop_removes_what_it_reads(self, connect: Connect) -> None:
        store = self.open_scanned(connect)
        seen: list[str] = []
        for block in store.scan(rows=50):
            seen += block.ids
            assert store.delete(block.ids) == len(block)
        assert sorted(seen) == NAMES
        assert store.count() == 0

    def test_a_loop_changes_what_decides_whether_a_record_is_read(self, connect: Connect) -> None:
        store = self.open_scanned(connect)
        seen: list[str] = []
        for block in store.scan("n >= 40", rows=30):
            seen += block.ids
            store.update_metadata({id: {"n": -1} for id in block.ids})
        assert sorted(seen) == NAMES[40:]
        assert store.count("n == -1") == len(NAMES) - 40

    @pytest.mark.parametrize("everywhere", [False, True])
    def test_records_are_written_and_removed_during_a_scan(self, connect: Connect, everywhere: bool) -> None:
        store = self.open_scanned(connect)
        for space in SPACES if everywhere else ():
            store.namespace(space).upsert(make_points(NAMES[:80]))
        held = {("", name) for name in NAMES} | {(space, name) for space in SPACES * everywhere for name in NAMES[:80]}
        seen: Counter[tuple[str, str]] = Counter()
        touched: set[tuple[str, str]] = set()
        generator = random.Random(3)
        for step, block in enumerate(store.scan(rows=25, everywhere=everywhere)):
            assert len(block) <= 50
            spaces = block.namespaces if everywhere else [""] * len(block)
            seen.update(zip(spaces, block.ids, strict=True))
            for space in ("", *SPACES) if everywhere else ("",):
                other, names = store.namespace(space), generator.sample(NAMES, 12)
                other.delete(names[:4])
                other.upsert(make_points([*names[4:8], f"0{step}", f"z{step}", f"s{step:03}+"], n=step))
                other.update_metadata({name: {"n": -step} for name in names[8:]})
                touched.update((space, name) for name in names)
        twice = [key for key, count in seen.items() if count > 1]
        assert not twice, f"{len(twice)} records came twice, such as {twice[:3]}"
        missing = held - touched - seen.keys()
        assert not missing, f"{len(missing)} records that nobody touched were left out, such as {sorted(missing)[:3]}"
        assert held - touched, "nothing was left untouched"

    @pytest.mark.slow
    def test_another_process_removes_and_adds_records_during_a_scan(self, connect: Connect, url: str) -> None:
        store = self.open_scanned(connect)
        lacking(store, "persistent")
        lacking(store, "several_writers")
        order = {"url": url, "options": self.options, "collection": store.collection, "disturb": NAMES[:120]}
        command = [sys.executable, "-m", "dizuo.testing.vectors.worker"]
        seen: Counter[str] = Counter()
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            assert process.stdout.readline().strip() == "ready"
            for step, block in enumerate(store.scan(rows=25)):
                seen.update(block.ids)
                if step < 3:
                    process.stdin.write("go\n")
                    process.stdin.flush()
                    assert process.stdout.readline().strip() == str(step)
            process.stdin.close()
            assert process.wait(120) == 0
        assert max(seen.values()) == 1
        assert set(NAMES[120:]) <= seen.keys()

    def open_scanned(self, connect: Connect) -> VectorStore:
        store = connect(dim=2)
        store.upsert(make_points(NAMES))
        return store

    def test_an_arrow_stream_carries_a_store_to_another(self, connect: Connect) -> None:
        store, oracle = connect(dim=3), plain("memory://", dim=3)
        rows = [
            Point(f"p{n}", [1, n, -n], {"n": n, "nested": {"list": [n, None]}}, None if n % 3 else "t")
            for n in range(50)
        ]
        store.upsert(rows)
        stream = store.arrow(rows=7)
        assert stream.schema.names == ["id", "vector", "metadata", "document"]
        oracle.upsert(stream)
        assert_same_store(store, oracle)
