"""Remembers whose tokenizer a tokenizer is, and finds tokens for which that model's embedding has no row.

A tokenizer may be longer than the embedding: tokens were added to it and the model was not resized, or it has tokens
of a sibling (Gemma 3's `<image_soft_token>`). Such a token is no fault until it is written; then it would be an index
error deep inside a kernel, so it is looked for wherever a text becomes ids.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Reader", "find_unreadable", "reader_of", "remember_reader"]


@dataclass(frozen=True, slots=True)
class Reader:
    """The model that reads what a tokenizer writes."""

    model: str
    """Its name."""
    num_rows: int
    """Rows of its embedding: it reads the ids below."""


_readers: weakref.WeakKeyDictionary[Any, Reader] = weakref.WeakKeyDictionary()

RESIZE = (
    "give the embedding a row for each token (transformers: model.resize_token_embeddings(len(tokenizer))) and save it "
    "again, or use a tokenizer without the added tokens"
)
"""What to do about a tokenizer that is longer than the embedding."""


def remember_reader(tokenizer: Any, *, model: str, num_rows: int) -> None:
    """Note which model a tokenizer belongs to, and how many rows its embedding has."""
    _readers[tokenizer] = Reader(model, num_rows)


def reader_of(tokenizer: Any) -> Reader | None:
    """Return the model that a tokenizer belongs to, or None where it did not come with one."""
    return _readers.get(tokenizer)


def find_unreadable(tokenizer: Any, ids: Sequence[int]) -> str | None:
    """Return what is wrong with ids that the tokenizer's model has no embedding for, or None where it reads all.

    Args:
        tokenizer: from `load_tokenizer`; of any other one nothing is known, and nothing is found.
        ids: what it wrote.
    """
    reader = _readers.get(tokenizer)
    if reader is None or not ids or max(ids) < reader.num_rows:
        return None
    first = next(token for token in ids if token >= reader.num_rows)
    return (
        f"the token {tokenizer.convert_ids_to_tokens(int(first))!r} has the id {first:,}, but the embedding of "
        f"{reader.model} has {reader.num_rows:,} rows: its tokenizer, with {len(tokenizer):,} tokens, is longer"
    )
