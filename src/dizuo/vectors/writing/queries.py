"""What a search is asked with: query vectors as one checked matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from dizuo.errors import VectorError
from dizuo.vectors.points import Floats
from dizuo.vectors.scores import Metric
from dizuo.vectors.writing.checking import vector_faults

__all__ = ["check_queries"]


def check_queries(queries: Any, dim: int, metric: Metric) -> Floats:
    """Return queries as float32 [q, dim], rows contiguous.

    Args:
        queries: any sequence of vectors, or an array [q, dim]; none at all is [0, dim].
        dim: of the collection.
        metric: of the collection; cosine takes no zeros.

    Raises:
        VectorError: a query has another dimension, or NaN, infinity, or zeros under cosine.
    """
    if len(queries) == 0:
        return np.empty((0, dim), np.float32)
    try:
        raw = np.asarray(queries)
    except ValueError:
        raw = np.empty(0, object)
    if raw.dtype.kind not in "fiu" or raw.ndim != 2 or raw.shape[1] != dim:
        shape = "of several lengths" if raw.dtype == object else f"{list(raw.shape[1:])}"
        raise VectorError(f"a query has {dim} numbers in this collection, and this one is {shape}")
    with np.errstate(over="ignore"):
        matrix = np.ascontiguousarray(raw, dtype=np.float32)
    for place, fault in vector_faults(matrix, metric).items():
        raise VectorError(f"query {place} cannot be searched: {fault}" if len(matrix) > 1 else f"query: {fault}")
    return matrix
