"""A process of the suite's own: opens a store and writes, so that the suite can watch it, join it or kill it.

`python -m dizuo.testing.vectors.worker` reads one line, `{"url": …, "options": {…}, "collection": …, "prefix": …,
"batches": …}`, and writes one per batch that is in. An argument would show everybody the password in the URL.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from dizuo.vectors import Point, connect

__all__ = ["DIM", "point", "run"]

DIM = 8


def point(prefix: str, number: int) -> Point:
    """Return the record that a writer writes under this number."""
    vector = [1.0, number % 97, number % 89, number % 83, number % 7, number % 5, number % 3, -1.0]
    return Point(f"{prefix}{number}", vector, {"n": number, "prefix": prefix}, f"{prefix} text {number}")


def run(order: dict[str, Any]) -> None:
    """Write batches and say so after each."""
    store = connect(order["url"], dim=DIM, collection=order["collection"], **order["options"])
    size = order["size"]
    _say("ready")
    if order.get("wait"):
        sys.stdin.readline()
    for batch in range(order["batches"]):
        store.upsert([point(order["prefix"], batch * size + n) for n in range(size)])
        _say(batch)
    store.close()


def _say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    run(json.loads(sys.stdin.readline()))
