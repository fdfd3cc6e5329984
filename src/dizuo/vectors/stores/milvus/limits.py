"""The limits of Milvus, and what is done at them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dizuo.vectors.filters.fitting import FilterLimits
from dizuo.vectors.protocol.limits import IN_PARTS, MULTIPLIED_OUT, Limit

__all__ = ["LIMITS", "LITE", "NUMBERS", "PIECE", "PIECES", "QUERIES", "SERVER", "TAGS", "WINDOW", "find_fault"]

LITE = FilterLimits(depth=32, conditions=2000, text_order=8)
SERVER = FilterLimits(depth=32, conditions=500, text_order=8)
"""A server takes 20 s for 2,000 conditions (measured, 2.3.5)."""
WINDOW, QUERIES = 16_384, 1000
"""Rows of one answer, and queries that go in one call, of which Milvus takes as many as rows."""
TAGS, PIECE, PIECES = 4096, 60_000, 256
"""Elements of an array, bytes of one in `m` and `d`, and how many of these."""
NUMBERS = 65_536
"""Bytes of a JSON field."""

LIMITS = (
    Limit(
        "conditions",
        "none known; a server takes 20 s for 2,000",
        f"up to 500, Lite 2,000: {IN_PARTS}",
        measured=True,
    ),
    Limit(
        "levels",
        "Lite refuses between 100 and 200 (the stack of Python)",
        f"up to 32: {MULTIPLIED_OUT}",
        measured=True,
    ),
    Limit("values", "none known; 70,000 take 3 s", "as it is", measured=True),
    Limit("answers", "16,384 (topk, limit)", "scans read pages; from there on all vectors are read and compared here"),
    Limit("queries", "16,384 (nq)", "in calls of 1,000"),
    Limit("namespaces", "1,024 partitions", "a column instead"),
    Limit("ids", "64 MB of a request", "1,000 in one call"),
    Limit("request", "64 MB", "16 MiB of records in one call"),
    Limit("statement", "64 MB of a request", "as it is"),
    Limit("id", "65,535 bytes (VARCHAR)", "up to 512 bytes, as everywhere"),
    Limit(
        "keys",
        "4,096 elements of an array; 65,536 bytes of JSON",
        "a record with more than 4,096 facts, or more numbers, is refused by its id",
    ),
    Limit(
        "text", "65,535 bytes (VARCHAR)", "held in up to 256 pieces of 60,000 bytes; a longer one is refused by its id"
    ),
)


def find_fault(fields: Mapping[str, Any]) -> str | None:
    """Return why Milvus cannot hold a record with these fields, or None."""
    if len(fields["t"]) > TAGS:
        return f"filters need {len(fields['t']):,} facts of its metadata, and Milvus holds {TAGS:,} in a record"
    if len(fields["n"]) > 1000 and (size := len(json.dumps(fields["n"]))) > NUMBERS:
        return f"the numbers of its metadata take {size:,} bytes, and Milvus holds {NUMBERS:,} in a record"
    for name, what in (("m", "metadata"), ("d", "document")):
        if len(fields[name]) > PIECES:
            return f"its {what} takes more than {PIECE * PIECES:,} bytes, which is what Milvus holds in a record"
    return None
