"""A scan sees every record once, in constant memory, and a copy is the same."""

from __future__ import annotations

import numpy as np

from dizuo.testing.vectors.comparing import assert_same_store
from dizuo.testing.vectors.opening import Connect, Opening
from dizuo.vectors import Point
from dizuo.vectors import connect as plain
from dizuo.vectors.points import Block

__all__ = ["Scans"]


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
