"""What a database holds of a knowledge base, opened without its embedder: to look at it, to move it, to remove it.

    with find_base("./index", "handbook") as held:
        held.head.embedder, held.chunks.count()
        kb = held.open()                                # with the embedder that its record names

Nothing is made where there is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dizuo.errors import DizuoError, VectorError
from dizuo.events import Watcher, ignore
from dizuo.vectors.connecting.connect import connect
from dizuo.vectors.embedders import Embedder, open_embedder
from dizuo.vectors.filters.tree import field
from dizuo.vectors.knowledge.generations import Head, read_head, read_records
from dizuo.vectors.knowledge.knowledge_base import KnowledgeBase
from dizuo.vectors.knowledge.passages import hash_source
from dizuo.vectors.protocol.errors import NoCollection
from dizuo.vectors.vector_store import VectorStore

__all__ = ["Held", "base_of", "find_base"]

_PART = re.compile(r"(?P<base>.+)\.(?:about|g\d+)")


def base_of(collection: str) -> str | None:
    """Return the knowledge base whose part a collection of this name would be, as in `kb` of `kb.about` and `kb.g1`."""
    found = _PART.fullmatch(collection)
    return found["base"] if found else None


class Held:
    """A knowledge base's collections: what it is made with, its documents' records, its living chunks."""

    def __init__(self, url: str, name: str, head: Head, about: VectorStore, options: Mapping[str, Any]) -> None:
        self.address, self.name, self.head, self.options = url, name, head, dict(options)
        self.about = about
        self.records = about.namespace(f"g{head.generation}")
        self.chunks = connect(url, collection=f"{name}.g{head.generation}", create=False, **self.options)

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connections."""
        self.chunks.close()
        self.about.close()

    def documents(self) -> dict[str, int]:
        """Return source → number of chunks of every document that is whole."""
        return {source: chunks for source, (whole, chunks) in read_records(self.records).items() if whole}

    def open(self, embedder: Embedder | None = None, *, watch: Watcher = ignore) -> KnowledgeBase:
        """Return the knowledge base, to be searched and synced.

        Args:
            embedder: the one it was made with; opened by the name that the knowledge base remembers unless given.
            watch: hears of the embedder's download.

        Raises:
            VectorError: that embedder cannot be opened, or is another one by now.
        """
        return KnowledgeBase.open(self.address, embedder or self.open_embedder(watch=watch), name=self.name,
                                  **self.options)  # fmt: skip

    def open_embedder(self, *, watch: Watcher = ignore) -> Embedder:
        """Return the embedder that the knowledge base names.

        Raises:
            VectorError: it cannot be opened by its name alone.
        """
        try:
            return open_embedder(self.head.embedder, watch=watch)
        except DizuoError as error:
            raise VectorError(
                f"the knowledge base {self.name!r} was embedded with {self.head.embedder}, which cannot be opened",
                details=[error.message],
                hint=error.hint or "name its embedder (--embedder), or search by words only (--words)",
            ) from error

    def remove_documents(self, sources: list[str]) -> int:
        """Remove documents by source, all their chunks with them; return how many there were."""
        ids = [hash_source(source) for source in sources]
        number = len(self.records.fetch(ids))
        for start in range(0, len(sources), 100):
            self.chunks.delete(where=field("source").in_(sources[start : start + 100]))
        self.records.delete(ids)
        return number

    def drop(self) -> int:
        """Remove the whole knowledge base and return how many chunks it had."""
        count = self.chunks.count()
        self.chunks.drop()
        self.about.drop()
        return count


def find_base(url: str, name: str = "knowledge", **options: Any) -> Held | None:
    """Return what the database holds of a knowledge base, or None where there is none of that name.

    Args:
        url: of `connect`.
        name: of the knowledge base.
        options: of `connect`, such as `lexical=…`.

    Raises:
        VectorError: there is no such database, or it cannot be reached.
    """
    try:
        about = connect(url, collection=f"{name}.about", create=False, **options)
    except NoCollection:
        return None
    try:
        head = read_head(about)
        if head is not None:
            return Held(url, name, head, about, options)
    except NoCollection:  # stopped before it had any chunks
        pass
    except BaseException:
        about.close()
        raise
    about.close()
    return None
