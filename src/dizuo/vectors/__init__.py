"""Vectors: one meaning on every database.

    store = dizuo.connect("lancedb://./index", dim=384)
    store.upsert(Point(id, vector, {"lang": "zh"}, text) for …)
    store.search(query, k=10, where=field("lang") == "zh")

`store.py` says how an engine is added, `filters.py` what a filter means. This package loads neither torch nor any
database client before one is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dizuo.errors import did_you_mean

if TYPE_CHECKING:
    from dizuo.vectors.answers import Info, Upserted
    from dizuo.vectors.asynchronous import AsyncVectorStore, connect_async
    from dizuo.vectors.batching import Patience
    from dizuo.vectors.connecting import connect
    from dizuo.vectors.copying import Copied, copy
    from dizuo.vectors.exporting import export_parquet, import_parquet
    from dizuo.vectors.faults import Denied, Refused, RowErrors, Transient, Unreachable, Unsupported
    from dizuo.vectors.filters import Filter, field
    from dizuo.vectors.front import VectorStore
    from dizuo.vectors.points import Block, Hit, Hits, Part, Point
    from dizuo.vectors.store import Capabilities, EngineInfo
    from dizuo.vectors.where import parse as parse_where

_HOMES = {
    "AsyncVectorStore": "asynchronous",
    "Block": "points",
    "Capabilities": "store",
    "Copied": "copying",
    "Denied": "faults",
    "EngineInfo": "store",
    "Filter": "filters",
    "Hit": "points",
    "Hits": "points",
    "Info": "answers",
    "Part": "points",
    "Patience": "batching",
    "Point": "points",
    "Refused": "faults",
    "RowErrors": "faults",
    "Transient": "faults",
    "Unreachable": "faults",
    "Unsupported": "faults",
    "Upserted": "answers",
    "VectorStore": "front",
    "connect": "connecting",
    "connect_async": "asynchronous",
    "copy": "copying",
    "export_parquet": "exporting",
    "field": "filters",
    "import_parquet": "exporting",
    "parse_where": "where",
}

__all__ = [
    "AsyncVectorStore",
    "Block",
    "Capabilities",
    "Copied",
    "Denied",
    "EngineInfo",
    "Filter",
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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dizuo.vectors' has no attribute {name!r}{did_you_mean(name, _HOMES)}")
    module = importlib.import_module(f"dizuo.vectors.{_HOMES[name]}")
    value = getattr(module, "parse" if name == "parse_where" else name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
