"""What is asked for: the vectors of a search, how many hits, filters, ids and keywords, all checked."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from dizuo.errors import VectorError, did_you_mean
from dizuo.vectors.filters.normalising import check_depth, normalise
from dizuo.vectors.filters.parsing import parse
from dizuo.vectors.filters.tree import Filter, operators
from dizuo.vectors.points import Floats, Vectors
from dizuo.vectors.protocol.capabilities import Capabilities
from dizuo.vectors.protocol.errors import Unsupported
from dizuo.vectors.scores import Metric
from dizuo.vectors.writing.checking import id_fault, vector_faults

__all__ = ["check_filter", "check_ids", "check_k", "check_keywords", "check_queries"]


def check_queries(queries: Vectors, dim: int, metric: Metric) -> Floats:
    """Return query vectors as float32 [q, dim], rows contiguous.

    Args:
        queries: any sequence of vectors, or an array [q, dim]; none at all is [0, dim].
        dim: of the collection.
        metric: of the collection; under cosine a vector of zeros is refused.

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
    for row, fault in vector_faults(matrix, metric).items():
        raise VectorError(f"query {row} cannot be searched: {fault}" if len(matrix) > 1 else f"query: {fault}")
    return matrix


def check_k(k: int) -> int:
    """Return how many hits are asked for.

    Raises:
        VectorError: it is no number of hits.
    """
    if type(k) is not int or k < 0:
        raise VectorError(f"k is {k!r}, and it is a number of answers")
    return k


def check_filter(where: Filter | str | None, able: Capabilities, address: str) -> Filter | None:
    """Return a filter that the database can answer, in the form of `normalise`.

    Args:
        where: a filter or its text form.
        able: what the database can do.
        address: of the database, for the messages.

    Raises:
        VectorError: it is no filter, nests too deep, or its text form cannot be read.
        Unsupported: the database lacks one of its operators.
    """
    filter = parse(where) if isinstance(where, str) else where
    if filter is None:
        return None
    if not isinstance(filter, Filter):
        raise VectorError(f"where is {filter!r}, and no filter", hint='compare a field: field("lang") == "zh"')
    check_depth(filter)
    lacking = operators(filter) - able.operators
    if lacking:
        raise Unsupported(f"{address} cannot filter by {', '.join(sorted(lacking))}", details=[str(filter)])
    return normalise(filter, lists="in" in able.operators)


def check_ids(ids: Iterable[str] | str | None) -> list[str]:
    """Return the distinct ids that some record could have. A text that cannot be an id is left out: nothing has it.

    Raises:
        VectorError: one of them is no text.
    """
    distinct = list(dict.fromkeys([ids] if isinstance(ids, str) else ids or ()))
    for id in distinct:
        if not isinstance(id, str):
            raise VectorError(f"an id is text, not {id!r}")
    return [id for id in distinct if id_fault(id) is None]


def check_keywords(call: str, given: Iterable[str], known: Collection[str]) -> None:
    """Refuse keyword arguments that nobody reads, where another project's interface lets all through.

    Args:
        call: what was called, for the message.
        given: the names of the arguments.
        known: those that are read.

    Raises:
        VectorError: lists those that are not.
    """
    strange = [f"{name}: no such argument{did_you_mean(name, known)}" for name in given if name not in known]
    if strange:
        takes = f"it takes {', '.join(known)}" if known else "it takes no further ones"
        raise VectorError(f"{call} was given arguments that nobody reads", details=strange, hint=takes)
