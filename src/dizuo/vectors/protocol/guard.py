"""`Guard`: who may call a store. One call at a time where the store wants that, and only in the process that opened it.

A forked process has copies of its parent's connections, but not the threads that serve them: a call would wait for
ever, or take an answer that is the parent's. So every call in a child is refused before it waits for anything. A store
in memory has no connections; a child has a copy of its own, and goes on with it.

Some clients cannot even be used anew in a child: they keep threads of their own for the whole process. `check_client`
refuses these where they would hang.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

from dizuo.errors import VectorError
from dizuo.redaction import ErrorGuard
from dizuo.vectors.protocol.errors import Forked, Unreachable

__all__ = ["Guard", "check_client", "explain_by"]

_users: dict[str, int] = {}
"""Which process used a client first, by the client's name; a forked process has a copy of this."""


def check_client(name: str) -> None:
    """Refuse a client that has threads of its own, in a process whose parent used it before it was forked.

    Args:
        name: of the client, for the message.

    Raises:
        Forked: its threads are not here, and a call would wait for them for ever.
    """
    if _users.setdefault(name, os.getpid()) != os.getpid():
        hint = f"start processes by 'spawn' or 'forkserver', or use {name} in the forked ones only"
        raise Forked(f"{name} was used", hint=hint)


@contextmanager
def explain_by(check: Callable[[], None]) -> Iterator[None]:
    """Where a call fails for a reason that no error of ours has a name for, see first whether its collection is gone.

    Args:
        check: of the store; raises `CollectionGone`.
    """
    try:
        yield
    except VectorError as error:
        if type(error) is VectorError:
            with suppress(Unreachable):
                check()
        raise


class Guard:
    """Entered by every call to a store, from all handles that share the store; what is raised there has no secrets.

    Args:
        what: the store, for the message.
        alone: let one thread in at a time.
        copies: the store lives in this process only, so that a forked process may use its copy.
    """

    def __init__(self, what: str, *, alone: bool, copies: bool) -> None:
        self.what, self.alone, self.copies = what, alone, copies
        self.process = os.getpid()
        self._turn = self._new_turn()

    def _new_turn(self) -> ErrorGuard:
        return ErrorGuard(threading.RLock() if self.alone else None)

    @property
    def forked(self) -> bool:
        """Whether this is a child of the process that opened the store."""
        return os.getpid() != self.process

    def check(self) -> None:
        """Refuse a call in a child of the process that opened the store.

        Raises:
            Forked: this is such a child.
        """
        if not self.forked:
            return
        if not self.copies:
            raise Forked(f"{self.what} was opened")
        # Another thread of the parent may have held the lock when this process was forked.
        self.process, self._turn = os.getpid(), self._new_turn()

    def __enter__(self) -> None:
        self.check()
        self._turn.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._turn.__exit__(kind, error, trace)
