"""Vectors: what every store that runs without a server answers to the same calls.

The points have texts in English and Chinese and metadata of every kind; the filters are a table that is asked of every
store both as text and, where it is short, as `field(…)`.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import importlib.util
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["DIM", "FILTERS", "asked_of", "hits_of", "things"]

DIM, ROWS = 16, 120
ENGINES = {
    "memory": "memory://",
    "lancedb": "lancedb://stores/lancedb",
    "lancedb, hot": "lancedb://stores/hot?hot=lang,year,price",
    "chroma": "chroma://stores/chroma",
    "milvus": "milvus://stores/milvus.db",
}
CLIENTS = {"lancedb": "lancedb", "lancedb, hot": "lancedb", "chroma": "chromadb", "milvus": "milvus_lite"}
FILTERS = (
    'lang == "zh"', 'lang != "zh"', "year >= 2020", "year < 2015", "year > 2012 and year <= 2018", "price < 3.5",
    "price == 2", "price >= 1e1", "open == true", "open != true", "note == null", "note != null", "exists note",
    "not exists note", 'tags contains "new"', "tags contains 3", 'not tags contains "new"', 'lang in ["en", "zh"]',
    'lang not in ["en"]', "year in [2011, 2013, 2017]", "year in []", 'title startswith "The"', 'title startswith "中"',
    'not (lang == "zh" or year < 2015)', 'lang == "zh" and (year >= 2020 or tags contains "new")',
    'not (not (open == true and not (price < 5 or exists note)))', '`a.b` == 1', '`odd "key"` == "it\'s"',
    "true", "false", 'lang < "f"', 'lang == "en" and not year in [2010, 2011] and (open == true or price > 4)',
    "mixed > 1", 'mixed == "1"', "mixed == true", 'exists `a.b` or (lang == "zh" and exists mixed)',
)  # fmt: skip
WORDS = ("the cells of the immune system", "数据 方法", "中国历史", "protein", "nothingatall")


def things(given: argparse.Namespace) -> Iterator[tuple[str, Callable[[], Any]]]:
    shutil.rmtree("stores", ignore_errors=True)
    Path("stores").mkdir()
    for engine, url in ENGINES.items():
        if engine in CLIENTS and importlib.util.find_spec(CLIENTS[engine]) is None:
            continue
        yield from ((f"{engine}: {name}", function) for name, function in calls(engine, url))
    yield "memory: awaited", lambda: asyncio.run(awaited())
    for metric in ("dot", "l2"):
        for engine in ("memory", "lancedb"):
            yield f"{engine}: {metric}", lambda e=engine, m=metric: other_metric(ENGINES[e], m)


def calls(engine: str, url: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the calls on one store, in an order in which later ones see what earlier ones changed."""
    import dizuo
    from dizuo.vectors import export_parquet, import_parquet

    store = dizuo.connect(url, dim=DIM)
    other = store.namespace("second")
    queries = vectors(4, seed=99)
    yield "upsert", lambda: [store.upsert(points(ROWS)), other.upsert(points(20, seed=8)), store.upsert(points(9)[3:])]
    yield "info", lambda: info(store)
    yield "dense", lambda: [hits_of(store.search(query, 7, exact=exact)) for query in queries for exact in (0, 1)]
    yield "dense, many", lambda: [hits_of(hits) for hits in store.search_many(queries, 5, vectors=True)]
    yield "words", lambda: [hits_of(store.words(text, 6)) for text in WORDS]
    yield "hybrid", lambda: [hits_of(store.hybrid(text, queries[0], 6)) for text in WORDS]
    yield (
        "hybrid, filtered",
        lambda: [
            hits_of(store.hybrid(WORDS[n % 4], queries[n % 4], 4, where=where, depth=20))
            for n, where in enumerate(FILTERS[::5])
        ],
    )
    for where in FILTERS:
        yield f"filter {where}", lambda where=where: asked_of(store, where)
    yield "filters, built", lambda: [attempt(lambda w=where: [str(w), store.count(w)]) for where in built()]
    yield "scan", lambda: scanned(store)
    yield "scan, everywhere", lambda: [[block.ids, block.namespaces] for block in store.scan(everywhere=True, rows=50)]
    yield "fetch", lambda: [record_of(point) for point in store.fetch(["p003", "absent", "p001"])]
    yield "export", lambda: exported(export_parquet(store, f"stores/{engine}-export"), Path(f"stores/{engine}-export"))
    yield "import", lambda: imported(import_parquet, f"stores/{engine}-export")
    yield (
        "update_metadata",
        lambda: [
            store.update_metadata({"p001": {"year": 1999, "new": "值"}, "p002": {}, "absent": {"a": 1}}),
            store.update_metadata({"p003": {"only": [1, 2.5, None]}}, replace=True),
            [record_of(point) for point in store.fetch(["p001", "p002", "p003"])],
        ],
    )
    yield (
        "delete",
        lambda: [
            store.delete(["p005", "p006", "absent"]),
            store.delete(where='lang == "zh" and year < 2013'),
            other.clear(),
            store.namespaces(),
            scanned(store),
        ],
    )
    yield "refused", lambda: [attempt(call) for call in refused(store)]
    yield "closed", store.close


def points(count: int, seed: int = 7) -> list[Any]:
    """Return points with texts in two languages and metadata of every kind, some keys missing here and there."""
    from dizuo.vectors import Point

    texts = [path.read_text("utf-8") for path in sorted(Path("texts").rglob("*")) if path.is_file()]
    draw, out = random.Random(seed), []
    for number, vector in enumerate(vectors(count, seed)):
        text = draw.choice(texts)
        start = draw.randrange(max(1, len(text) - 200))
        zh = any("\u4e00" <= character <= "\u9fff" for character in text)
        title = draw.choice(("The ", "A ", "")) + text[start : start + 12]
        whole = {
            "lang": "zh" if zh else draw.choice(("en", "fr")), "year": draw.randrange(2010, 2024),
            "price": draw.choice((2, 2.0, 3.25, 4.5, 12.5)), "open": draw.random() < 0.5,
            "tags": draw.choice((["new"], ["old", 3], [], ["new", "old"])), "title": title, "note": None, "a.b": 1,
            'odd "key"': "it's", "mixed": draw.choice((1, "1", True, 2, 1.5)), "inner": {"深": [number, {"x": None}]},
        }  # fmt: skip
        metadata = {key: value for key, value in whole.items() if draw.random() < 0.8}
        document = text[start : start + 200] if draw.random() < 0.9 else None
        out.append(Point(f"p{number:03}", vector, metadata, document))
    return out


def vectors(count: int, seed: int) -> list[list[float]]:
    draw = random.Random(1000 + seed)
    return [[draw.gauss(0, 1) for _ in range(DIM)] for _ in range(count)]


def built() -> list[Any]:
    from dizuo.vectors import field, parse_where

    lang, year = field("lang"), field("year")
    return [
        lang == "zh", ~(lang == "zh"), (year >= 2015) & (lang != "en"), (year < 2012) | field("tags").contains("old"),
        lang.in_(["en", "fr"]), lang.not_in(["en"]), field("note").exists(), field("title").startswith("A"),
        ~((year > 2011) & (lang.exists() | (field("open") == True))), field("note") == None, parse_where(FILTERS[24]),  # noqa: E711, E712
    ]  # fmt: skip


def refused(store: Any) -> list[Callable[[], Any]]:
    from dizuo.vectors import Point

    right = [1.0] * DIM
    return [
        lambda: store.upsert(Point("x", [1.0, 2.0])),
        lambda: store.upsert([Point("x", [float("nan")] * DIM), Point("", right), Point("y", [0.0] * DIM)]),
        lambda: store.upsert([Point("z", right, {"a": 2**70}), Point("zz", right)], errors="collect"),
        lambda: store.search([1.0], 3),
        lambda: store.search(right, -1),
        lambda: store.search(right, where="year >"),
        lambda: store.search(right, where="lang = zh"),
        lambda: store.delete(),
        lambda: store.update_metadata({"p001": {"a": float("inf")}}),
        lambda: store.namespace("a/../b\0"),
    ]


def other_metric(url: str, metric: str) -> Any:
    import dizuo

    with dizuo.connect(url, dim=DIM, metric=metric, collection=f"with-{metric}") as store:
        store.upsert(points(40))
        return [hits_of(store.search(query, 5, where='lang != "zh"')) for query in vectors(3, 99)]


def asked_of(store: Any, where: str) -> Any:
    return attempt(lambda: [store.count(where), hits_of(store.search(vectors(1, 99)[0], 5, where=where))])


async def awaited() -> Any:
    from dizuo.vectors import connect_async

    store = await connect_async("memory://", dim=DIM)
    wrote = await store.upsert(points(30))
    return [wrote, hits_of(await store.search(vectors(1, 99)[0], 5, where=FILTERS[0])), await store.count()]


def attempt(call: Callable[[], Any]) -> Any:
    """Return a call's answer, or the error that a user would see."""
    import dizuo

    try:
        return call()
    except dizuo.DizuoError as error:
        return {"raised": f"{type(error).__name__}: {error}"}


def hits_of(hits: Any) -> dict[str, Any]:
    return {
        "path": hits.path,
        "hits": [
            {
                "id": hit.id, "score": hit.score, "metadata": hit.metadata, "document": digest(hit.document),
                "vector": None if hit.vector is None else hit.vector.tobytes().hex(),
                "parts": {name: [part.score, part.rank] for name, part in hit.parts.items()},
            }
            for hit in hits
        ],
    }  # fmt: skip


def info(store: Any) -> Any:
    """Return all that a store says of itself but its bytes on the disk, which differ from run to run."""
    found = store.info()
    names = ("url", "collection", "namespace", "dim", "metric", "count", "namespaces", "capabilities")
    engine = {name: getattr(found.engine, name) for name in ("engine", "version", "index", "indexed_rows", "where")}
    details = {key: value for key, value in found.engine.details.items() if key != "bytes"}
    return {**{name: getattr(found, name) for name in names}, "engine": engine, "details": details}


def scanned(store: Any) -> list[Any]:
    return [record_of(point) for point in store.points()]


def record_of(point: Any) -> list[Any]:
    import numpy as np

    return [point.id, digest(np.asarray(point.vector, np.float32).tobytes()), point.metadata, digest(point.document)]


def exported(done: Any, folder: Path) -> Any:
    """Return what an export says, and the rows of its files."""
    import pyarrow.parquet as pq

    rows = [row for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    others = [path.name for path in sorted(folder.iterdir())]
    return [done, others, digest(repr(rows)), len(rows)]


def imported(import_parquet: Callable[..., Any], folder: str) -> Any:
    import dizuo
    from dizuo.vectors import copy

    with dizuo.connect("memory://", dim=DIM) as held, dizuo.connect("memory://", dim=DIM) as copied:
        return [import_parquet(held, folder), held.namespaces(), copy(held, copied), scanned(copied)]


def digest(value: str | bytes | None) -> str | None:
    if value is None:
        return None
    return hashlib.sha256(value.encode() if isinstance(value, str) else value).hexdigest()[:24]
