"""The limits of Chroma, and what is done at them."""

from __future__ import annotations

from dizuo.vectors.exact.tags_and_numbers import FlatMetadata
from dizuo.vectors.filters.fitting import FilterLimits
from dizuo.vectors.protocol.limits import IN_PARTS, MULTIPLIED_OUT, Limit

__all__ = ["FILTERS", "LIMITS", "find_fault"]

FILTERS = FilterLimits(depth=24, conditions=256, lists=False, text_order=8)
"""A value of a list is an alternative of its own: Chroma has no list of tags. One with 20,000 ended the process."""
WIDEST = 5000
"""Tags, and numbers, of one record. From 5,461 on (32,766 parameters, six for each) Chroma takes the record and fails
at the next write or read, and from then on the collection fails for ever (measured)."""

LIMITS = (
    Limit(
        "conditions",
        "1,000 less the levels (SQLITE_MAX_EXPR_DEPTH); far more end the process, also a server that others use",
        f"up to 256: {IN_PARTS}",
    ),
    Limit(
        "levels",
        "refuses between 60 and 100",
        f"up to 24: {MULTIPLIED_OUT}",
        measured=True,
    ),
    Limit(
        "values",
        "as conditions, one each",
        "up to 8,192 go in parts of 256; for more the records that have the key are read and compared here",
    ),
    Limit("answers", "none known", "scans read pages"),
    Limit("queries", "none known", "one after the other"),
    Limit("namespaces", "none known: each is a collection of Chroma", "as it is"),
    Limit("ids", "5,461 in one write (get_max_batch_size)", "1,000 in one call"),
    Limit(
        "request",
        "40 MiB at a server (max_payload_size_bytes)",
        "8 MiB of records in one call, three times that as JSON",
    ),
    Limit("statement", "32,766 parameters (SQLITE_MAX_VARIABLE_NUMBER)", "1,000 ids in one call, 256 conditions"),
    Limit("id", "none known", "up to 512 bytes, as everywhere"),
    Limit(
        "keys",
        "5,461 values of a record (SQLITE_MAX_VARIABLE_NUMBER); one with more spoils the collection for ever",
        "a record with more than 5,000 facts, or numbers, is refused by its id",
        measured=True,
    ),
    Limit("text", "5,461 elements of a list", "a longer list is refused by its record's id", measured=True),
)


def find_fault(flat: FlatMetadata) -> str | None:
    """Return why Chroma cannot hold a record with these tags and numbers, or None."""
    for noun, held in (("facts", flat.tags), ("numbers", flat.numbers)):
        if len(held) > WIDEST:
            return f"filters need {len(held):,} {noun} of its metadata, and Chroma holds {WIDEST:,} in a record"
    return None
