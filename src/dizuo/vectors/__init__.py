"""Vectors on ten databases, with one meaning on all of them.

    store = dizuo.connect("lancedb://./index", dim=384)
    store.upsert(Point(id, vector, {"lang": "zh"}, text) for …)
    store.search(query, k=10, where=field("lang") == "zh")

Points and queries go in; hits come out. On the way they pass through these rooms:

    connecting/        a URL becomes an open store
    vector_store.py    `VectorStore`, which users hold, and asynchronous.py, the same awaited
    writing/           what goes in is checked, cut into batches and sent
    filters/           conditions on metadata: the tree, its text form, its meaning
    protocol/          what a database implements and what it may answer
    stores/            one file or package per database
    exact/             what dizuo computes where a database cannot
    lexical/           search by words, and hybrid search
    points.py          points, hits and the blocks that carry them; scores.py puts hits in order

    moving/            copies, exports, imports
    knowledge/         a folder of documents, kept as vectors and searched
    embedders/         texts become vectors; rerankers/ put hits in a better order
    integrations/      LangChain, LlamaIndex, Haystack
    benchmarking/      how fast a database is, on this machine

Importing this package loads neither torch nor a client of a database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dizuo import lazy

if TYPE_CHECKING:
    from dizuo.vectors.asynchronous import AsyncVectorStore, connect_async
    from dizuo.vectors.connecting.connect import connect
    from dizuo.vectors.filters.parsing import parse as parse_where
    from dizuo.vectors.filters.tree import Filter, field
    from dizuo.vectors.moving.copying import Copied, copy
    from dizuo.vectors.moving.exporting import export_parquet
    from dizuo.vectors.moving.importing import import_parquet
    from dizuo.vectors.points import Block, Hit, Hits, Part, Point
    from dizuo.vectors.protocol.answers import Info, Upserted
    from dizuo.vectors.protocol.capabilities import Capabilities, EngineInfo
    from dizuo.vectors.protocol.errors import (
        CollectionGone,
        Denied,
        Forked,
        Refused,
        RowErrors,
        Transient,
        Unreachable,
        Unsupported,
    )
    from dizuo.vectors.vector_store import VectorStore
    from dizuo.vectors.writing.retrying import Patience


__all__ = [
    "AsyncVectorStore",
    "Block",
    "Capabilities",
    "CollectionGone",
    "Copied",
    "Denied",
    "EngineInfo",
    "Filter",
    "Forked",
    "Hit",
    "Hits",
    "Info",
    "Part",
    "Patience",
    "Point",
    "Refused",
    "RowErrors",
    "Transient",
    "Unreachable",
    "Unsupported",
    "Upserted",
    "VectorStore",
    "connect",
    "connect_async",
    "copy",
    "export_parquet",
    "field",
    "import_parquet",
    "parse_where",
]

__getattr__, __dir__ = lazy.names(
    __name__,
    {
        "AsyncVectorStore": "asynchronous",
        "Block": "points",
        "Capabilities": "protocol.capabilities",
        "CollectionGone": "protocol.errors",
        "Copied": "moving.copying",
        "Denied": "protocol.errors",
        "EngineInfo": "protocol.capabilities",
        "Filter": "filters.tree",
        "Forked": "protocol.errors",
        "Hit": "points",
        "Hits": "points",
        "Info": "protocol.answers",
        "Part": "points",
        "Patience": "writing.retrying",
        "Point": "points",
        "Refused": "protocol.errors",
        "RowErrors": "protocol.errors",
        "Transient": "protocol.errors",
        "Unreachable": "protocol.errors",
        "Unsupported": "protocol.errors",
        "Upserted": "protocol.answers",
        "VectorStore": "vector_store",
        "connect": "connecting.connect",
        "connect_async": "asynchronous",
        "copy": "moving.copying",
        "export_parquet": "moving.exporting",
        "field": "filters.tree",
        "import_parquet": "moving.importing",
        "parse_where": "filters.parsing:parse",
    },
)
