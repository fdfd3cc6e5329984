"""The limits of PostgreSQL, and what is done at them."""

from __future__ import annotations

from dizuo.vectors.filters.fitting import FilterLimits
from dizuo.vectors.protocol.limits import IN_PARTS, Limit

__all__ = ["FILTERS", "LIMITS"]

FILTERS = FilterLimits(conditions=20_000)
"""A condition has at most three parameters, and a statement 65,535."""

LIMITS = (
    Limit(
        "conditions",
        "65,535 parameters",
        f"up to 20,000: {IN_PARTS}",
    ),
    Limit("levels", "2 MB of stack (max_stack_depth), some thousands", "the 200 of any filter"),
    Limit("values", "none: they are one array", "as it is"),
    Limit("answers", "none known", "scans read a cursor"),
    Limit("queries", "none known", "one after the other"),
    Limit("namespaces", "none: they are a column", "as it is"),
    Limit("ids", "none: they are one array", "10,000 in one statement"),
    Limit("request", "1 GB", "32 MiB of records in one transaction"),
    Limit("statement", "65,535 parameters; 1 GB", "lists are one parameter"),
    Limit("id", "2,704 bytes of an index entry, namespace included", "up to 512 bytes, as everywhere"),
    Limit("keys", "256 MB of a value in jsonb", "as it is"),
    Limit("text", "1 GB; 256 MB of a text in jsonb", "as it is"),
)
