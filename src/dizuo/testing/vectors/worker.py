"""A process of the suite's own: opens a store and writes, so that the suite can watch it, join it or kill it.

`python -m dizuo.testing.vectors.worker` reads one line, `{"url": …, "options": {…}, "collection": …, "prefix": …,
"batches": …}`, and writes one per batch that is in. An argument would show everybody the password in the URL. With
`remake` it drops the collection instead, and makes it anew with that dimension and metric, unless they are null. With
`disturb` it removes a part of these records, and adds as many others, at every line that it reads. With `fork` it opens
the collection, forks, and says what calls in the child came to, in JSON.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from dizuo.vectors import Point, VectorStore, connect

__all__ = ["DIM", "point", "run"]

DIM = 8
PATIENCE = 60.0
"""Seconds within which a forked process must have said all."""


def point(prefix: str, number: int) -> Point:
    """Return the record that a writer writes under this number."""
    vector = [1.0, number % 97, number % 89, number % 83, number % 7, number % 5, number % 3, -1.0]
    return Point(f"{prefix}{number}", vector, {"n": number, "prefix": prefix}, f"{prefix} text {number}")


def run(order: dict[str, Any]) -> None:
    """Write batches and say so after each, or do what else is asked for."""
    if "remake" in order:
        from dizuo.testing.vectors.areas.handles import remake

        remake(order["url"], order["options"], order["collection"], order["remake"])
        return
    if order.get("fork"):
        fork(order)
        return
    if "disturb" in order:
        disturb(order)
        return
    store = connect(order["url"], dim=DIM, collection=order["collection"], **order["options"])
    size = order["size"]
    _say("ready")
    if order.get("wait"):
        sys.stdin.readline()
    for batch in range(order["batches"]):
        store.upsert([point(order["prefix"], batch * size + n) for n in range(size)])
        _say(batch)
    store.close()


def disturb(order: dict[str, Any]) -> None:
    """Remove 40 of the records, and add 40 others, whenever somebody says go."""
    with connect(order["url"], collection=order["collection"], **order["options"]) as store:
        _say("ready")
        for step, _ in enumerate(sys.stdin):
            names = order["disturb"][40 * step : 40 * step + 40]
            store.delete(names)
            store.upsert([Point(f"{step}-{n}", [1.0] * store.dim, {"n": n}) for n in range(len(names))])
            _say(step)


def fork(order: dict[str, Any]) -> None:
    """Use a store before and after a fork, in both processes, and say what happened; a child that hangs is killed."""
    store = connect(order["url"], dim=DIM, collection=order["collection"], **order["options"])
    store.upsert([point("before", n) for n in range(20)])
    use(store)
    reading, writing = os.pipe()
    warnings.simplefilter("ignore")  # that forking a process with threads is dangerous is what this is about
    child = os.fork()
    if not child:
        try:
            for name, answer in ask_child(store, order):
                os.write(writing, f"{json.dumps([name, answer])}\n".encode())
        finally:
            os._exit(0)
    os.close(writing)
    told, until = b"", time.monotonic() + PATIENCE
    while select.select([reading], [], [], max(0.0, until - time.monotonic()))[0]:
        if not (part := os.read(reading, 65_536)):
            break
        told += part
    else:
        os.kill(child, signal.SIGKILL)
        told += b'["the next call", "hangs"]\n'
    os.waitpid(child, 0)
    said = dict(json.loads(line) for line in told.splitlines())
    use(store)
    store.upsert([point("after", n) for n in range(20)])
    said["rows"] = store.count('prefix == "after"')
    store.close()
    _say(json.dumps(said))


def ask_child(store: VectorStore, order: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what calls in a forked process come to."""

    def open_again() -> None:
        with connect(order["url"], collection=order["collection"], **order["options"]) as again:
            use(again)
            again.upsert([point("child", n) for n in range(20)])
            assert again.count('prefix == "child"') == 20

    calls: dict[str, Callable[[], object]] = {
        "search": lambda: store.search([1.0] * DIM),
        "count": store.count,
        "scan": lambda: next(store.scan()),
        "upsert": lambda: store.upsert(point("child", 0)),
        "another namespace": lambda: store.namespace("other").count(),
        "words": lambda: store.words("text"),
        "drop": store.drop,
        "close": store.close,
        "open again": open_again,
    }
    able = store.capabilities
    for name, call in calls.items():
        if (name == "words" and able.lexical == "none") or (name in ("drop", "open again") and not able.persistent):
            continue
        try:
            call()
        except Exception as error:
            yield name, f"{type(error).__name__}: {error}"
        else:
            yield name, "works"


def use(store: VectorStore) -> None:
    """Search, scan and count, so that whatever the client starts has been started."""
    assert len(store.search([1.0] * DIM, k=5)) == 5
    assert len(store.search([1.0] * DIM, k=5, where="n >= 0")) == 5
    assert sum(len(block) for block in store.scan()) >= 20
    if store.capabilities.lexical != "none":
        assert len(store.words("text", k=5)) == 5


def _say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    run(json.loads(sys.stdin.readline()))
