"""A store of awkward records in three namespaces, for the tests of copies and exports."""

from __future__ import annotations

from typing import Any

from dizuo.testing.vectors.samples import AWKWARD_IDS, AWKWARD_METADATA, AWKWARD_TEXTS
from dizuo.vectors import Point, VectorStore, connect

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
