"""Metadata as Arrow columns: a batch of flat JSON objects of one shape is read as a whole and not one by one.

Most batches are like that: every record has the same keys, and every key has values of one kind. `read_columns` reads
them in C++, about 1 µs a record, and finds at once that there is nothing to refuse. Where it is not sure it returns
None, and the texts are checked one by one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dizuo.vectors.exact.sort_keys import json_member

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["read_columns", "sort_key_column"]

FEW = 64
"""Batches of fewer records are not worth the preparations."""
EXACT = 2.0**53


def read_columns(texts: pa.Array) -> dict[str, pa.Array] | None:
    """Return the values by key, if all texts are valid metadata with the same keys and one kind of value for each.

    Args:
        texts: string array [n]: JSON objects, as users give them.

    Values are text, integers of 64 bits, floats below 2^53, or booleans; never null, never missing. None does not mean
    that the texts are wrong: they may be valid or not.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import json as arrow_json

    if len(texts) < FEW or texts.null_count or (kinds := _kinds(texts[0].as_py())) is None:
        return None
    if (joined := _join_texts(texts)) is None:
        return None
    read = arrow_json.ReadOptions(use_threads=False, block_size=max(1 << 20, joined.size + 1))
    options = arrow_json.ParseOptions(explicit_schema=pa.schema(kinds), unexpected_field_behavior="error")
    try:
        table = arrow_json.read_json(pa.BufferReader(joined), read, options)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    columns = {key: table.column(key).combine_chunks() for key in kinds}
    if table.num_rows != len(texts) or any(column.null_count for column in columns.values()):
        return None
    floats = (columns[key] for key, kind in kinds.items() if kind == pa.float64())
    # A larger float may be an integer in the text. NaN is not less than anything, so it fails here too.
    if not all(pc.all(pc.less(pc.abs(column), EXACT)).as_py() for column in floats):
        return None
    return columns


def _join_texts(texts: pa.Array) -> pa.Buffer | None:
    """Return the bytes of all texts, without a copy, if each begins and ends as an object and has no other inside.

    Then there are n opening braces and every text begins with one, so a reading that finds n objects has found one in
    each text. A backslash is refused since an escape could be half a surrogate pair, and a line end since it would cut
    the reading.
    """
    _, offsets, data = texts.buffers()
    edges = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    joined = data.slice(int(edges[0]), int(edges[-1] - edges[0]))
    letters, edges = np.frombuffer(joined, np.uint8), edges - edges[0]
    if np.diff(edges).min() < len("{}"):
        return None
    objects = (letters[edges[:-1]] == ord("{")).all() and (letters[edges[1:] - 1] == ord("}")).all()
    if not objects or np.count_nonzero(letters == ord("{")) != len(texts):
        return None
    return None if (letters == ord("\\")).any() or (letters == ord("\n")).any() else joined


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


def sort_key_column(columns: Mapping[str, pa.Array]) -> pa.Array:
    """Return what `sort_keys_json` returns for these records, as a string array; a value is written once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = []
    for position, (key, values) in enumerate(columns.items(), 1):
        before, after = "{" if position == 1 else "", "}" if position == len(columns) else ""
        if values.type == pa.string() and _are_plain(values):
            parts.append(pc.binary_join_element_wise(before + json_member(key, "")[:-1], values, '"' + after, ""))
            continue
        held = values.dictionary_encode()
        pieces = [before + json_member(key, value) + after for value in held.dictionary.to_pylist()]
        parts.append(pa.array(pieces, pa.string()).take(held.indices))
    return pc.binary_join_element_wise(*parts, ",")


def _are_plain(texts: pa.Array) -> bool:
    """Return whether no text has a character that JSON writes in another way."""
    _, offsets, data = texts.buffers()
    if data is None:
        return True
    first, last = np.frombuffer(offsets, np.int32)[[texts.offset, texts.offset + len(texts)]].tolist()
    letters = np.frombuffer(data, np.uint8)[first:last]
    return not ((letters < ord(" ")) | (letters == ord('"')) | (letters == ord("\\"))).any()
