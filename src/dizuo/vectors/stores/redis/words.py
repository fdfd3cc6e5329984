"""The words of documents in Redis: BM25 postings, written in one transaction with the records.

RediSearch 2.10 has a BM25STD of its own, which gives other scores than other databases (measured, 2.10.5): the weight
of a word counts replaced records until they are collected, and overflows when these outnumber the rest; the mean
length grows with every replacement and never shrinks; `b` is fixed at 0.5; and the tags of a filter score as words do.

A namespace called NAME has

    NAME/w/TOKEN   postings, 12 bytes each: number of the document (40 bits), occurrences (24), length (32)
    NAME/tokens    the set of all tokens
    NAME/ids       the id by number, of the documents that count
    NAME/dead      numbers of documents that were replaced or removed, 8 bytes each
    NAME/stats     `next` number, `documents` and `tokens` that count

and the hash of a record has its number `p` and its length `l`. A document gets a new number whenever it is written, so
its old postings need not be looked for: they are dead, and `compact` removes them when the dead are more than the
living. A search reads the postings of its tokens and adds up their shares here, in numpy: a script in the server would
block all other clients meanwhile.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dizuo.vectors.lexical import K1, B, idf

__all__ = ["Words"]

POSTING = np.dtype([("key", "<u8"), ("length", "<u4")])
COUNT_BITS = 24
PACK = struct.Struct("<QI").pack
KEEP = 5000
"""So many dead documents are not worth a compaction."""
TRIES = 20
"""Attempts to rewrite postings while others write to them, before the compaction is left to the next time."""

REPLACE = """
local old = redis.call('HMGET', KEYS[1], 'p', 'l')
if old[1] then
  redis.call('APPEND', KEYS[2], old[1])
  redis.call('HDEL', KEYS[3], old[1])
  redis.call('HINCRBY', KEYS[4], 'documents', -1)
  redis.call('HINCRBY', KEYS[4], 'tokens', -tonumber(old[2]))
end
local there = redis.call('DEL', KEYS[1])
if #ARGV == 0 then return there end
if ARGV[1] ~= '' then
  redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
  redis.call('HINCRBY', KEYS[4], 'documents', 1)
  redis.call('HINCRBY', KEYS[4], 'tokens', tonumber(ARGV[2]))
  redis.call('HSET', KEYS[1], 'p', ARGV[1], 'l', ARGV[2], unpack(ARGV, 4))
else
  redis.call('HSET', KEYS[1], unpack(ARGV, 4))
end
return there
"""
"""Replaces a record by another (number or nothing, length, id, fields…), or removes it."""
FORGET = """
if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then return 0 end
local rest = redis.call('GETRANGE', KEYS[1], #ARGV[1], -1)
if rest == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], rest) end
return 1
"""
"""Removes numbers from the head of the list of the dead, if they are still there."""


class Words:
    """The postings of all namespaces of one collection."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.replace, self.forget = client.register_script(REPLACE), client.register_script(FORGET)

    def put(self, pipe: Any, name: str, rows: Sequence[tuple[str, dict[str, Any], list[str]]]) -> None:
        """Queue commands that replace records (id, fields, tokens) and write their words."""
        number = int(self.client.hincrby(f"{name}/stats", "next", len(rows))) - len(rows)
        postings: dict[str, list[bytes]] = {}
        for id, fields, tokens in rows:
            length = len(tokens)
            number += 1
            for token, count in Counter(tokens).items():
                posting = PACK(number << COUNT_BITS | min(count, 2**COUNT_BITS - 1), length)
                postings.setdefault(token, []).append(posting)
            packed = number.to_bytes(8, "little") if tokens else b""
            pairs = [part for pair in fields.items() for part in pair]
            self.replace(keys=_keys(name, id), args=[packed, length, id, *pairs], client=pipe)
        for token, parts in postings.items():
            pipe.append(f"{name}/w/{token}", b"".join(parts))
        if postings:
            pipe.sadd(f"{name}/tokens", *postings)

    def remove(self, pipe: Any, name: str, ids: Sequence[str]) -> None:
        """Queue commands that remove records; each answers whether the record was there."""
        for id in ids:
            self.replace(keys=_keys(name, id), args=[], client=pipe)

    def ranked(self, name: str, tokens: list[str], page: int) -> Iterator[list[tuple[str, float]]]:
        """Yield (id, score) of all documents that share a token, best first, ties by id, in growing pages."""
        pipe = self.client.pipeline(transaction=True)
        pipe.hmget(f"{name}/stats", ["documents", "tokens"])
        pipe.get(f"{name}/dead")
        for token in tokens:
            pipe.get(f"{name}/w/{token}")
        (documents, total), dead, *held = pipe.execute()
        numbers, scores = _scores(int(documents or 0), int(total or 0), dead, held)
        order = np.argsort(-scores, kind="stable")
        start = 0
        while start < len(order):
            stop = min(start + page, len(order))
            while (
                stop < len(order) and scores[order[stop]] == scores[order[stop - 1]]
            ):  # documents of equal score are sorted by id, so they must be in one page
                stop += 1
            rows = order[start:stop]
            ids = self.client.hmget(f"{name}/ids", [int(number).to_bytes(8, "little") for number in numbers[rows]])
            hits = [
                (id.decode(), score) for id, score in zip(ids, scores[rows].tolist(), strict=True) if id is not None
            ]
            yield sorted(hits, key=lambda hit: (-hit[1], hit[0]))
            start, page = stop, min(4 * page, 10_000)

    def compact_if_worth(self, name: str) -> None:
        """Compact if the dead are more than the living."""
        pipe = self.client.pipeline(transaction=False)
        pipe.strlen(f"{name}/dead")
        pipe.hget(f"{name}/stats", "documents")
        size, documents = pipe.execute()
        if size // 8 > max(KEEP, int(documents or 0)):
            self.compact(name)

    def compact(self, name: str) -> None:
        """Remove the postings of the dead; others may search and write meanwhile."""
        dead = self.client.get(f"{name}/dead")
        if not dead:
            return
        numbers = np.frombuffer(dead, "<u8")
        part: list[bytes] = []
        for token in self.client.sscan_iter(f"{name}/tokens", count=500):
            part.append(token)
            if len(part) == 500:
                if not self._compact(name, part, numbers):
                    return
                part = []
        # Nothing that is written from now on has one of these numbers.
        if self._compact(name, part, numbers):
            self.forget(keys=[f"{name}/dead"], args=[dead])

    def _compact(self, name: str, tokens: list[bytes], dead: NDArray[np.uint64]) -> bool:
        import redis

        if not tokens:
            return True
        keys = [f"{name}/w/".encode() + token for token in tokens]
        for _ in range(TRIES):
            with self.client.pipeline(transaction=True) as pipe:
                pipe.watch(*keys)
                values = pipe.mget(keys)
                pipe.multi()
                for key, token, value in zip(keys, tokens, values, strict=True):
                    rows = np.frombuffer(value or b"", POSTING)
                    living = rows[~np.isin(rows["key"] >> COUNT_BITS, dead)]
                    if not len(living):
                        pipe.delete(key)
                        pipe.srem(f"{name}/tokens", token)
                    elif len(living) < len(rows):
                        pipe.set(key, living.tobytes())
                try:
                    pipe.execute()
                except redis.WatchError:
                    continue
                return True
        return False

    def drop(self, name: str) -> None:
        """Remove all words of a namespace."""
        part: list[bytes] = []
        for token in self.client.sscan_iter(f"{name}/tokens", count=500):
            part.append(f"{name}/w/".encode() + token)
            if len(part) == 500:
                self.client.unlink(*part)
                part = []
        self.client.unlink(*part, *(f"{name}/{suffix}" for suffix in ("tokens", "ids", "dead", "stats")))


def _keys(name: str, id: str) -> list[str]:
    return [f"{name}:{id}", f"{name}/dead", f"{name}/ids", f"{name}/stats"]


def _scores(
    documents: int, total: int, dead: bytes | None, held: Sequence[bytes | None]
) -> tuple[NDArray[np.uint64], NDArray[np.float64]]:
    """Return the numbers and scores of all documents in these postings."""
    gone = np.frombuffer(dead or b"", "<u8")
    numbers, shares = [], []
    for value in held:
        rows = np.frombuffer(value or b"", POSTING)
        number = rows["key"] >> COUNT_BITS
        if len(gone):
            living = ~np.isin(number, gone)
            rows, number = rows[living], number[living]
        if not len(rows):
            continue
        count = (rows["key"] & (2**COUNT_BITS - 1)).astype(np.float64)
        norm = K1 * (1 - B) + K1 * B / (total / documents) * rows["length"]
        numbers.append(number)
        shares.append(idf(documents, len(rows)) * (K1 + 1) * count / (count + norm))
    if not numbers:
        return np.empty(0, np.uint64), np.empty(0)
    unique, inverse = np.unique(np.concatenate(numbers), return_inverse=True)
    # Shares are added in the order of the tokens, so equal documents get equal sums.
    return unique.astype(np.uint64), np.bincount(inverse, np.concatenate(shares), len(unique)).astype(np.float64)
