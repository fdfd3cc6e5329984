"""Whose BM25 a collection in LanceDB has: dizuo's, in a side-car, or LanceDB's own, in the column `words`.

Which one is a fact of the collection and stands in the metadata of its column `key`. A collection that was made before
there was a choice has words in the column `words`. In a folder it becomes exact when it is opened: its side-car is
filled from the documents, and nothing is written to the column any more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, TypeAlias

import numpy as np

from dizuo.errors import VectorError
from dizuo.vectors.lexical.word_texts import word_texts
from dizuo.vectors.points import Block
from dizuo.vectors.protocol.capabilities import Capabilities
from dizuo.vectors.protocol.collection import CollectionRequest
from dizuo.vectors.protocol.store import SearchResult

__all__ = ["WORDS_KEY", "WordsOf", "build_index", "choose_words", "search_words", "with_words", "words_column"]

WordsOf: TypeAlias = Literal["exact", "engine"]
WORDS_KEY = "dizuo.words"
"""The metadata of the column `key` that says whose words they are."""
_COVERS = (
    "LanceDB's own BM25 counts over the whole table, all namespaces together, and over what was replaced or deleted "
    "until optimize()"
)
_NO_FOLDER = "an object store has no folder for the words: give lexical=PATH"


def choose_words(request: CollectionRequest, asked: WordsOf | None, table: Any | None, *, local: bool) -> WordsOf:
    """Return whose words the collection has, and write it down where an older version left it open.

    Args:
        request: what the user asked for.
        asked: the option `words`.
        table: the collection, if it exists.
        local: whether it lies in a folder of this machine.

    Raises:
        VectorError: the collection has others than were asked for, or exact ones have no place.
    """
    default: WordsOf = "exact" if local or request.sidecar else "engine"
    if table is None:
        if asked == "exact" and default == "engine":
            raise VectorError(f"words='exact' has no place: {_NO_FOLDER}")
        return asked or default
    metadata = table.schema.field("key").metadata or {}
    written = metadata.get(WORDS_KEY.encode(), b"").decode()
    if written in ("exact", "engine"):
        if asked not in (None, written):
            raise VectorError(
                f"the collection {request.collection!r} was made with words={written!r}, not {asked!r}",
                hint=f"leave words={asked!r} out, or copy it into a new collection",
            )
        return "exact" if written == "exact" else "engine"
    chosen = asked or default
    if chosen == "exact" or asked:
        table.replace_field_metadata("key", {WORDS_KEY: chosen})
    return chosen


def with_words(able: Capabilities, words: WordsOf, *, local: bool) -> Capabilities:
    """Return the capabilities of a store with these words; exact ones are added by the side-car."""
    if words == "engine":
        return replace(
            able, lexical="own", words="engine", words_cover="collection", notes={**able.notes, "words": _COVERS}
        )
    return able if local else replace(able, notes={**able.notes, "lexical": _NO_FOLDER})


def words_column(block: Block, words: WordsOf) -> Any:
    """Return what the column `words` gets: each document's tokens, or nothing where they are in a side-car."""
    import pyarrow as pa

    if words == "exact" or block.documents_arrow.null_count == len(block):
        return pa.nulls(len(block), pa.string())  # no Python object per row
    return word_texts(block.documents_arrow)


def build_index(table: Any) -> bool:
    """Return whether the column has an index; it is built where there are words."""
    if any(index.columns == ["words"] for index in table.list_indices()):
        return True
    if not table.count_rows("words IS NOT NULL"):
        return False
    from lancedb.index import FTS

    table.create_index(
        "words",
        config=FTS(
            with_position=False, base_tokenizer="whitespace", max_token_length=None, lower_case=False, stem=False,
            remove_stop_words=False, ascii_folding=False,
        ),
    )  # fmt: skip
    return True


def search_words(table: Any, tokens: list[str], condition: str, number: int) -> SearchResult:
    """Return the best rows by LanceDB's BM25; rows after the index are searched as well."""
    from lancedb.query import MatchQuery

    builder = table.search(MatchQuery(" ".join(tokens), column="words"), query_type="fts")
    answer = builder.where(condition, prefilter=True).limit(number).select(["id", "_score"]).to_arrow()
    scores = answer.column("_score").to_numpy().astype(np.float64)
    return SearchResult(Block(answer.column("id").to_pylist()), scores, "index", len(scores))
