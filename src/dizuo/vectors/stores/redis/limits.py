"""The limits of Redis, and what is done at them."""

from __future__ import annotations

from dizuo.vectors.filters.fitting import FilterLimits
from dizuo.vectors.protocol.limits import MULTIPLIED_OUT, Limit

__all__ = ["ANSWERS", "FILTERS", "LIMITS"]

FILTERS = FilterLimits(depth=32)
ANSWERS = 1_000_000
"""Rows of one answer (MAXSEARCHRESULTS)."""

LIMITS = (
    Limit("conditions", "none known; 10,000 take less than a second", "as it is", measured=True),
    Limit(
        "levels",
        "the parser of queries refuses between 100 and 200 (its stack)",
        f"up to 32: {MULTIPLIED_OUT}",
        measured=True,
    ),
    Limit("values", "none known; 70,000 take 1.6 s", "as it is", measured=True),
    Limit(
        "answers",
        "1,000,000 (MAXSEARCHRESULTS)",
        "scans read windows; from there on all vectors are read and compared here",
    ),
    Limit("queries", "none known", "one after the other"),
    Limit("namespaces", "none known: each is an index, of 470 KB when it is empty", "as it is", measured=True),
    Limit("ids", "none known", "1,000 in one call"),
    Limit("request", "512 MB for one value (proto-max-bulk-len)", "16 MiB of records in one transaction"),
    Limit(
        "statement", "about 8,000 arguments of a script (LUAI_MAXCSTACK)", "a record has at most 900 numbers (`slots`)"
    ),
    Limit("id", "512 MB", "up to 512 bytes, as everywhere"),
    Limit(
        "keys",
        "1,024 fields of an index",
        "numbers of the first keys have a field (`slots`); filters on others read metadata",
    ),
    Limit("text", "512 MB", "as it is"),
)
