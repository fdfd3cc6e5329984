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
def test_a_shared_token_stands_once_and_each_sequence_keeps_its_weight_on_it(lists, random):
    weights = [[0.0] + [random.choice([0.0, 0.5, 2.0]) for _ in row[1:]] for row in lists]
    tree = build(sequences_of(lists, weights))
    distinct = set()
    flat = []
    for number, (row, weight) in enumerate(zip(lists, weights, strict=True)):
        for k in range(1, len(row)):
            if weight[k]:
                distinct.add(tuple(row[: k + 1]))
                flat.append((number, int(tree.path[number][k]), weight[k]))
    assert len(tree.edge) == len(distinct)
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


def keyed(lists, keys):
    return Sequences.of(((row, [0.0] + [1.0] * (len(row) - 1)) for row in lists), keys=keys)


def test_equal_tokens_with_different_keys_are_different_nodes_and_with_equal_keys_one():
    rows = [[1, 2, 3], [1, 2, 3]]
    assert len(build(keyed(rows, None))) == 3
    assert len(build(keyed(rows, [7, 7]))) == 3
    assert len(build(keyed(rows, [7, 8]))) == 6
    assert len(build(keyed(rows, [-1, 2**63 - 1]))) == 6


def test_what_stands_before_an_image_is_shared_and_what_reads_it_is_not():
    first, second = (int.from_bytes(bytes([digest] * 8), "big", signed=True) for digest in (3, 250))
    tree = build(keyed([[1, 2, 9, 4], [1, 2, 9, 4], [1, 2, 9, 5]], [[0, 0, k, k] for k in (first, second, first)]))
    assert len(tree) == 2 + 3 + 2
    one, two, three = (path.tolist() for path in tree.path)
    assert one[:2] == two[:2] == three[:2]
    assert one[:3] == three[:3]
    assert not set(one[2:]) & set(two[2:])
    assert one[3] != three[3]


@given(rows, st.data())
@settings(max_examples=200, deadline=None)
def test_two_sequences_share_a_node_exactly_while_ids_and_keys_agree(lists, data):
    keys = [
        data.draw(st.integers(-1, 1) | st.lists(st.integers(-1, 1), min_size=len(row), max_size=len(row)))
        for row in lists
    ]
    tree = build(keyed(lists, keys))
    symbols = [
        list(zip(row, [key] * len(row) if isinstance(key, int) else key, strict=True))
        for row, key in zip(lists, keys, strict=True)
    ]
    assert len(tree) == len({tuple(row[: k + 1]) for row in symbols for k in range(len(row))})
    visible = tree.visible()
    for number, row in enumerate(lists):
        path = tree.path[number]
        assert tree.ids[path].tolist() == row
        assert tree.depth[path].tolist() == list(range(len(row)))
        for k in range(len(row)):
            assert set(np.flatnonzero(visible[path[k]])) == set(path[: k + 1].tolist())
            for other, symbol in enumerate(symbols):
                if k < len(symbol):
                    assert (path[k] == tree.path[other][k]) == (symbols[number][: k + 1] == symbol[: k + 1])


def test_keys_of_another_length_are_refused():
    with pytest.raises(AssertionError, match="one key per token"):
        keyed([[1, 2]], [[0, 0, 0]])
    with pytest.raises(AssertionError, match="per sequence"):
        keyed([[1, 2]], [0, 0])


def test_a_trained_first_token_is_refused():
    with pytest.raises(AssertionError, match="nothing predicts the first token"):
        Sequences.of([([1, 2], [1.0, 1.0])])
