"""Awkward values, and hypothesis strategies that make points, filters and operations out of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from dizuo.vectors import Filter, Point, field
from dizuo.vectors.filters.tree import Scalar
from dizuo.vectors.points import Floats

__all__ = [
    "AWKWARD_IDS",
    "AWKWARD_METADATA",
    "AWKWARD_TEXTS",
    "KEYS",
    "clusters",
    "filters",
    "metadata",
    "points",
    "scalars",
    "vectors",
]

KEYS = ["lang", "year", "price", "ok", "tags", "a key", "naïve.键", "$or", 'say "hi"', "it's", "back\\slash", "Lang"]
AWKWARD_TEXTS = [
    "", " ", "zh", "en", "Zh", "z", "zh ", "it's", '"', "%", "z_", "z%", "a\\b", "\\", "nul\0inside", "🙂", "e\u0301",
    "é", "ｚｈ", "\n\t\r", "{}[]()|*@-~,.:;", "null", "true", "1", "2020", "\u200b", "\u2028", "\x01", "ß",
    "数据库检索", "x" * 300, "' OR 1=1 --", "${x}", "\ufeffbom", "\U0010ffff", "\ue000",
]  # fmt: skip
AWKWARD_NUMBERS: list[int | float] = [
    0, 1, -1, 2, 2019, 2020, 2021, 2020.0, 0.1, 0.5, 1.5, -0.0, 1e300, -1e300, 5e-324, 2**31, 2**53, 2**53 + 1,
    -(2**53) - 1, 2**63 - 1, -(2**63), 2.0**53, 2.0**62, 1e22, 1e16, 3.4028234663852886e38, 1 / 3,
]  # fmt: skip
AWKWARD_IDS = [
    "a", "A", "1", "01", " ", " a", "it's", '"quoted"', "a/b", "a\\b", "a,b", "a|b", "数据", "é", "e\u0301", "🙂", "%",
    "null", "{tag}", "a b", "a\tb", "a\nb", "-", "*", "\u200b", "x" * 512, "字" * 170, "' OR 1=1 --", "__id", "\x01",
    "\x7f",
]  # fmt: skip
AWKWARD_METADATA: list[dict[str, Any]] = [
    {},
    {"a": None},
    {"a": {}, "b": [], "c": [[]], "d": [{}], "e": {"f": {"g": [1, 2.0, "3", None, True]}}},
    {"big": 2**53 + 1, "max": 2**63 - 1, "min": -(2**63), "float": 1.0, "int": 1, "true": True, "zero": -0.0},
    {"tiny": 5e-324, "huge": 1.7976931348623157e308, "third": 1 / 3, "e22": 1e22},
    {"mixed": [1, "1", 1.0, True, None, [1], {"1": 1}]},
    {"texts": AWKWARD_TEXTS},
    {key: key for key in KEYS},
    {
        "_id": 1,
        "id": 2,
        "vector": 3,
        "document": 4,
        "namespace": 5,
        "metadata": 6,
        "score": 7,
        "$eq": 8,
        "_distance": 9,
    },
    {"k" * 200: "long key"},
    {"nul": "a\0b", "nul\0key": 1},
    {"long": "字" * 5000},
]


def scalars() -> st.SearchStrategy[Scalar]:
    """Return values that filters compare with: few enough that they often meet."""
    return st.one_of(
        st.sampled_from(["zh", "en", "Zh", "z", "it's", ""]),
        st.sampled_from([1, 2019, 2020, 2021, 1.0, 0.5, 0]),
        st.booleans(),
        st.none(),
        st.sampled_from(AWKWARD_TEXTS),
        st.sampled_from(AWKWARD_NUMBERS),
    )


def metadata() -> st.SearchStrategy[dict[str, Any]]:
    """Return metadata over a few keys, with values of all kinds, also nested."""
    value = st.one_of(
        scalars(),
        st.lists(scalars(), max_size=4),
        st.dictionaries(st.sampled_from(["x", "lang"]), scalars(), max_size=2),
    )
    return st.dictionaries(st.sampled_from(KEYS), value, max_size=5)


def filters() -> st.SearchStrategy[Filter]:
    """Return filters of every kind, nested."""
    keys = st.sampled_from(KEYS).map(field)
    ordered = scalars().filter(lambda value: value is not None and not isinstance(value, bool))
    leaf = st.one_of(
        st.builds(lambda key, value: key == value, keys, scalars()),
        st.builds(lambda key, value: key != value, keys, scalars()),
        st.builds(lambda key, value: key < value, keys, ordered),
        st.builds(lambda key, value: key <= value, keys, ordered),
        st.builds(lambda key, value: key > value, keys, ordered),
        st.builds(lambda key, value: key >= value, keys, ordered),
        st.builds(lambda key, values: key.in_(values), keys, st.lists(scalars(), max_size=4)),
        st.builds(lambda key, values: key.not_in(values), keys, st.lists(scalars(), max_size=4)),
        st.builds(lambda key: key.exists(), keys),
        st.builds(lambda key, value: key.contains(value), keys, scalars()),
        st.builds(
            lambda key, prefix: key.startswith(prefix), keys, st.sampled_from(["", "z", "%", "it'", "a\\", "🙂"])
        ),
    )
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.builds(lambda left, right: left & right, inner, inner),
            st.builds(lambda left, right: left | right, inner, inner),
            st.builds(lambda operand: ~operand, inner),
        ),
        max_leaves=5,
    )


def vectors(dim: int) -> st.SearchStrategy[list[float]]:
    """Return vectors of float32 values that are not near zero as a whole."""
    number = st.floats(-4, 4, width=32, allow_subnormal=False)
    return st.lists(number, min_size=dim, max_size=dim).map(
        lambda row: row if sum(x * x for x in row) > 1e-3 else [1.0, *row[1:]]
    )


def points(dim: int, *, max_size: int = 12) -> st.SearchStrategy[list[Point]]:
    """Return points with ids that often meet again."""
    point = st.builds(
        Point,
        st.sampled_from(AWKWARD_IDS),
        vectors(dim),
        metadata(),
        st.one_of(st.none(), st.sampled_from([*AWKWARD_TEXTS, "a database of vectors", "vectors and words"])),
    )
    return st.lists(point, max_size=max_size)


def clusters(rows: int, dim: int, *, seed: int = 0, centres: int = 50) -> tuple[Floats, Floats]:
    """Return vectors [rows, dim] around centres, as embeddings are, and 20 queries [20, dim] from the same mixture."""
    random = np.random.default_rng(seed)
    middles = random.standard_normal((centres, dim))
    which = random.integers(0, centres, rows + 20)
    drawn = middles[which] + 0.5 * random.standard_normal((rows + 20, dim))
    both = drawn.astype(np.float32)
    return both[:rows], both[rows:]
