"""How the suite opens stores: fresh collections, dropped afterwards; and what a subclass may set."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, ClassVar, Protocol

import pytest

from dizuo.errors import VectorError
from dizuo.vectors import VectorStore, connect

__all__ = ["Connect", "Opening", "lacking", "new_collection"]


class Connect(Protocol):
    """Opens a collection at the URL under test, a new one unless it is named."""

    def __call__(self, *, dim: int | None = 8, collection: str | None = None, **more: Any) -> VectorStore: ...


def new_collection() -> str:
    """Return a name that no other test uses."""
    return f"suite {secrets.token_hex(6)}"


def lacking(store: VectorStore, capability: str) -> None:
    """Skip the test where the store declares that it lacks this."""
    able = store.capabilities
    value = getattr(able, capability)
    if value is False or value == "none":
        reason = able.notes.get(capability, "not declared why")
        pytest.skip(f"declared lacking: {capability} ({reason})")


class Opening:
    """Fixtures of the suite."""

    options: ClassVar[dict[str, Any]] = {}
    """Keyword arguments for `connect`."""
    examples: ClassVar[int] = 25
    """Cases that hypothesis makes per property."""
    trees: ClassVar[int] = int(os.environ.get("DIZUO_FILTER_TREES", "60"))
    """Generated filters (`filter_trees.py`) that are asked."""
    histories: ClassVar[int] = 12
    """Random histories of writes after which words are compared."""
    words_tolerance: ClassVar[float] = 0.01
    """What an engine's own words may fall short of exact ones, where the store says that they are the engine's: mean
    nDCG@10 over the rankings of these histories, with exact scores as gains."""
    rows: ClassVar[int] = 20_000
    """Vectors of the selectivity tests."""
    kind: ClassVar[str] = "real"
    """`real` engine or `emulator`, for the table; empty where nobody knows."""
    title: ClassVar[str] = ""
    """Name in the table; the class's name without `Test` unless set."""

    @pytest.fixture
    def url(self) -> str:
        """The address under test."""
        pytest.fail("a subclass of VectorStoreSuite has a fixture `url`")

    @pytest.fixture
    def unreachable_url(self) -> str | None:
        """An address where nobody listens."""
        return None

    @pytest.fixture
    def denied_url(self) -> str | None:
        """An address with a wrong password."""
        return None

    @pytest.fixture
    def breakable(self) -> tuple[str, Callable[[], None]] | None:
        """The address of a server of this test's own, and a function that kills it."""
        return None

    @pytest.fixture
    def connect(self, url: str) -> Iterator[Connect]:
        """Opens collections at the address under test; they are dropped when the test ends."""
        opened: list[VectorStore] = []

        def open_one(*, dim: int | None = 8, collection: str | None = None, **more: Any) -> VectorStore:
            name = collection or new_collection()
            store = connect(more.pop("url", url), dim=dim, collection=name, **{**self.options, **more})
            opened.append(store)
            return store

        yield open_one
        dropped: set[str] = set()
        for store in reversed(opened):
            if store.collection not in dropped:
                with suppress(VectorError):
                    store.drop()
                dropped.add(store.collection)
        for store in opened:
            store.close()
