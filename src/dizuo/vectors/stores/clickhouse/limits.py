"""The limits of ClickHouse, and what is done at them."""

from __future__ import annotations

from dizuo.vectors.filters.fitting import FilterLimits
from dizuo.vectors.protocol.limits import IN_PARTS, MULTIPLIED_OUT, Limit

__all__ = ["FILTERS", "LIMITS"]

FILTERS = FilterLimits(depth=64, conditions=1000, text_order=8)

LIMITS = (
    Limit(
        "conditions",
        "50,000 elements of a query (max_ast_elements); 2,000 conditions take 4 s",
        f"the setting is raised; up to 1,000: {IN_PARTS}",
    ),
    Limit(
        "levels",
        "1,000 (max_ast_depth, max_parser_depth)",
        f"up to 64: {MULTIPLIED_OUT}",
    ),
    Limit("values", "none known; 70,000 take 3 s", "the setting for elements is raised", measured=True),
    Limit("answers", "none known", "as it is"),
    Limit("queries", "none known", "one after the other"),
    Limit("namespaces", "none: they are a column", "as it is"),
    Limit("ids", "none known", "10,000 in one statement"),
    Limit("request", "none for a body", "64 MiB in one insert"),
    Limit("statement", "256 KiB (max_query_size)", "raised to 256 MiB with every query"),
    Limit("id", "none known", "up to 512 bytes, as everywhere"),
    Limit("keys", "none known", "as it is"),
    Limit("text", "none known", "as it is"),
)
