"""What may be sent: ids, vectors, metadata and documents are checked here, and nothing bad is ever sent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from dizuo.vectors.points import Block, Floats
from dizuo.vectors.protocol.errors import Refused
from dizuo.vectors.scores import Metric

__all__ = ["LONGEST_ID", "Bad", "check_block", "document_fault", "id_fault", "metadata_fault", "vector_faults"]

LONGEST_ID = 512
"""Bytes of an id in UTF-8; the least that any of the databases takes."""
DEEPEST = 32
"""Levels of nesting in metadata."""
INT64 = 2**63
Bad: TypeAlias = dict[str, str]
"""Why rows were left out, by id."""


def id_fault(id: Any) -> str | None:
    """Return why nobody can hold this id, or None."""
    if not isinstance(id, str):
        return f"the id is a {type(id).__name__}, not text"
    if not id:
        return "the id is empty"
    if "\0" in id:
        return "the id has a NUL character"
    if not id.isascii() or len(id) > LONGEST_ID:
        try:
            size = len(id.encode("utf-8"))
        except UnicodeEncodeError:
            return "the id has half a surrogate pair"
        if size > LONGEST_ID:
            return f"the id has {size} bytes, and {LONGEST_ID} is the most"
    return None


def document_fault(document: Any) -> str | None:
    """Return why this is no document, or None."""
    if document is None:
        return None
    if not isinstance(document, str):
        return f"the document is a {type(document).__name__}, not text"
    return "the document has half a surrogate pair" if _has_half_pair(document) else None


def metadata_fault(metadata: Any) -> str | None:
    """Return why metadata would not come back as it was, or None."""
    if not isinstance(metadata, Mapping):
        return f"the metadata is a {type(metadata).__name__}, not a mapping"
    return _mapping_fault(metadata, "", DEEPEST)


def _mapping_fault(metadata: Mapping[Any, Any], place: str, depth: int) -> str | None:
    for key, value in metadata.items():
        if type(key) is not str or not key or not (key.isascii() or not _has_half_pair(key)):
            return f"metadata{place} has the key {key!r}; keys are non-empty text"
        kind = type(value)
        if kind is str:
            if value.isascii():
                continue
            if _has_half_pair(value):
                return f"metadata{place}.{key} has half a surrogate pair"
        elif kind is bool or value is None:
            continue
        elif fault := _value_fault(value, f"{place}.{key}", depth):
            return fault
    return None


def _value_fault(value: Any, place: str, depth: int) -> str | None:
    kind = type(value)
    if kind is int:
        return None if -INT64 <= value < INT64 else f"metadata{place} is {value}, which does not fit in 64 bits"
    if kind is float:
        return None if math.isfinite(value) else f"metadata{place} is {value}, which JSON cannot hold"
    if kind is str:
        return f"metadata{place} has half a surrogate pair" if _has_half_pair(value) else None
    if kind is bool or value is None:
        return None
    if depth <= 1 and kind in (dict, list, tuple):
        return f"metadata{place} is nested deeper than {DEEPEST} levels"
    if kind is dict:
        return _mapping_fault(value, place, depth - 1)
    if kind in (list, tuple):
        faults = (_value_fault(item, f"{place}[{n}]", depth - 1) for n, item in enumerate(value))
        return next((fault for fault in faults if fault), None)
    hint = ".item()" if hasattr(value, "item") else ".isoformat()" if hasattr(value, "isoformat") else "text or numbers"
    return f"metadata{place} is a {kind.__name__}, which JSON has not; use {hint}"


def _has_half_pair(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def vector_faults(vectors: Floats, metric: Metric) -> dict[int, str]:
    """Return what is wrong with rows of float32 [n, dim]; one pass over the squared lengths finds all faults."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        squares = np.einsum("ij,ij->i", vectors, vectors)
        wrong = ~np.isfinite(squares)
        if metric == "cosine":
            wrong |= squares < np.finfo(np.float32).tiny
    return {int(row): _vector_fault(vectors[row]) for row in np.flatnonzero(wrong)}


def _vector_fault(vector: Floats) -> str:
    if np.isnan(vector).any():
        return f"the vector has NaN at place {int(np.flatnonzero(np.isnan(vector))[0])}"
    if np.isinf(vector).any():
        return f"the vector is infinite at place {int(np.flatnonzero(np.isinf(vector))[0])}"
    if not vector.any():
        return "the vector is zero, which has no direction for cosine"
    length = float(np.sqrt(np.square(vector.astype(np.float64)).sum()))
    return f"the vector has the length {length:.3g}, whose square float32 cannot hold"


def check_block(block: Block, *, dim: int, metric: Metric) -> tuple[Block, Bad]:
    """Return the rows that may be sent, the last one of each id, and why the others may not."""
    if block.vectors.ndim != 2 or block.vectors.shape[1] != dim:
        reason = f"the vectors have the shape {list(block.vectors.shape)}, not [n, {dim}]"
        raise Refused("the block does not fit the collection", dict.fromkeys(block.ids, reason))
    bad: Bad = {}
    faults = vector_faults(block.vectors, metric)
    if faults:
        bad = {block.ids[row]: fault for row, fault in faults.items()}
        block = block.take([row for row in range(len(block)) if row not in faults])
    if block.num_ids() < len(block):
        last = {id: row for row, id in enumerate(block.ids)}
        block = block.take(sorted(last.values()))
    return block, bad
