"""Redis by hand, with its own client: a hash per row, and an index of the search module over them."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from dizuo.vectors.benchmarking.raw import RawClient, RawRow
from dizuo.vectors.connecting.addresses import parse_url
from dizuo.vectors.points import Floats

__all__ = ["RAW"]

ROWS = 1000
"""Rows of one pipeline."""


def open_raw(url: str, dim: int, table: str) -> RawRedis:
    """Return an index of this name in the database."""
    return RawRedis(url, dim, table)


class RawRedis:
    """A Redis index of vectors, with the same graph as dizuo's."""

    def __init__(self, url: str, dim: int, table: str) -> None:
        import redis

        address = parse_url(url)
        self.client: Any = redis.Redis(
            host=address.host or "127.0.0.1",
            port=address.port or 6379,
            db=int(address.path.strip("/") or 0),
            username=address.user or None,
            password=address.password or None,
            ssl=address.extra == "tls",
            protocol=2,
        )
        self.dim, self.table = dim, table
        self.fields: set[str] = set()

    def recreate(self, *, words: bool = False) -> None:
        """Make the index, empty; with an index of the documents' words where they are asked for."""
        self._drop()
        vector = ["TYPE", "FLOAT32", "DIM", self.dim, "DISTANCE_METRIC", "COSINE", "M", 16, "EF_CONSTRUCTION", 200]
        schema = ["vector", "VECTOR", "HNSW", len(vector), *vector, *(["document", "TEXT", "NOSTEM"] if words else [])]
        command = ["FT.CREATE", self.table, "ON", "HASH", "PREFIX", 1, f"{self.table}:", "STOPWORDS", 0]
        self.client.execute_command(*command, "SCHEMA", *schema)

    def _drop(self) -> None:
        import redis

        with suppress(redis.ResponseError):  # there is none
            self.client.execute_command("FT.DROPINDEX", self.table, "DD")
        self.fields = set()

    def upsert(self, batch: Any) -> None:
        """Insert or replace the rows of an Arrow table."""
        for start in range(0, batch.num_rows, ROWS):
            part = batch.slice(start, ROWS)
            vectors = part.column("vector").combine_chunks().flatten().to_numpy().reshape(-1, self.dim)
            texts = part.column("metadata").to_pylist()
            rows = [json.loads(text) for text in texts]
            self._add_fields(rows[0])
            pipe = self.client.pipeline(transaction=True)
            ids, documents = (part.column(name).to_pylist() for name in ("id", "document"))
            for id, vector, text, row, document in zip(ids, vectors, texts, rows, documents, strict=True):
                record = {"vector": vector.tobytes(), "metadata": text}
                record |= {key: value for key, value in row.items() if isinstance(value, str | int | float)}
                if document is not None:
                    record["document"] = document
                pipe.delete(f"{self.table}:{id}")
                pipe.hset(f"{self.table}:{id}", mapping=record)
            pipe.execute()

    def _add_fields(self, row: dict[str, Any]) -> None:
        """Add the metadata's keys to the index, of which filters read: texts as tags, the others as numbers."""
        for key in row.keys() - self.fields:
            kind = "TAG" if isinstance(row[key], str) else "NUMERIC"
            self.client.execute_command("FT.ALTER", self.table, "SCHEMA", "ADD", key, kind)
            self.fields.add(key)

    def search(self, query: Floats) -> list[RawRow]:
        """Return the ten nearest rows."""
        answer = self.client.execute_command(
            "FT.SEARCH", self.table, "*=>[KNN 10 @vector $q EF_RUNTIME 200 AS distance]", "PARAMS", 2, "q",
            query.tobytes(), "RETURN", 3, "distance", "metadata", "document", "SORTBY", "distance", "DIALECT", 2,
        )  # fmt: skip
        found: list[RawRow] = []
        for key, flat in zip(answer[1::2], answer[2::2], strict=True):
            row = dict(zip((name.decode() for name in flat[::2]), flat[1::2], strict=True))
            document = row["document"].decode() if row.get("document") is not None else None
            id = key.decode().removeprefix(f"{self.table}:")
            found.append((id, 1 - float(row["distance"]), json.loads(row["metadata"]), document))
        return found

    def search_words(self, query: str) -> list[str]:
        """Return the ids of the ten best rows by words."""
        text = f"@document:({'|'.join(query.split())})"
        _, *keys = self.client.execute_command(
            "FT.SEARCH", self.table, text, "NOCONTENT", "SCORER", "BM25STD", "LIMIT", 0, 10, "DIALECT", 2
        )
        return [key.decode().removeprefix(f"{self.table}:") for key in keys]

    def close(self) -> None:
        """Remove what was made."""
        self._drop()
        self.client.close()


RAW = RawClient(open=open_raw)
