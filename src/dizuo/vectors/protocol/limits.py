"""The limits of a database, as facts beside its store: what its makers state or we measured, and what dizuo does.

Every store has a `limits.py` that ends in `LIMITS`; the table of `docs/reference/vectors.md` is written from it. Each
kind of limit has a test in the conformance suite that goes past it (`KINDS`), so a table that is wrong fails there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

__all__ = ["IN_PARTS", "KINDS", "MULTIPLIED_OUT", "Kind", "Limit"]

Kind: TypeAlias = Literal[
    "conditions",
    "levels",
    "values",
    "answers",
    "queries",
    "namespaces",
    "ids",
    "request",
    "statement",
    "id",
    "keys",
    "text",
]
KINDS: dict[Kind, tuple[str, str]] = {
    "conditions": ("conditions in a filter", "test_and_and_or_of_any_number_of_conditions"),
    "levels": ("levels of a filter", "test_and_and_or_alternate_in_any_number_of_levels"),
    "values": ("values in a list", "test_a_list_of_any_number_of_values"),
    "answers": ("rows of one answer, k", "test_k_may_be_more_than_an_engine_answers_at_once"),
    "queries": ("queries in one call", "test_more_queries_than_an_engine_takes_at_once"),
    "namespaces": ("namespaces", "test_all_of_many_namespaces_are_listed_and_read"),
    "ids": ("ids in one call", "test_a_hundred_thousand_ids_are_fetched_and_deleted"),
    "request": ("bytes of one request", "test_a_full_batch_of_wide_vectors"),
    "statement": ("length and parameters of a statement", "test_a_list_of_any_number_of_values"),
    "id": ("bytes of an id", "test_what_is_long_or_wide_comes_back_or_is_refused_by_name"),
    "keys": ("number and length of metadata keys", "test_what_is_long_or_wide_comes_back_or_is_refused_by_name"),
    "text": ("length of texts and lists", "test_what_is_long_or_wide_comes_back_or_is_refused_by_name"),
}
"""By kind its name, and the test of `VectorStoreSuite` that goes past it."""
assert KINDS.keys() == {*get_args(Kind)}


IN_PARTS = "a larger filter goes in parts, or less is asked for and the records are compared here"
MULTIPLIED_OUT = "a deeper filter is multiplied out, or less is asked for and the records are compared here"
"""What `filters/fitting.py` and `exact/within_limits.py` do."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of a database."""

    kind: Kind
    theirs: str
    """What the database allows, and the name of its setting; "none known" where nobody states one and none was met."""
    ours: str
    """What dizuo does at it."""
    measured: bool = False
    """We measured it; otherwise its makers state it."""
