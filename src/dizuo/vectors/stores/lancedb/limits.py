"""The limits of LanceDB, and what is done at them."""

from __future__ import annotations

from dizuo.vectors.filters.fitting import FilterLimits
from dizuo.vectors.protocol.limits import IN_PARTS, MULTIPLIED_OUT, Limit

__all__ = ["FILTERS", "LIMITS"]

FILTERS = FilterLimits(depth=16, conditions=300)

LIMITS = (
    Limit(
        "conditions",
        "none known; planning takes 3 s for 2,000",
        f"up to 300: {IN_PARTS}",
        measured=True,
    ),
    Limit(
        "levels",
        "the parser of SQL refuses between 24 and 40",
        f"up to 16: {MULTIPLIED_OUT}",
        measured=True,
    ),
    Limit("values", "none known; planning takes 2 s for 70,000", "as it is", measured=True),
    Limit("answers", "none known", "as it is"),
    Limit("queries", "none known", "one after the other"),
    Limit("namespaces", "none: they are a column", "as it is"),
    Limit("ids", "none known", "20,000 in one statement"),
    Limit("request", "none: it runs in this process", "64 MB in one write"),
    Limit("statement", "none known", "as it is"),
    Limit("id", "none known", "up to 512 bytes, as everywhere"),
    Limit("keys", "none known", "as it is"),
    Limit("text", "2 GB in a column of one batch (Arrow)", "64 MB in one write"),
)
