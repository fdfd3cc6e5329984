"""A filter in Elasticsearch's language."""

from __future__ import annotations

from typing import Any

from dizuo.vectors.exact.tags_and_numbers import AllOf, AnyOf, Condition, Has, Lacks, Number, split_tags
from dizuo.vectors.stores.elasticsearch.bulk import order_number
from dizuo.vectors.stores.elasticsearch.limits import TERMS

__all__ = ["in_namespace"]

NEVER: dict[str, Any] = {"match_none": {}}


def in_namespace(namespace: str | None, condition: Condition) -> list[dict[str, Any]]:
    """Return a condition in a namespace, or in all, as the clauses of a filter."""
    space = [] if namespace is None else [{"term": {"ns": namespace}}]
    return [*space, _write_condition(condition)]


def _write_condition(condition: Condition) -> dict[str, Any]:
    match condition:
        case Has(tag):
            return {"term": {"t": tag}}
        case Lacks(tag):
            return {"bool": {"must_not": [{"term": {"t": tag}}]}}
        case Number(column, order, value):
            at = f"{column}:{order_number(value)}"
            # `;` follows `:`, so these ranges hold the numbers of this column and of no other.
            bounds = {
                "<": {"gte": f"{column}:", "lt": at},
                "<=": {"gte": f"{column}:", "lte": at},
                ">": {"gt": at, "lt": f"{column};"},
                ">=": {"gte": at, "lt": f"{column};"},
            }
            return {"term": {"k": at}} if order == "==" else {"range": {"k": bounds[order]}}
        case AllOf(parts):
            lacking, others = split_tags(parts, Lacks)
            inner: dict[str, Any] = {
                "filter": [_write_condition(part) for part in others],
                "must_not": _write_tags(lacking),
            }
            return {"bool": inner} if parts else {"match_all": {}}
        case AnyOf(parts):
            having, others = split_tags(parts, Has)
            inner = {"should": [*_write_tags(having), *map(_write_condition, others)], "minimum_should_match": 1}
            return {"bool": inner} if parts else NEVER
    raise AssertionError(condition)


def _write_tags(tags: list[str]) -> list[dict[str, Any]]:
    """Return the condition that a record has one of these tags, in as many clauses as its length asks for."""
    return [{"terms": {"t": tags[start : start + TERMS]}} for start in range(0, len(tags), TERMS)]
