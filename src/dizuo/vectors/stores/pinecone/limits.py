"""The limits of Pinecone, and what is done at them."""

from __future__ import annotations

from dizuo.vectors.filters.fitting import FilterLimits
from dizuo.vectors.protocol.limits import IN_PARTS, MULTIPLIED_OUT, Limit

__all__ = ["FILTERS", "LIMITS", "TOP"]

FILTERS = FilterLimits(depth=32, conditions=1000, values=10_000, listed=50_000, text_order=8)
"""Nothing is stated of levels and conditions; an emulator cannot tell."""
TOP = 10_000
"""Most answers of one query."""

LIMITS = (
    Limit(
        "conditions",
        "not stated",
        f"up to 1,000: {IN_PARTS}",
    ),
    Limit(
        "levels",
        "not stated",
        f"up to 32: {MULTIPLIED_OUT}",
    ),
    Limit(
        "values",
        "10,000 in one `$in` or `$nin`",
        "longer lists go in parts, 50,000 values in one filter (2 MB of a request)",
    ),
    Limit(
        "answers",
        "10,000 (top_k); 4 MB of an answer",
        "smaller pages; from there on all vectors are read and compared here",
    ),
    Limit("queries", "none known", "one after the other"),
    Limit("namespaces", "listed 100 at a time; 100 to 100,000 of an index, by plan", "all pages are read"),
    Limit("ids", "1,000 in one deletion; a URL of a fetch", "1,000 deleted and 100 fetched at once"),
    Limit("request", "1,000 records and 2 MB in one upsert", "cut by both"),
    Limit("statement", "not stated", "as it is"),
    Limit("id", "512 characters of ASCII", "up to 512 bytes, as everywhere; another one is held under a hash"),
    Limit("keys", "40 KB of metadata", "a larger record is refused by its id"),
    Limit("text", "40 KB of metadata", "compressed from 4,000 characters on; a larger record is refused by its id"),
)
