"""A place for every record, by its id: what a scan goes by where a database pages by offset only.

Pages by offset shift when a record before them is removed, and so leave others out. A place never changes: it is a hash
of the id below 2^53, which every database holds as an integer or a float64. A scan reads one range of places after the
other, and whatever is written meanwhile, a record is in one of them.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise

__all__ = ["PLACES", "place_of", "split_places"]

PLACES = 2**53


def place_of(id: str) -> int:
    """Return the place of a record, from 0 to 2^53 − 1; ids are spread evenly."""
    return int.from_bytes(hashlib.blake2b(id.encode(), digest_size=8).digest(), "big") % PLACES


def split_places(count: int, rows: int) -> list[tuple[int, int]]:
    """Return ranges (low, high) of places, high not included, that have about `rows` of `count` records each."""
    windows = max(1, -(-count // rows))
    return list(pairwise(PLACES * n // windows for n in range(windows + 1)))
