"""The indexes of a collection in Elasticsearch: one for all namespaces, or one for each.

Elasticsearch weighs words by what an index holds. In one index for all, scores in a namespace depend on the texts of
the others, which are not to be known there; an index for each namespace costs a shard each, and keeps them apart. The
index that is named after the collection alone has its dimension and metric in either case.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, TypeAlias

from dizuo.vectors.protocol.capabilities import Capabilities

__all__ = ["IndexPer", "Indices", "create_index", "words_capabilities"]

IndexPer: TypeAlias = Literal["collection", "namespace"]
_WORDS = (
    "Lucene keeps a document's length in one byte, and counts over the whole index, deleted documents included until "
    "it merges them"
)


def words_capabilities(able: Capabilities, per: IndexPer) -> Capabilities:
    """Return what a store says of its words."""
    what = "all namespaces" if per == "collection" else "the namespace"
    return replace(able, words="engine", words_cover=per, notes={**able.notes, "words": f"{_WORDS}; it has {what}"})


class Indices:
    """The names of a collection's indexes.

    Args:
        client: Elasticsearch's.
        root: the name of the collection's own index.
        per: which has an index.
        mapping: of every index.
    """

    def __init__(self, client: Any, root: str, per: IndexPer, mapping: Mapping[str, Any]) -> None:
        self.client, self.root, self.per, self.mapping = client, root, per, mapping
        self.everything = root if per == "collection" else f"{root}.*"
        """What names the indexes of all namespaces in a search."""
        self.absent: dict[str, bool] = {} if per == "collection" else {"ignore_unavailable": True}
        """Arguments of a search by which an index that is not there is an empty one."""
        self._made: set[str] = set()

    def of(self, namespace: str) -> str:
        """Return the index of a namespace, which may not be there yet."""
        if self.per == "collection":
            return self.root
        return f"{self.root}.{hashlib.sha256(namespace.encode()).hexdigest()[:20]}"

    def make(self, namespace: str) -> str:
        """Return the index of a namespace, which is there: a bulk would make one with any mapping."""
        name = self.of(namespace)
        if self.per == "namespace" and not self.holds(namespace):
            create_index(self.client, name, self.mapping)
            self._made.add(name)
        return name

    def holds(self, namespace: str) -> bool:
        """Return whether a namespace has an index."""
        name = self.of(namespace)
        if self.per == "namespace" and name not in self._made and self.client.indices.exists(index=name):
            self._made.add(name)
        return self.per == "collection" or name in self._made

    def drop(self) -> None:
        """Remove all indexes of the collection, its own last: as long as that is there, so is the collection."""
        if self.per == "namespace":  # a server refuses to remove what a pattern names
            for name in self.client.indices.get_mapping(index=self.everything):
                self.client.indices.delete(index=name, ignore_unavailable=True)
        self.client.indices.delete(index=self.root, ignore_unavailable=True)
        self._made.clear()


def create_index(client: Any, name: str, mapping: Mapping[str, Any]) -> None:
    """Make an index, unless another process was faster."""
    import elasticsearch

    try:
        client.indices.create(index=name, mappings=mapping)
    except elasticsearch.BadRequestError as error:
        if "already_exists" not in str(error):
            raise
