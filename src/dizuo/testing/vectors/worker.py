"""A process of the suite's own: opens a store and writes, so that the suite can watch it, join it or kill it.

`python -m dizuo.testing.vectors.worker '{"url": …, "options": {…}, "collection": …, "prefix": …, "batches": …}'`
writes one line per batch that is in. With `remake` it drops the collection instead, and makes it anew with that
dimension and metric, unless they are null. With `disturb` it removes a part of these
records, and adds as many others, at every line that it reads.
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
    """Write batches and say so after each, or do what else is asked for."""
    if "remake" in order:
        from dizuo.testing.vectors.areas.handles import remake

        remake(order["url"], order["options"], order["collection"], order["remake"])
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


def _say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    run(json.loads(sys.argv[1]))
