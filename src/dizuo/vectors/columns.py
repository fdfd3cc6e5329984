"""Metadata as columns: a batch of flat JSON objects of one shape, read by Arrow as a whole and not one by one.

Most batches are such: every record has the same keys, and every key one kind of value. `flat_columns` reads them in
C++, about 1 µs a record, and finds at once that there is nothing to refuse; whatever it is not sure of, it leaves to
the slow way by saying None.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dizuo.vectors.sortable import piece

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["flat_columns", "shadow_column"]

FEW = 64
"""Records that are not worth the preparations."""
EXACT = 2.0**53


def flat_columns(texts: pa.Array) -> dict[str, pa.Array] | None:
    """Return key → values, if all texts are valid metadata with the same keys and one kind of value for each.

    Args:
        texts: string array [n]: JSON objects, as users give them.

    Values are text, integers of 64 bits, floats below 2^53, or booleans; never null, never missing. None is no
    judgement: the texts may be valid or not.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import json as arrow_json

    if len(texts) < FEW or texts.null_count or (kinds := _kinds(texts[0].as_py())) is None:
        return None
    # One object each and nothing beside it; no escapes, which could be half a surrogate pair.
    one = pc.and_(pc.equal(pc.count_substring(texts, "{"), 1), pc.starts_with(texts, "{"))
    if not pc.all(pc.and_(one, pc.ends_with(texts, "}"))).as_py() or pc.any(pc.match_substring(texts, "\\")).as_py():
        return None
    if pc.any(pc.match_substring(texts, "\n")).as_py():
        return None
    lines = pc.binary_join_element_wise(texts, "", "\n")
    _, offsets, data = lines.buffers()
    width = 8 if pa.types.is_large_string(lines.type) else 4
    first, last = (
        int.from_bytes(offsets[place * width : (place + 1) * width].to_pybytes(), "little")
        for place in (lines.offset, lines.offset + len(lines))
    )
    read = arrow_json.ReadOptions(use_threads=False, block_size=max(1 << 20, last - first + 1))
    options = arrow_json.ParseOptions(explicit_schema=pa.schema(kinds), unexpected_field_behavior="error")
    try:
        table = arrow_json.read_json(pa.BufferReader(data.slice(first, last - first)), read, options)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    columns = {key: table.column(key).combine_chunks() for key in kinds}
    if table.num_rows != len(texts) or any(column.null_count for column in columns.values()):
        return None
    floats = (columns[key] for key, kind in kinds.items() if kind == pa.float64())
    # A larger one may stand for an integer; and NaN is not below anything.
    if not all(pc.all(pc.less(pc.abs(column), EXACT)).as_py() for column in floats):
        return None
    return columns


def _kinds(text: str) -> dict[str, pa.DataType] | None:
    import pyarrow as pa

    kinds: dict[type, Any] = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    try:
        row = json.loads(text)
    except ValueError:
        return None
    if type(row) is not dict or not row or "" in row or any(type(value) not in kinds for value in row.values()):
        return None
    return {key: kinds[type(value)] for key, value in row.items()}


def shadow_column(columns: Mapping[str, pa.Array]) -> pa.Array:
    """Return what `shadow_texts` returns for these records, as a string array; every value is written once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = []
    for key, values in columns.items():
        held = values.dictionary_encode()
        pieces = [piece(key, value) for value in held.dictionary.to_pylist()]
        parts.append(pa.array(pieces, pa.string()).take(held.indices))
    return pc.binary_join_element_wise("{", pc.binary_join_element_wise(*parts, ","), "}", "")
