"""The limits of Marqo, and what is done at them."""

from __future__ import annotations

from dizuo.vectors.filters.fitting import FilterLimits
from dizuo.vectors.protocol.limits import IN_PARTS, MULTIPLIED_OUT, Limit

__all__ = ["FILTERS", "LIMITS", "TOP"]

FILTERS = FilterLimits(depth=16, conditions=500, values=5000, listed=20_000, text_order=8)
"""Nothing is stated of levels and conditions; an emulator cannot tell."""
TOP = 1000
"""Most answers of one search (MARQO_MAX_SEARCH_LIMIT)."""

LIMITS = (
    Limit(
        "conditions",
        "not stated",
        f"up to 500: {IN_PARTS}",
    ),
    Limit(
        "levels",
        "not stated",
        f"up to 16: {MULTIPLIED_OUT}",
    ),
    Limit("values", "not stated", "1,000 in one `IN`, 5,000 in one filter; longer lists go in parts"),
    Limit(
        "answers",
        "1,000 (MARQO_MAX_SEARCH_LIMIT)",
        "scans read ranges of places; from there on all vectors are read and compared here",
    ),
    Limit("queries", "none known", "one after the other"),
    Limit("namespaces", "none: they are a field", "listed by a record for each"),
    Limit("ids", "128 documents in one call", "128 fetched and 1,000 deleted at once"),
    Limit("request", "128 documents of 100,000 characters", "4 MiB of records in one call"),
    Limit("statement", "not stated", "as it is"),
    Limit("id", "none known", "up to 512 bytes, as everywhere; `_id` is a hash"),
    Limit("keys", "100,000 characters of a document (MARQO_MAX_DOC_BYTES)", "a larger record is refused by its id"),
    Limit(
        "text",
        "100,000 characters of a document (MARQO_MAX_DOC_BYTES)",
        "compressed from 4,000 characters on; a larger record is refused by its id",
    ),
)
