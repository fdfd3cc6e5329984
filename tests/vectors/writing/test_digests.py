"""A checksum is that of the records, in whatever order they come."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

import numpy as np

from dizuo.testing.vectors.samples import AWKWARD_IDS, AWKWARD_METADATA, AWKWARD_TEXTS
from dizuo.vectors import Point, connect
from dizuo.vectors.writing.digests import Checksum, digest_rows


def test_a_checksum_is_of_the_records_whatever_their_order() -> None:
    store = connect("memory://", dim=4)
    store.upsert(
        Point(f"{n} {AWKWARD_IDS[n % len(AWKWARD_IDS)]}"[:100], [1, n, -n, n / 7], {**metadata, "n": n}, document)
        for n, (metadata, document) in enumerate(zip(cycle(AWKWARD_METADATA), [None, *AWKWARD_TEXTS]))
    )
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
