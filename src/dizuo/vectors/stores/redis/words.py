"""The words of documents in Redis: BM25 postings, written in one transaction with the records.

RediSearch 2.10 has a BM25STD of its own, which gives other scores than other databases (measured, 2.10.5): the weight
of a word counts replaced records until they are collected, and overflows when these outnumber the rest; the mean
length grows with every replacement and never shrinks; `b` is fixed at 0.5; and the tags of a filter score as words do.

A namespace called NAME has

    NAME/w/TOKEN   postings, 12 bytes each (`lexical/packed_postings.py`)
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

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dizuo.vectors.lexical.packed_postings import LITTLE_ENDIAN, numbers_of, pack, pages, score
from dizuo.vectors.lexical.word_counts import count_words
from dizuo.vectors.stores.redis.wire import execute_packed, pack_command

__all__ = ["Words"]

AT_ONCE = 200
"""Records, or tokens, of one call of a script; Lua hands on some thousands of values at most."""
KEEP = 5000
"""So many dead documents are not worth a compaction."""
TRIES = 20
"""Attempts to rewrite postings while others write to them, before the compaction is left to the next time."""

REPLACE = """
local there, documents, tokens, dead, living = 0, 0, 0, {}, {}
local at = 1
for row = 4, #KEYS do
  local key, number, length, size = KEYS[row], ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 3])
  local old = redis.call('HMGET', key, 'p', 'l')
  if old[1] then
    dead[#dead + 1] = old[1]
    documents, tokens = documents - 1, tokens - tonumber(old[2])
  end
  there = there + redis.call('DEL', key)
  if number ~= '' then
    living[#living + 1] = number
    living[#living + 1] = ARGV[at + 2]
    documents, tokens = documents + 1, tokens + tonumber(length)
    redis.call('HSET', key, 'p', number, 'l', length, unpack(ARGV, at + 4, at + 3 + size))
  elseif size > 0 then
    redis.call('HSET', key, unpack(ARGV, at + 4, at + 3 + size))
  end
  at = at + 4 + size
end
if #dead > 0 then
  redis.call('APPEND', KEYS[1], table.concat(dead))
  redis.call('HDEL', KEYS[2], unpack(dead))
end
if #living > 0 then redis.call('HSET', KEYS[2], unpack(living)) end
if documents ~= 0 then redis.call('HINCRBY', KEYS[3], 'documents', documents) end
if tokens ~= 0 then redis.call('HINCRBY', KEYS[3], 'tokens', tokens) end
return there
"""
"""Replaces records by others, each given as number or nothing, length, id, how many fields and values, and these; one
without fields is removed. Returns how many there were."""
APPEND = """
for at = 2, #ARGV, 2 do
  if redis.call('APPEND', ARGV[1] .. ARGV[at], ARGV[at + 1]) == #ARGV[at + 1] then
    redis.call('SADD', KEYS[1], ARGV[at])
  end
end
"""
"""Appends to the postings of tokens, and remembers tokens that had none."""
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
        self.scripts = {script: client.register_script(script) for script in (REPLACE, APPEND, FORGET)}

    def _queue(self, pipe: Any, script: str, keys: Sequence[str], args: Sequence[Any]) -> None:
        """Queue a call of a script; what `register_script` returns looks at every argument once more."""
        pipe.scripts.add(self.scripts[script])
        pipe.execute_command("EVALSHA", self.scripts[script].sha, len(keys), *keys, *args)

    def put(
        self, name: str, ids: Sequence[str], rows: Sequence[dict[str, Any]], texts: Any, watched: tuple[str, bytes],
        packed: Sequence[bytes] | None,
    ) -> None:  # fmt: skip
        """Replace records and write their words, in one transaction.

        Args:
            name: of the namespace.
            ids: of the records.
            rows: their fields.
            texts: their documents, an Arrow array.
            watched: a key, and the value that it has until all is written.
            packed: the commands that write the records, where none of them has words.

        Raises:
            redis.WatchError: it has not; nothing is written.
        """
        if packed is not None and self._put_wordless(name, ids, packed, watched):
            return
        with self.client.pipeline(transaction=True) as pipe:
            _watch(pipe, *watched)
            pipe.multi()
            self._queue_put(pipe, name, ids, rows, texts)
            pipe.execute()

    def _put_wordless(self, name: str, ids: Sequence[str], packed: Sequence[bytes], watched: tuple[str, bytes]) -> bool:
        """Return whether records were replaced without a script, which they can be where no record has words yet.

        A script reads every value of a record once more: 30 µs of 240 (measured, 384 numbers).
        """
        import redis

        with self.client.pipeline(transaction=True) as pipe:
            pipe.watch(f"{name}/stats")  # a writer of words changes it, and then this transaction fails
            _watch(pipe, *watched)
            if int(pipe.hget(f"{name}/stats", "documents") or 0):
                return False
            try:
                execute_packed(pipe, [pack_command("DEL", *(f"{name}:{id}" for id in ids)), *packed])
            except redis.WatchError:
                return False
        return True

    def _queue_put(self, pipe: Any, name: str, ids: Sequence[str], rows: Sequence[dict[str, Any]], texts: Any) -> None:
        counted = count_words(texts)
        first = int(self.client.hincrby(f"{name}/stats", "next", len(rows))) - len(rows) + 1
        lengths = counted.lengths.tolist()
        numbers = [
            number.to_bytes(8, "little") if length else b"" for number, length in enumerate(lengths, start=first)
        ]
        self._replace(pipe, name, ids, rows, numbers, lengths)
        postings = pack(counted, np.arange(first, first + len(rows)), LITTLE_ENDIAN)
        data, ends = postings.tobytes(), (postings.itemsize * counted.starts).tolist()
        for start in range(0, len(counted.words), AT_ONCE):
            args: list[Any] = [f"{name}/w/"]
            for place, word in enumerate(counted.words[start : start + AT_ONCE], start=start):
                args += (word, data[ends[place] : ends[place + 1]])
            self._queue(pipe, APPEND, [f"{name}/tokens"], args)

    def remove(self, pipe: Any, name: str, ids: Sequence[str]) -> None:
        """Queue commands that remove records; each answers how many of its records were there."""
        self._replace(pipe, name, ids, [{}] * len(ids), [b""] * len(ids), [0] * len(ids))

    def _replace(
        self, pipe: Any, name: str, ids: Sequence[str], rows: Sequence[dict[str, Any]], numbers: Sequence[bytes],
        lengths: Sequence[int],
    ) -> None:  # fmt: skip
        common = [f"{name}/dead", f"{name}/ids", f"{name}/stats"]
        for start in range(0, len(ids), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            args: list[Any] = []
            for number, length, id, fields in zip(numbers[part], lengths[part], ids[part], rows[part], strict=True):
                args += (number, length, id, 2 * len(fields))
                for pair in fields.items():
                    args += pair
            self._queue(pipe, REPLACE, [*common, *(f"{name}:{id}" for id in ids[part])], args)

    def ranked(self, name: str, tokens: list[str], page: int) -> Iterator[list[tuple[str, float]]]:
        """Yield (id, score) of all documents that share a token, best first, ties by id, in growing pages."""
        pipe = self.client.pipeline(transaction=True)
        pipe.hmget(f"{name}/stats", ["documents", "tokens"])
        pipe.get(f"{name}/dead")
        for token in tokens:
            pipe.get(f"{name}/w/{token}")
        (documents, total), dead, *held = pipe.execute()
        numbers, scores = score(
            [np.frombuffer(value or b"", LITTLE_ENDIAN) for value in held],
            np.frombuffer(dead or b"", "<i8"),
            documents=int(documents or 0),
            tokens=int(total or 0),
        )
        for rows in pages(scores, page):
            ids = self.client.hmget(f"{name}/ids", [int(number).to_bytes(8, "little") for number in numbers[rows]])
            hits = [
                (id.decode(), value) for id, value in zip(ids, scores[rows].tolist(), strict=True) if id is not None
            ]
            yield sorted(hits, key=lambda hit: (-hit[1], hit[0]))

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
        numbers = np.frombuffer(dead, "<i8")
        part: list[bytes] = []
        for token in self.client.sscan_iter(f"{name}/tokens", count=500):
            part.append(token)
            if len(part) == 500:
                if not self._compact(name, part, numbers):
                    return
                part = []
        # Nothing that is written from now on has one of these numbers.
        if self._compact(name, part, numbers):
            self.scripts[FORGET](keys=[f"{name}/dead"], args=[dead])

    def _compact(self, name: str, tokens: list[bytes], dead: NDArray[np.int64]) -> bool:
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
                    rows = np.frombuffer(value or b"", LITTLE_ENDIAN)
                    living = rows[~np.isin(numbers_of(rows), dead)]
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


def _watch(pipe: Any, key: str, value: bytes) -> None:
    import redis

    pipe.watch(key)
    if pipe.get(key) != value:
        raise redis.WatchError(key)
