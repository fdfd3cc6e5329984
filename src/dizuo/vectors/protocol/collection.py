"""Which collection a store opens: what the user asked for, and what the collection is."""

from __future__ import annotations

from dataclasses import dataclass

from dizuo.errors import VectorError
from dizuo.vectors.lexical.tokenizer import TOKENIZER
from dizuo.vectors.protocol.errors import NoCollection
from dizuo.vectors.scores import METRICS, Metric

__all__ = ["CollectionRequest", "CollectionSpec"]


@dataclass(frozen=True, slots=True)
class CollectionSpec:
    """What a collection is."""

    collection: str
    """Its name, as the user gives it."""
    dim: int
    """Numbers in a vector."""
    metric: Metric


@dataclass(frozen=True, slots=True)
class CollectionRequest:
    """The collection that a user asked for; None is what they left open."""

    collection: str
    dim: int | None = None
    metric: Metric | None = None
    create: bool = True
    """Whether it may be made where it is not there."""
    sidecar: bool = False
    """Whether there is a folder for a BM25 side-car, so that the database need not search by words."""

    def check_existing(self, dim: int, metric: str) -> CollectionSpec:
        """Return the spec of a collection that exists, if it is what the user asked for.

        Args:
            dim: of the collection in the database.
            metric: of the collection in the database.

        Raises:
            VectorError: it has another dimension or metric than the user asked for.
        """
        if self.dim not in (None, dim):
            raise VectorError(
                f"the collection {self.collection!r} holds vectors of {dim} numbers, not {self.dim}",
                hint=f"use dim={dim}, or another collection",
            )
        if self.metric not in (None, metric):
            raise VectorError(
                f"the collection {self.collection!r} was made for the metric {metric!r}, not {self.metric!r}",
                hint=f"use metric={metric!r}, or copy it into a new collection",
            )
        known = next((name for name in METRICS if name == metric), None)
        if known is None:
            raise VectorError(f"the collection {self.collection!r} says its metric is {metric!r}, which dizuo lacks")
        return CollectionSpec(self.collection, dim, known)

    def check_new(self) -> CollectionSpec:
        """Return the spec of a collection that is about to be made. Its metric is cosine unless another is asked for.

        Raises:
            NoCollection: it may not be made, or its dimension is not known.
        """
        if not self.create:
            raise NoCollection(f"there is no collection {self.collection!r}", hint="check the name, or use create=True")
        if self.dim is None:
            raise NoCollection(
                f"there is no collection {self.collection!r} yet", hint="give dim=… to make it (and metric=…)"
            )
        return CollectionSpec(self.collection, self.dim, self.metric or "cosine")

    def check_tokenizer(self, tokenizer: str | None) -> None:
        """Refuse a collection whose words were cut by rules that this version does not use.

        Args:
            tokenizer: the name that the collection has for its rules (`dizuo.vectors.lexical.TOKENIZER`), or None.

        Raises:
            VectorError: another version of dizuo cut the words, or the collection has none.
        """
        if tokenizer != TOKENIZER:
            raise VectorError(
                f"the collection {self.collection!r} has words as another version of dizuo cut them",
                hint="export it with that version, and import it into a new collection",
            )
