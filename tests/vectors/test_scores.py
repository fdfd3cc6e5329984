"""The k best are cut by score, ties by id."""

from __future__ import annotations

import numpy as np

from dizuo.vectors.scores import top_k


def test_the_best_are_cut_with_ties_by_id() -> None:
    scores = np.array([0.5, 0.9, 0.5, 0.5, 0.1])
    ids = ["d", "z", "a", "c", "b"]
    for k, right in (
        (1, ["z"]),
        (2, ["z", "a"]),
        (3, ["z", "a", "c"]),
        (5, ["z", "a", "c", "d", "b"]),
        (9, ["z", "a", "c", "d", "b"]),
    ):
        assert [ids[n] for n in top_k(scores, ids, k)] == right
