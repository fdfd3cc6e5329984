"""Connections to a PostgreSQL server, each used by one thread at a time; psycopg's exceptions become ours here."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

from dizuo.errors import VectorError
from dizuo.vectors.connecting.addresses import Url
from dizuo.vectors.points import Floats
from dizuo.vectors.protocol.errors import CollectionGone, Denied, Transient, Unreachable
from dizuo.vectors.stores.postgresql.wire import TEXTS, text_array, to_wire

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Pool", "register_types"]

IDLE = 8
"""Most connections that are kept for the next call."""
_AGAIN = {"23505", "40001", "40P01", "53300", "53400", "55P03", "57P01", "57P02", "57P03", "25006"}
"""Unique violations too: under another isolation level there may be a new row that the snapshot does not show."""
_DENIED = {"28000", "28P01", "42501"}


class _Vector(bytes):
    """A vector as pgvector sends it."""


class _Texts(bytes):
    """A text[] as PostgreSQL sends it."""


class _TextsDumper(Dumper):  # type: ignore[misc]
    format = Format.BINARY
    oid = TEXTS

    def dump(self, obj: Any) -> bytes:
        return bytes(obj)


class Pool:
    """Connections to one database.

    Args:
        url: of the database.
        settings: further keywords of libpq, such as connect_timeout.
    """

    def __init__(self, url: Url, **settings: Any) -> None:
        self.where = {
            "host": url.host, "port": url.port, "user": url.user, "password": url.password,
            "dbname": url.path.strip("/") or None, "application_name": "dizuo", **settings,
        }  # fmt: skip
        self.where = {key: value for key, value in self.where.items() if value is not None}
        self.shown, self.collection = str(url), ""
        self.idle: list[Any] = []
        self.lock = threading.Lock()
        self.closed = False

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """Yield a connection in autocommit mode; afterwards it is kept, unless it broke."""
        with self.lock:
            idle = self.idle.pop() if self.idle else None
        connection = self._connect() if idle is None else idle
        try:
            yield connection
        except psycopg.Error as error:
            raise self._map_error(error, connection) from error
        finally:
            self._put_back(connection)

    def vector(self, vector: Floats) -> Any:
        """Return a vector as a parameter."""
        return _Vector(to_wire(vector))

    def texts(self, texts: pa.Array) -> Any:
        """Return a string array as a binary parameter, which psycopg itself would take too long to write."""
        return _Texts(text_array(texts))

    def close(self) -> None:
        """Close idle connections; those in use are closed when they are given back."""
        with self.lock:
            self.closed = True
            idle, self.idle = self.idle, []
        for connection in idle:
            connection.close()

    def _put_back(self, connection: Any) -> None:
        if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            connection.close()
        with self.lock:
            if not self.closed and not connection.closed and len(self.idle) < IDLE:
                self.idle.append(connection)
                return
        connection.close()

    def _connect(self) -> Any:
        try:
            connection = psycopg.connect(autocommit=True, client_encoding="utf8", **self.where)
        except psycopg.OperationalError as error:
            raise self._map_connect_error(error) from None
        connection.adapters.register_dumper(_Texts, _TextsDumper)
        register_types(connection)
        return connection

    def _map_connect_error(self, error: Exception) -> VectorError:
        """Return our error for a connection that failed; libpq gives no code for it, so its text is read."""
        text = _first_line(error)
        if "authentication failed" in text or "no password supplied" in text or "role " in text or "pg_hba" in text:
            return Denied(f"{self.shown} refused the login: {text}", hint="check user and password in the URL")
        if "starting up" in text or "shutting down" in text or "too many clients" in text or "recovery mode" in text:
            return Transient(f"{self.shown} is not ready: {text}")
        if "does not exist" in text:
            return VectorError(f"{self.shown}: {text}", hint="create the database, or name another in the URL")
        return Unreachable(f"{self.shown} does not answer: {text}", hint="is PostgreSQL running at that host and port?")

    def _map_error(self, error: psycopg.Error, connection: Any) -> VectorError:
        code, text = error.sqlstate or "", _first_line(error)
        if code in _DENIED:
            return Denied(f"{self.shown}: {text}", hint="check what this user may do")
        if code == "42P01":  # no such table: all that is asked for here are the collection's own
            return CollectionGone(self.collection)
        if connection.closed or connection.broken:
            return Transient(f"the connection to {self.shown} was lost: {text}", hint="is the server still running?")
        if code in _AGAIN or code.startswith("08"):
            return Transient(f"{self.shown}: {text}")
        return VectorError(f"{self.shown}: {text}")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def register_types(connection: Any) -> None:
    """Register the type of vectors in a connection; its number differs from database to database."""
    row = connection.execute("SELECT to_regtype('vector')::oid").fetchone()
    if row is None or row[0] is None:
        return

    class VectorDumper(Dumper):  # type: ignore[misc]
        format = Format.BINARY
        oid = int(row[0])

        def dump(self, obj: Any) -> bytes:
            return bytes(obj)

    connection.adapters.register_dumper(_Vector, VectorDumper)
