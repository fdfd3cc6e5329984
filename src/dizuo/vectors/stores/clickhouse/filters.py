"""Conditions over tags and numbers as ClickHouse's SQL, with texts as escaped literals."""

from __future__ import annotations

from dizuo.vectors.exact.tags_and_numbers import AllOf, AnyOf, Condition, Has, Lacks, Number, split_tags

__all__ = ["in_namespace", "quote", "write_condition"]


def in_namespace(namespace: str | None, condition: Condition) -> str:
    """Return a condition in a namespace, or in all, as SQL."""
    inner = write_condition(condition)
    return inner if namespace is None else f"ns = {quote(namespace)} AND ({inner})"


def write_condition(condition: Condition) -> str:
    """Return a condition as SQL. Tags and columns are letters and digits, so they need no escaping."""
    match condition:
        case Has(tag):
            return f"has(t, '{tag}')"
        case Lacks(tag):
            return f"NOT has(t, '{tag}')"
        case Number(column, order, value):
            return f"(mapContains(n, '{column}') AND n['{column}'] {order} {value!r})"
        case AllOf(parts):
            lacking, others = split_tags(parts, Lacks)
            inner = [f"NOT {_write_tags(lacking)}"] if lacking else []
            return " AND ".join([*inner, *(f"({write_condition(part)})" for part in others)]) or "1"
        case AnyOf(parts):
            having, others = split_tags(parts, Has)
            inner = [_write_tags(having)] if having else []
            return " OR ".join([*inner, *(f"({write_condition(part)})" for part in others)]) or "0"
    raise AssertionError(condition)


def _write_tags(tags: list[str]) -> str:
    return f"hasAny(t, {tags})" if len(tags) > 1 else f"has(t, '{tags[0]}')"


def quote(text: str) -> str:
    """Return a text as a literal of ClickHouse's SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0") + "'"
