"""`dizuo vectors info`: what a store is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dizuo.cli.flags import JSON, flags
from dizuo.cli.vectors.opening import COLLECTION, LEXICAL, NAMESPACE, open_store_or_base

if TYPE_CHECKING:
    from dizuo.vectors import Info
    from dizuo.vectors.knowledge.holding import Held

__all__ = ["command"]


@click.command(name="info")
@click.argument("url", metavar="URL")
@flags(COLLECTION, NAMESPACE, LEXICAL, JSON)
def command(url: str, collection: str | None, namespace: str, lexical: str | None, as_json: bool) -> None:
    """Show engine and version, dimension, metric, counts, index, and what the engine can do.

    Of a knowledge base also its embedder, the size of its chunks, and the number of its documents.
    """
    from dizuo.cli.render import emit, heading, number, pairs, table
    from dizuo.vectors.knowledge.holding import Held

    base: dict[str, Any] = {}
    with open_store_or_base(url, collection=collection, namespace=namespace, lexical=lexical) as store:
        if isinstance(store, Held):
            base = _facts_of(store)
            store = store.chunks
        info = store.info()
    if as_json:
        emit({**facts(info), **({"knowledge_base": base} if base else {})})
        return
    if base:
        pairs([(name.replace("_", " "), f"{value:,}" if isinstance(value, int) else value)
               for name, value in base.items()])  # fmt: skip
        heading("its chunks")
    engine = info.engine
    index = (
        f"{engine.index}, {number(engine.indexed_rows)} rows" if engine.index != "none" else "none: all are compared"
    )
    rows = [
        ("engine", f"{engine.engine} {engine.version}"), ("where", engine.where or info.url),
        ("collection", info.collection), ("vectors", f"{info.dim} numbers, {info.metric}"),
        ("records", number(info.count)), ("index", index),
    ]  # fmt: skip
    pairs(
        rows + [(key, number(value) if isinstance(value, int) else str(value)) for key, value in engine.details.items()]
    )
    if len(info.namespaces) > 1 or (info.namespaces and "" not in info.namespaces):
        heading("namespaces")
        table(
            ["namespace", "records"], [[name or "(none)", number(n)] for name, n in info.namespaces.items()], right=(1,)
        )
    heading("capabilities")
    pairs([(name, _said(value, info.capabilities.notes.get(name))) for name, value in capabilities(info).items()])


def _facts_of(base: Held) -> dict[str, Any]:
    head = base.head
    return {
        "knowledge_base": base.name, "documents": len(base.documents()), "embedder": head.embedder,
        "chunk_size": head.size, "overlap": head.overlap, "generation": head.generation,
    }  # fmt: skip


def capabilities(info: Info) -> dict[str, Any]:
    """Return what the engine can do as plain values, in the order that people ask."""
    able = info.capabilities
    return {
        "index": able.index,
        "lexical": able.lexical,
        "words": able.words,
        "words_cover": able.words_cover,
        "persistent": able.persistent,
        "several_writers": able.several_writers,
        "durable": able.durable,
        "atomic_batches": able.atomic_batches,
        "metrics": list(able.metrics),
        "max_dim": able.max_dim,
        "operators": sorted(able.operators),
    }


def facts(info: Info) -> dict[str, Any]:
    """Return an info as plain values."""
    return {
        "url": info.url, "collection": info.collection, "namespace": info.namespace, "dim": info.dim,
        "metric": info.metric, "count": info.count, "namespaces": dict(info.namespaces),
        "engine": {
            "name": info.engine.engine, "version": info.engine.version, "index": info.engine.index,
            "indexed_rows": info.engine.indexed_rows, "where": info.engine.where, "details": dict(info.engine.details),
        },
        "capabilities": {**capabilities(info), "notes": dict(info.capabilities.notes)},
    }  # fmt: skip


def _said(value: Any, note: str | None) -> str:
    text = {True: "yes", False: "no", None: "any"}.get(value, value) if not isinstance(value, list) else " ".join(value)
    return f"{text} ({note})" if note else str(text)
