"""The index of a collection in Pinecone: found, and made.

Its name is `NAME-gMARK`. The mark is drawn when it is made; the name of the host has the name of the index in it. The
service makes two indexes where two processes ask for one at the same moment, since their marks differ: then the older
one is the collection's, by a tag that says when it was made.
"""

from __future__ import annotations

import time
from typing import Any

from dizuo.vectors.protocol.collection import CollectionSpec
from dizuo.vectors.writing.naming import find_generations, generation_name, new_generation

__all__ = ["METRICS", "find", "make", "mark_of"]

METRICS = {"cosine": "cosine", "dot": "dotproduct", "l2": "euclidean"}
MADE = "dizuo-made"
"""The tag of an index that says when it was made, in nanoseconds since 1970."""


def mark_of(root: str, name: str) -> str | None:
    """Return the mark of a collection in the name of an index; None where it is another collection's.

    Args:
        root: the physical name of the collection, without its mark.
        name: of an index; Pinecone has no `_` in names.
    """
    return next(iter(find_generations(root, [name.replace("-", "_")]).values()), None)


def find(client: Any, root: str) -> Any | None:
    """Return what Pinecone says of a collection's index, or None where there is none.

    Args:
        client: of Pinecone.
        root: the physical name of the collection, without its mark.
    """
    ours = [
        index
        for index in client.indexes.list()
        if mark_of(root, index.name) is not None and index.status.state != "Terminating"
    ]
    return min(ours, key=lambda index: ((index.tags or {}).get(MADE, ""), index.name), default=None)


def make(client: Any, root: str, spec: CollectionSpec, place: Any) -> str:
    """Make an index for a collection, and return its name; it is ready a while later.

    Args:
        client: of Pinecone.
        root: the physical name of the collection, without its mark.
        spec: the collection.
        place: Pinecone's description of cloud and region.
    """
    name = generation_name(root, new_generation()).replace("_", "-")
    client.indexes.create(
        name=name,
        dimension=spec.dim + (spec.metric != "cosine"),
        metric=METRICS[spec.metric],
        spec=place,
        tags={MADE: f"{time.time_ns():020}"},
        timeout=-1,
    )
    return name
