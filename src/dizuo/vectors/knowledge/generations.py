"""A handle of a knowledge base belongs to one generation, and says so when that is no longer the current one.

Somebody may change the embedder while others have the knowledge base open. What these would find is out of date, or
gone; what they would write nobody would read. So each of their calls reads the one record that says which generation is
current, and a call that writes reads it once more when it is done.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeAlias, TypeVar

from dizuo.errors import VectorError
from dizuo.vectors.connecting.connect import connect
from dizuo.vectors.points import Point
from dizuo.vectors.protocol.errors import CollectionGone, NoCollection
from dizuo.vectors.vector_store import VectorStore

__all__ = [
    "Head",
    "Record",
    "Superseded",
    "check_orphans",
    "read_head",
    "read_records",
    "reads_current",
    "write_head",
    "writes_current",
]

Record: TypeAlias = tuple[str, int]
"""Fingerprint and number of chunks of a document; the fingerprint is empty where the document is not whole."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a knowledge base is made with; its record in `about`."""

    generation: int
    embedder: str
    digest: str
    dim: int
    metric: Literal["cosine", "dot", "l2"]
    size: int
    """Of a chunk, in the embedder's tokens, or in characters where it counts none; 0 keeps documents whole."""
    overlap: int


def read_head(about: VectorStore) -> Head | None:
    """Return what the collection `about` says, or None where the knowledge base is new."""
    point = about.get("head")
    return None if point is None else Head(**dict(point.metadata))


def write_head(about: VectorStore, head: Head) -> None:
    """Make a generation the current one: one record, replaced as a whole."""
    about.upsert(Point("head", [1.0], {name: getattr(head, name) for name in Head.__slots__}))


def check_orphans(url: str, name: str, options: Mapping[str, Any]) -> None:
    """Refuse to make a knowledge base where chunks of its name are, as where only these were copied: whose are they?

    Raises:
        VectorError: there are such chunks.
    """
    try:
        with connect(url, collection=f"{name}.g1", create=False, **options) as chunks:
            count = chunks.count()
    except NoCollection:
        return
    if count:
        raise VectorError(
            f"{count:,} chunks of a knowledge base {name!r} are there, and nothing says which embedder made them",
            hint=f"copy the whole knowledge base (dizuo vectors copy), or remove the collection {name + '.g1'!r}",
        )


def read_records(records: VectorStore) -> dict[str, Record]:
    """Return by source what a generation knows of every document.

    Args:
        records: the generation's namespace of the collection `about`.
    """
    return {
        row["source"]: (row["fingerprint"], row["chunks"])
        for block in records.scan(columns=["metadata"])
        for row in block.metadata
    }


class Superseded(CollectionGone):
    """The knowledge base has another embedder now, or was removed or made anew, since it was opened.

    Args:
        name: of the knowledge base.
        what: happened to it, in words.
        hint: what to do.
    """

    def __init__(self, name: str, what: str, *, hint: str = "open it again") -> None:
        super().__init__(name)
        self.message, self.hint = f"the knowledge base {name!r} {what}", hint


class _Generation(Protocol):
    def check(self) -> None:
        """Raise `Superseded` where this is no longer the current generation."""


Self = TypeVar("Self", bound=_Generation)
P = ParamSpec("P")
T = TypeVar("T")


def reads_current(method: Callable[Concatenate[Self, P], T]) -> Callable[Concatenate[Self, P], T]:
    """Return a method that reads the current generation, or raises `Superseded`."""

    @functools.wraps(method)
    def call(self: Self, /, *args: P.args, **more: P.kwargs) -> T:
        self.check()
        try:
            return method(self, *args, **more)
        except CollectionGone:
            self.check()  # says more, where the knowledge base knows more
            raise

    return call


def writes_current(method: Callable[Concatenate[Self, P], T]) -> Callable[Concatenate[Self, P], T]:
    """Return a method that writes to the current generation, or raises `Superseded`: then do it again, after opening.

    Where another generation becomes current in the middle, what was written is not in it, or not all of it.
    """

    @functools.wraps(method)
    def call(self: Self, /, *args: P.args, **more: P.kwargs) -> T:
        answer = reads_current(method)(self, *args, **more)
        self.check()
        return answer

    return call
