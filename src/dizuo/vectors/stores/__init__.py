"""One file or package per database; its name is the scheme of its URLs: `redis/` opens `redis://host:6379`.

    memory           numpy arrays in this process; every other store is compared with it
    chroma           a folder, or Chroma's server
    clickhouse       a server over HTTP, or ClickHouse's engine in this process
    elasticsearch    a server
    lancedb          a folder; the default
    marqo            a server
    milvus           Milvus Lite in a file, or a server
    pinecone         the service
    postgresql       a server with pgvector
    redis            a server with the search module
    sqlite           a file in a folder; the default where LanceDB is not installed

A store is written in one file that ends in a `Database`; `dizuo.vectors.protocol.store` says what its methods must do:

    from dizuo.vectors.connecting.addresses import Url
    from dizuo.vectors.protocol.collection import CollectionRequest
    from dizuo.vectors.protocol.database import Database
    from dizuo.vectors.protocol.store import Store

    @dataclass(frozen=True, slots=True)
    class Options:
        timeout: float = 60.0

    def open_store(url: Url, request: CollectionRequest, options: Options) -> Store:
        return MyStore(…)

    STORE = Database(options=Options, open=open_store)

A server with logins has `form="server"` and options that inherit from `LoginOptions` (`connecting.options`). A secret
among them is of the type `dizuo.redaction.Secret`, and no file of a store has to hide it.

Third parties name theirs in the entry-point group `dizuo.vectors.stores`. Importing a store loads no client of a
database; opening one does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dizuo.errors import VectorError
from dizuo.plugins import Kind
from dizuo.vectors.protocol.database import Database

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["STORES"]

STORES: Kind[Database[DataclassInstance]] = Kind("store", "dizuo.vectors.stores", "STORE", Database, error=VectorError)
"""The databases that `connect` knows, by the scheme of their URLs."""
