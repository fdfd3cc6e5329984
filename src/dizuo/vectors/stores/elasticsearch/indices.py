"""The indexes of a collection in Elasticsearch: one for all namespaces, or one for each.

Elasticsearch weighs words by what an index holds. In one index for all, scores in a namespace depend on the texts of
the others, which are not to be known there; an index for each namespace costs a shard each, and keeps them apart. The
index that is named after the collection alone has its dimension and metric in either case.

Searches and writes go to aliases with the mark of the collection and a capital letter. An index that is not there would
be made by whoever writes to it; nothing is made where an alias of such a name is not there any more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, TypeAlias

from dizuo.vectors.protocol.capabilities import Capabilities
from dizuo.vectors.writing.naming import generation_name

__all__ = ["IndexPer", "Indices", "alias_name", "create_index", "words_capabilities"]

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
        mark: of the collection; empty where it was made before there were marks.
        per: which has an index.
        mapping: of every index.
    """

    def __init__(self, client: Any, root: str, mark: str, per: IndexPer, mapping: Mapping[str, Any]) -> None:
        self.client, self.root, self.mark, self.per, self.mapping = client, root, mark, per, mapping
        self.alias = alias_name(root, mark)
        self.everything = self.alias if per == "collection" else f"{self.alias}.*"
        """What names the indexes of all namespaces in a search."""
        self.absent: dict[str, bool] = {} if per == "collection" else {"ignore_unavailable": True}
        """Arguments of a search by which an index that is not there is an empty one."""
        self._made: set[str] = set()

    def of(self, namespace: str) -> str:
        """Return the index of a namespace, which may not be there yet."""
        if self.per == "collection":
            return self.alias
        return f"{self.alias}.{_digest(namespace)}"

    def make(self, namespace: str, check: Callable[[], None]) -> str:
        """Return the index of a namespace, which is there: a bulk would make one with any mapping.

        Args:
            namespace: of the collection.
            check: raises an error where the collection is gone.
        """
        name = self.of(namespace)
        if self.per == "namespace" and not self.holds(namespace):
            check()
            create_index(
                self.client, f"{generation_name(self.root, self.mark)}.{_digest(namespace)}", self.mapping, name
            )
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


def alias_name(root: str, mark: str) -> str:
    """Return the alias of a collection's own index; the index itself where it was made before there were marks."""
    return f"{root}_G{mark}" if mark else root


def _digest(namespace: str) -> str:
    return hashlib.sha256(namespace.encode()).hexdigest()[:20]


def create_index(client: Any, name: str, mapping: Mapping[str, Any], alias: str) -> None:
    """Make an index with an alias, unless another process was faster."""
    import elasticsearch

    try:
        client.indices.create(index=name, mappings=mapping, aliases={} if alias == name else {alias: {}})
    except elasticsearch.BadRequestError as error:
        if "already_exists" not in str(error):
            raise
