"""The limits of Elasticsearch, and what is done at them."""

from __future__ import annotations

from dizuo.vectors.filters.fitting import FilterLimits
from dizuo.vectors.protocol.limits import IN_PARTS, MULTIPLIED_OUT, Limit

__all__ = ["FILTERS", "LIMITS", "NAMESPACES", "TERMS", "WINDOW"]

FILTERS = FilterLimits(depth=14, conditions=900, values=65_536, text_order=8)
"""Around the levels of a filter stand two of ours, and an order against text has up to ten."""
WINDOW = 10_000
"""Rows of one answer (index.max_result_window), and candidates of a search."""
NAMESPACES = 1000
"""Buckets of one page of an aggregation; search.max_buckets is 65,536."""
TERMS = 65_536
"""Values of one `terms` (index.max_terms_count), which counts as one clause."""

LIMITS = (
    Limit(
        "conditions",
        "1,024 or more, by heap and threads (indices.query.bool.max_clause_count)",
        f"up to 900: {IN_PARTS}",
    ),
    Limit(
        "levels",
        "30 (indices.query.bool.max_nested_depth)",
        f"up to 14: {MULTIPLIED_OUT}",
    ),
    Limit("values", "65,536 in one `terms` (index.max_terms_count)", "longer lists go in parts"),
    Limit(
        "answers",
        "10,000 (index.max_result_window, num_candidates)",
        "pages by search_after; from there on all vectors are read and compared here",
    ),
    Limit("queries", "none known", "one after the other"),
    Limit(
        "namespaces",
        "65,536 buckets of an aggregation (search.max_buckets)",
        "listed in pages of 1,000 (a composite aggregation)",
    ),
    Limit("ids", "bytes of a request", "1,000 in one call"),
    Limit("request", "100 MB (http.max_content_length)", "8 MiB of records in one call, six times that as JSON"),
    Limit("statement", "bytes of a request", "as it is"),
    Limit("id", "512 bytes (_id)", "up to 512 bytes, as everywhere; `_id` is a hash"),
    Limit("keys", "1,000 fields of a mapping", "keys are none: tags and numbers are values of two fields"),
    Limit("text", "32,766 bytes of an indexed term", "texts are held and not indexed as one term"),
)
