"""A handle whose collection others drop, and make anew, says so and touches nothing of the new one.

What is held against every store is a table: what happened, by which call it is found out, and what the handle says. It
is part of the results that the reference shows.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from dizuo.errors import VectorError
from dizuo.testing.vectors.comparing import assert_same_points
from dizuo.testing.vectors.opening import Connect, Opening, lacking, new_collection
from dizuo.vectors import CollectionGone, Point, VectorStore, connect

__all__ = ["EVENTS", "VERBS", "Handles", "remake"]

DIM = 4
EVENTS: dict[str, dict[str, Any] | None] = {
    "dropped": None,
    "made anew": {"dim": DIM, "metric": "cosine"},
    "made anew with another metric": {"dim": DIM, "metric": "l2"},
    "made anew with another dimension": {"dim": DIM + 2, "metric": "cosine"},
}
"""What others do to the collection, and with which dimension and metric they make it anew."""
QUERY = [1.0, 2.0, 3.0, 4.0]
VERBS: dict[str, Callable[[VectorStore], object]] = {
    "search": lambda store: store.search(QUERY, k=3),
    "search exact": lambda store: store.search(QUERY, k=3, exact=True),
    "search where": lambda store: store.search(QUERY, k=3, where="n >= 0"),
    "words": lambda store: store.words("text", k=3),
    "hybrid": lambda store: store.hybrid("text", QUERY, k=3),
    "fetch": lambda store: store.fetch(["a0", "new0"]),
    "count": lambda store: store.count(),
    "count where": lambda store: store.count("n >= 0"),
    "scan": lambda store: list(store.scan()),
    "scan everywhere": lambda store: list(store.scan(everywhere=True)),
    "namespaces": lambda store: store.namespaces(),
    "info": lambda store: store.info(),
    "upsert": lambda store: store.upsert(rows("late", DIM)),
    "upsert elsewhere": lambda store: store.namespace("elsewhere").upsert(rows("late", DIM)),
    "update_metadata": lambda store: store.update_metadata({"a0": {"x": 1}, "new0": {"x": 1}}),
    "update_metadata replace": lambda store: store.update_metadata({"a0": {}, "new0": {}}, replace=True),
    "delete": lambda store: store.delete(["a0", "new0"]),
    "delete where": lambda store: store.delete(where="n >= 0"),
    "clear": lambda store: store.clear(),
    "refresh": lambda store: store.refresh(),
    "optimize": lambda store: store.optimize(),
    "drop": lambda store: store.drop(),
}
"""All that a handle can be asked, by name."""
WORDS = ("words", "hybrid")


def rows(prefix: str, dim: int) -> list[Point]:
    """Return a few records."""
    return [Point(f"{prefix}{n}", [n + 1.0] * dim, {"n": n}, f"{prefix} text {n}") for n in range(5)]


def remake(url: str, options: Mapping[str, Any], name: str, made: Mapping[str, Any] | None) -> None:
    """Drop a collection, and make it anew with other records where that is asked for."""
    with connect(url, collection=name, **options) as store:
        store.drop()
    if made is not None:
        with connect(url, collection=name, **made, **options) as store:
            store.upsert(rows("new", made["dim"]))


class Handles(Opening):
    """Dropped and made anew under an open handle."""

    @pytest.mark.parametrize("event", EVENTS)
    def test_a_handle_says_that_its_collection_is_gone(
        self, connect: Connect, url: str, event: str, record_property: Callable[[str, Any], None]
    ) -> None:
        store = self.open_warm(connect)
        remake(url, self.options, store.collection, EVENTS[event])
        record_property("handles", {event: self.ask_all(connect, store, event)})

    @pytest.mark.slow
    @pytest.mark.parametrize("event", EVENTS)
    def test_a_handle_says_what_another_process_did_to_its_collection(
        self, connect: Connect, url: str, event: str
    ) -> None:
        store = self.open_warm(connect)
        lacking(store, "persistent")
        order = {"url": url, "options": self.options, "collection": store.collection, "remake": EVENTS[event]}
        command = [sys.executable, "-m", "dizuo.testing.vectors.worker"]
        run = subprocess.run(command, input=json.dumps(order) + "\n", capture_output=True, text=True, timeout=180)
        if run.returncode and not store.capabilities.several_writers:
            assert "VectorError" in run.stderr or "Unreachable" in run.stderr, run.stderr
            assert store.count() == 5  # nobody else can have it open, and this handle goes on
            return
        assert run.returncode == 0, run.stderr
        self.ask_all(connect, store, event)

    def test_a_drop_of_ones_own_is_noticed_too(self, connect: Connect) -> None:
        store = connect(dim=DIM)
        space = store.namespace("other")
        store.upsert(rows("a", DIM))
        space.upsert(rows("a", DIM))
        store.drop()
        store.drop()
        for handle in (store, space):
            with pytest.raises(CollectionGone, match="was dropped since it was opened"):
                handle.upsert(rows("late", DIM))
            with pytest.raises(CollectionGone):
                handle.count()

    def test_a_scan_whose_collection_is_dropped_does_not_end_as_if_it_were_over(
        self, connect: Connect, url: str
    ) -> None:
        store = self.open_shared(connect)
        store.upsert([Point(f"a{n}", [1.0, n, 0.0, 0.0]) for n in range(300)])
        blocks = store.scan(rows=20)
        seen = [*next(blocks).ids, *next(blocks).ids]
        try:
            connect(dim=None, collection=store.collection).drop()
        except CollectionGone:
            raise
        except VectorError as error:
            blocked = str(error)
        else:
            blocked = ""
        if blocked:  # a drop may wait for a scan, but not for ever
            assert "was being read or written" in blocked
            seen += [id for block in blocks for id in block.ids]
            assert len(seen) == 300
            return
        with pytest.raises(CollectionGone):
            seen += [id for block in blocks for id in block.ids]

    def open_shared(self, connect: Connect) -> VectorStore:
        """Return a new collection that others can open too."""
        store = connect(dim=DIM, metric="cosine", collection=new_collection())
        if store.url.endswith("://"):  # memory without a name
            lacking(store, "persistent")
        return store

    def open_warm(self, connect: Connect) -> VectorStore:
        """Return an open collection, of which its handle has seen all that it may remember."""
        store = self.open_shared(connect)
        store.upsert(rows("a", DIM))
        for name in ("search", "search where", "fetch", "count", "namespaces", "update_metadata"):
            VERBS[name](store)
        if store.capabilities.lexical != "none":
            assert len(store.words("text")) == 5
        return store

    def ask(self, store: VectorStore, verb: Callable[[VectorStore], object]) -> str:
        """Return what a handle says to one call: `gone` if it says all that the one who called has to know."""
        try:
            answer = verb(store)
        except CollectionGone as error:
            whole = repr(store.collection) in str(error) and error.hint == "open it again"
            return "gone" if whole else f"says {error}"
        return f"answers {answer!r}"

    def ask_all(self, connect: Connect, store: VectorStore, event: str) -> dict[str, str]:
        """Ask the handle for everything, and return what it said; whatever it was, the new collection is untouched."""
        said: dict[str, str] = {}
        for name, verb in VERBS.items():
            if name in WORDS and store.capabilities.lexical == "none":
                continue
            said[name] = self.ask(store, verb)
        made = EVENTS[event]
        if made is not None:
            new = connect(dim=None, collection=store.collection)
            assert (new.dim, new.metric) == (made["dim"], made["metric"])
            assert_same_points(new.points(), rows("new", made["dim"]))
            assert new.namespaces() == {"": 5}
        expected = dict.fromkeys(said, "gone")
        if made is None:
            said["drop"] = said["drop"].replace("answers None", "nothing to do")
            expected["drop"] = "nothing to do"
        assert said == expected
        return said
