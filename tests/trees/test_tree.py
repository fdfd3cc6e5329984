"""The packed arrays of a token tree, against a naive tree of nodes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dizuo.trees import Sequences, build

rows = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=12), min_size=1, max_size=8)


def sequences_of(lists, weights=None):
    return Sequences.of(
        (row, [0.0] + [1.0] * (len(row) - 1) if weights is None else weights[number])
        for number, row in enumerate(lists)
    )


def test_the_arrays_of_the_picture_in_the_documentation():
    a, b, c, d, x, y, z = range(1, 8)
    tree = build(sequences_of([[a, b, c, d], [a, b, c, x], [a, b, y], [a, z]]))
    assert tree.ids.tolist() == [a, b, c, d, x, y, z]
    assert tree.depth.tolist() == [0, 1, 2, 3, 3, 2, 1]
    assert tree.end.tolist() == [7, 6, 5, 4, 5, 6, 7]
    assert tree.parent.tolist() == [-1, 0, 1, 2, 2, 1, 0]
    assert tree.last.tolist() == [3, 4, 5, 6]


@given(rows)
@settings(max_examples=200, deadline=None)
def test_every_distinct_prefix_stands_once_and_every_sequence_reads_back(lists):
    tree = build(sequences_of(lists))
    distinct = {tuple(row[: k + 1]) for row in lists for k in range(len(row))}
    assert len(tree) == len(distinct)
    for number, row in enumerate(lists):
        assert tree.ids[tree.path[number]].tolist() == row
        assert tree.depth[tree.path[number]].tolist() == list(range(len(row)))
        assert tree.last[number] == tree.path[number][-1]


@given(rows)
@settings(max_examples=200, deadline=None)
def test_a_token_sees_exactly_its_own_path(lists):
    tree = build(sequences_of(lists))
    visible = tree.visible()
    for number, row in enumerate(lists):
        for k in range(len(row)):
            i = tree.path[number][k]
            assert set(np.flatnonzero(visible[i])) == set(tree.path[number][: k + 1].tolist())
            assert tree.parent[i] == (tree.path[number][k - 1] if k else -1)


@given(rows, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_weights_of_a_shared_token_add_up_and_stay_apart(lists, random):
    weights = [[0.0] + [random.choice([0.0, 0.5, 2.0]) for _ in row[1:]] for row in lists]
    tree = build(sequences_of(lists, weights))
    expected: dict[tuple[int, ...], float] = {}
    flat = []
    for number, (row, weight) in enumerate(zip(lists, weights, strict=True)):
        for k in range(1, len(row)):
            if weight[k]:
                prefix = tuple(row[: k + 1])
                expected[prefix] = expected.get(prefix, 0.0) + weight[k]
                flat.append((number, int(tree.path[number][k]), weight[k]))
    assert len(tree.edge) == len(expected)
    assert tree.edge_weight.sum() == pytest.approx(sum(expected.values()))
    got = list(
        zip(tree.path_sequence.tolist(), tree.edge[tree.path_edge].tolist(), tree.path_weight.tolist(), strict=True)
    )
    assert got == flat


@given(rows, st.data())
@settings(max_examples=200, deadline=None)
def test_what_no_wanted_state_depends_on_is_left_out_and_nothing_else(lists, data):
    tree = build(sequences_of(lists))
    wanted = np.array(sorted(data.draw(st.sets(st.integers(0, len(tree) - 1), min_size=1))))
    packed = tree.needed(wanted)
    kept = np.flatnonzero(tree.visible()[wanted].any(axis=0))
    assert packed.ids.tolist() == tree.ids[kept].tolist()
    assert packed.depth.tolist() == tree.depth[kept].tolist()
    assert kept[packed.rows].tolist() == wanted.tolist()
    index = np.arange(len(packed))
    visible = (index[None, :] <= index[:, None]) & (index[:, None] < packed.end[None, :])
    assert np.array_equal(visible, tree.visible()[np.ix_(kept, kept)])


def test_different_keys_never_share_a_token():
    rows = ([1, 2, 3], [1, 2, 3])
    ids = tuple(np.array(row, np.int32) for row in rows)
    weights = tuple(np.array([0, 1, 1], np.float32) for _ in rows)
    assert len(build(Sequences(ids, weights))) == 3
    assert len(build(Sequences(ids, weights, keys=(0, 1)))) == 6


def test_a_trained_first_token_is_refused():
    with pytest.raises(AssertionError, match="nothing predicts the first token"):
        Sequences.of([([1, 2], [1.0, 1.0])])
