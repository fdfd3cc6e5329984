"""What can go wrong with a vector store.

    VectorError (dizuo.errors)
    ├── Unsupported     the database cannot do this at all, and dizuo does not pretend that it can
    ├── Refused         rows that must not be sent: wrong dimension, NaN, zero vector, values that nobody can hold
    ├── Unreachable     no server answers, or it went away in the middle
    │   └── Transient   the same call may work in a moment (429, 503, a timeout): `VectorStore` tries again
    ├── Denied          wrong user, password or key
    ├── RowErrors       some rows of a batch failed and the others are in; by id
    ├── NoCollection    there is none of that name, and it was not to be made
    ├── CollectionGone  the collection was dropped or made anew since it was opened
    └── Forked          the store was opened before this process was forked

A store turns the exceptions of its client into these once, where it calls the client; users never see a client's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dizuo.errors import VectorError

__all__ = [
    "CollectionGone",
    "Denied",
    "Forked",
    "NoCollection",
    "Refused",
    "RowErrors",
    "Transient",
    "Unreachable",
    "Unsupported",
    "list_rows",
]

SHOWN = 10
"""Rows that an error lists; the rest is counted."""


class Unsupported(VectorError):
    """The database cannot do this. Never raised where dizuo can do the same by other means."""


class Refused(VectorError):
    """Rows were refused before they were sent; nothing of their batch is in the store.

    Args:
        message: what is wrong.
        rows: the reason by id, in order.
    """

    def __init__(self, message: str, rows: Mapping[str, str], *, hint: str | None = None) -> None:
        self.rows = dict(rows)
        super().__init__(message, details=list_rows(self.rows), hint=hint)


class Unreachable(VectorError):
    """The database does not answer. `written` says how many rows of the call are certainly in the store."""

    written: int = 0


class Transient(Unreachable):
    """The same call may succeed later.

    Args:
        message: what the database said.
        after: seconds that the database asked to wait, where it said so.
    """

    def __init__(
        self, message: str, *, after: float | None = None, details: Sequence[str] = (), hint: str | None = None
    ) -> None:
        self.after = after
        super().__init__(message, details=details, hint=hint)


class Denied(VectorError):
    """The database refused the user, password or key."""


class RowErrors(VectorError):
    """Some rows failed; all others of the batch are in the store.

    Args:
        rows: the reason by id.
        written: rows of this call that are in the store.
    """

    def __init__(self, rows: Mapping[str, str], *, written: int = 0) -> None:
        self.rows = dict(rows)
        self.written = written
        plural = "row was" if len(self.rows) == 1 else "rows were"
        super().__init__(f"{len(self.rows):,} {plural} not stored", details=list_rows(self.rows))


class NoCollection(VectorError):
    """There is no collection of that name, or no folder that it could be in, and it was not to be made."""


class CollectionGone(VectorError):
    """The collection that was opened is not there any more: somebody dropped it, and perhaps made another of its name.

    Nothing was read or written. A handle never goes over to another collection by itself: that may have another
    dimension or metric, and other rows.

    Args:
        collection: its name.
        remade: whether there is another collection of this name now; None where nobody looked.
    """

    def __init__(self, collection: str, *, remade: bool | None = None) -> None:
        self.collection = collection
        what = "was dropped, and made anew," if remade else "was dropped"
        super().__init__(f"the collection {collection!r} {what} since it was opened", hint="open it again")


class Forked(VectorError):
    """This process was forked from one that uses the database, and a connection cannot be shared by two processes.

    Args:
        what: which store was opened, or which client was used, in words.
        hint: what to do.
    """

    def __init__(self, what: str, *, hint: str = "open it in each process") -> None:
        super().__init__(f"{what} before this process was forked", hint=hint)


def list_rows(rows: Mapping[str, str]) -> list[str]:
    """Return one line per row, at most ten, and how many more there are."""
    lines = [f"{id!r}: {reason}" for id, reason in list(rows.items())[:SHOWN]]
    if len(rows) > SHOWN:
        lines.append(f"… and {len(rows) - SHOWN:,} more")
    return lines
