"""pgvector by hand, with psycopg."""

from __future__ import annotations

from typing import Any

import numpy as np

from dizuo.vectors.benchmarking.raw import RawClient, RawRow
from dizuo.vectors.connecting.addresses import Url
from dizuo.vectors.connecting.connect import find_store
from dizuo.vectors.points import Floats

__all__ = ["RAW"]


def open_raw(url: str, dim: int, table: str) -> RawPostgres:
    """Return a table of this name in the database."""
    return RawPostgres(find_store(url)[0], dim, table)


class RawPostgres:
    """A PostgreSQL table of vectors."""

    def __init__(self, url: Url, dim: int, table: str) -> None:
        self.url, self.dim = url, dim
        self.table = f'"{table}"'
        self.connect()

    def connect(self) -> None:
        """Open a connection."""
        import psycopg

        named = {"host": self.url.host, "port": self.url.port, "dbname": self.url.path.strip("/")}
        login = {"user": self.url.user, "password": self.url.password, "sslmode": self.url.query.get("sslmode")}
        given = {key: value for key, value in {**named, **login}.items() if value}
        self.connection = psycopg.connect(autocommit=True, **given)
        self.connection.execute("CREATE EXTENSION IF NOT EXISTS vector")

    def recreate(self, *, words: bool = False) -> None:
        """Make the table, empty; over a new connection, as dizuo does: the server's part of one is slower at first."""
        self.connection.close()
        self.connect()
        self.connection.execute(f"DROP TABLE IF EXISTS {self.table}")
        tokens = "tsvector GENERATED ALWAYS AS (to_tsvector('simple', coalesce(document, ''))) STORED"
        self.connection.execute(
            f"CREATE TABLE {self.table} (id text PRIMARY KEY, vector vector({self.dim}), metadata jsonb, document text"
            f"{f', words {tokens}' if words else ''})"
        )
        if words:
            self.connection.execute(f"CREATE INDEX ON {self.table} USING gin (words)")

    def upsert(self, batch: Any) -> None:
        """Insert or replace the rows of an Arrow table."""
        flat = batch.column("vector").combine_chunks().flatten().to_numpy()
        vectors = flat.reshape(-1, self.dim).astype(">f4")
        head = np.array([self.dim, 0], ">i2").tobytes()
        with self.connection.transaction(), self.connection.cursor() as cursor:
            names = "id, vector, metadata, document"
            cursor.execute(f"CREATE TEMP TABLE stage ON COMMIT DROP AS SELECT {names} FROM {self.table} WITH NO DATA")
            with cursor.copy("COPY stage FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(["text", "bytea", "jsonb", "text"])
                texts = (batch.column(name).to_pylist() for name in ("id", "metadata", "document"))
                for id, metadata, document, vector in zip(*texts, vectors, strict=True):
                    copy.write_row([id, head + vector.tobytes(), _json(metadata), document])
            cursor.execute(
                f"INSERT INTO {self.table} ({names}) SELECT {names} FROM stage ON CONFLICT (id) DO UPDATE SET"
                " vector = excluded.vector, metadata = excluded.metadata, document = excluded.document"
            )

    def search(self, query: Floats) -> list[RawRow]:
        """Return the ten nearest rows."""
        text = "[" + ",".join(map(repr, query.tolist())) + "]"
        rows = self.connection.execute(
            f"SELECT id, vector <=> %s::vector AS distance, metadata, document FROM {self.table}"
            " ORDER BY distance LIMIT 10",
            [text],
        )
        return [(id, 1 - distance, metadata, document) for id, distance, metadata, document in rows]

    def search_words(self, query: str) -> list[str]:
        """Return the ids of the ten best rows by words."""
        rows = self.connection.execute(
            f"SELECT id FROM {self.table}, to_tsquery('simple', %s) AS asked WHERE words @@ asked"
            " ORDER BY ts_rank(words, asked) DESC LIMIT 10",
            [" | ".join(query.split())],
        )
        return [id for (id,) in rows]

    def close(self) -> None:
        """Remove what was made."""
        self.connection.execute(f"DROP TABLE IF EXISTS {self.table}")
        self.connection.close()


def _json(text: str) -> Any:
    from psycopg.types.json import Jsonb

    return Jsonb(None, dumps=lambda _: text)


RAW = RawClient(open=open_raw)
