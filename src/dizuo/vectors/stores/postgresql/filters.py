"""Filters as SQL over a jsonb column, with bound parameters; and text without NUL, which PostgreSQL cannot hold.

jsonb compares numbers exactly (numeric), keeps bool, number and text apart, and a GIN index answers `@>`. It cannot
hold U+0000, so U+0000 and U+0001 are written as two characters each, which keeps order and prefixes. It compares 1e22
as that decimal, so whole floats beyond 2^53 are written as integers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from dizuo.vectors.filters.tree import And, Compare, Contains, Exists, Filter, In, Not, Or, StartsWith

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["compile_filter", "escape_nul", "escape_nul_texts", "facts", "to_facts_texts", "unescape_nul"]

FEW = 16
"""Up to so many values of `in` are looked up one by one, which the index can do."""


def escape_nul(text: str) -> str:
    """Return a text without U+0000 that keeps order and prefixes; `unescape_nul` is the inverse."""
    if "\0" in text or "\x01" in text:
        return text.replace("\x01", "\x01\x02").replace("\0", "\x01\x01")
    return text


def unescape_nul(text: str) -> str:
    """Return the text from which `escape_nul` made this one."""
    return text.replace("\x01\x01", "\0").replace("\x01\x02", "\x01") if "\x01" in text else text


def facts(text: str) -> str:
    """Return the JSON that filters read, from metadata as JSON text; mostly the same text."""
    if "\\u0000" in text or "\\u0001" in text or "e+" in text:
        return json.dumps(_to_facts_value(json.loads(text)), ensure_ascii=False)
    return text


def escape_nul_texts(texts: pa.Array) -> pa.Array:
    """Return `escape_nul` of a string array; mostly the same array."""
    return texts if _contain_none(texts, b"\0", b"\x01") else _change_each(texts, escape_nul)


def to_facts_texts(texts: pa.Array) -> pa.Array:
    """Return `facts` of a string array; mostly the same array."""
    return texts if _contain_none(texts, b"\\u0000", b"\\u0001", b"e+") else _change_each(texts, facts)


def _contain_none(texts: pa.Array, *words: bytes) -> bool:
    """Return whether no text has any of these words."""
    _, ends, data = texts.buffers()
    if data is None:
        return True
    first, last = np.frombuffer(ends, np.int32)[[texts.offset, texts.offset + len(texts)]].tolist()
    together = data.slice(first, last - first).to_pybytes()
    return not any(word in together for word in words)


def _change_each(texts: pa.Array, change: Callable[[str], str]) -> pa.Array:
    import pyarrow as pa

    return pa.array([None if text is None else change(text) for text in texts.to_pylist()], pa.string())


def _to_facts_value(value: Any) -> Any:
    if isinstance(value, str):
        return escape_nul(value)
    if isinstance(value, float) and abs(value) >= 2.0**53:
        return int(value)
    if isinstance(value, dict):
        return {escape_nul(key): _to_facts_value(item) for key, item in value.items()}
    return [_to_facts_value(item) for item in value] if isinstance(value, list) else value


def _write_json(value: Any) -> str:
    return json.dumps(_to_facts_value(value), ensure_ascii=False)


def compile_filter(filter: Filter | None) -> tuple[str, list[Any]]:
    """Return a condition over the column `facts` that is never null, and its parameters."""
    parameters: list[Any] = []
    return _write_condition(filter, parameters) if filter is not None else "true", parameters


def _write_condition(filter: Filter, out: list[Any]) -> str:
    match filter:
        case And(filters):
            return f"({' AND '.join(_write_condition(operand, out) for operand in filters)})" if filters else "true"
        case Or(filters):
            return f"({' OR '.join(_write_condition(operand, out) for operand in filters)})" if filters else "false"
        case Not(inner):
            return f"(NOT {_write_condition(inner, out)})"
        case Exists(key):
            out.append(escape_nul(key))
            return "(facts ? %s::text)"
        case Compare(key, "==", value):
            out.append(_write_json({key: value}))
            return "(facts @> %s::jsonb)"
        case Compare(key, "!=", value):
            out.append(_write_json({key: value}))
            return "(NOT facts @> %s::jsonb)"
        case In(key, values) if len(values) <= FEW:
            out.extend(_write_json({key: value}) for value in values)
            return f"({' OR '.join(['facts @> %s::jsonb'] * len(values))})" if values else "false"
        case In(key, values):
            out += [escape_nul(key), [_write_json(value) for value in values]]
            return "coalesce((facts -> %s::text) = ANY(%s::text[]::jsonb[]), false)"
        case Contains(key, value):
            out.append(_write_json({key: [value]}))
            return "(facts @> %s::jsonb)"
        case StartsWith(key, prefix):
            out += [escape_nul(key), escape_nul(key), escape_nul(prefix)]
            return "coalesce(jsonb_typeof(facts -> %s::text) = 'string' AND starts_with(facts ->> %s::text, %s), false)"
        case Compare(key, operator, str(value)):
            out += [escape_nul(key), escape_nul(key), escape_nul(value)]
            test = f'(facts ->> %s::text) COLLATE "C" {operator} %s::text'
            return f"coalesce(jsonb_typeof(facts -> %s::text) = 'string' AND {test}, false)"
        case Compare(key, operator, value):
            out += [escape_nul(key), escape_nul(key), _write_json(value)]
            test = f"(facts -> %s::text) {operator} %s::jsonb"
            return f"coalesce(jsonb_typeof(facts -> %s::text) = 'number' AND {test}, false)"
    raise AssertionError(filter)
