"""`dizuo vectors optimize`: compaction and the index."""

from __future__ import annotations

import click

from dizuo.cli.vectors.opening import COLLECTION, LEXICAL, open_store_or_base

__all__ = ["command"]


@click.command(name="optimize")
@click.argument("url", metavar="URL")
@click.option("--force-index", is_flag=True, help="Build the vector index whatever the size.")
@COLLECTION
@LEXICAL
def command(url: str, force_index: bool, collection: str | None, lexical: str | None) -> None:
    """Compact a store or a knowledge base, and build its index where the size asks for one."""
    from dizuo.cli.render import line, number, watching
    from dizuo.vectors.knowledge.holding import Held

    with open_store_or_base(url, collection=collection, lexical=lexical) as opened, watching() as watch:
        store = opened
        if isinstance(opened, Held):
            opened.about.optimize(watch=watch)
            store = opened.chunks
        assert not isinstance(store, Held)
        store.optimize(force_index=force_index, watch=watch)
        engine = store.info().engine
    if engine.index == "none":
        line("compacted; no index: all vectors are compared")
    else:
        line(f"compacted; {engine.index} over {number(engine.indexed_rows)} rows")
