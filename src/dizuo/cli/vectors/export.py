"""`dizuo vectors export`: a store, or a whole knowledge base, as Parquet files."""

from __future__ import annotations

import click

from dizuo.cli.flags import JSON, flags
from dizuo.cli.vectors.opening import COLLECTION, WHERE, open_store_or_base

__all__ = ["command"]


@click.command(name="export")
@click.argument("url", metavar="URL")
@click.argument("folder", metavar="FOLDER")
@flags(WHERE, COLLECTION, JSON)
def command(url: str, folder: str, where: str | None, collection: str | None, as_json: bool) -> None:
    """Write all namespaces of a store into FOLDER: Parquet files and a manifest with their digests.

    Of a knowledge base all that belongs to it is written. An export that was stopped goes on when it is called again.
    """
    from dizuo.cli.render import emit, line, number, watching
    from dizuo.vectors import export_parquet
    from dizuo.vectors.knowledge.holding import Held
    from dizuo.vectors.knowledge.moving import export_base

    with open_store_or_base(url, collection=collection, whole=True) as store, watching(as_json=as_json) as watch:
        if isinstance(store, Held):
            if where is not None:
                raise click.UsageError("a knowledge base is exported whole: leave --where out")
            moved = export_base(store, folder, watch=watch)
            if as_json:
                emit(moved)
            else:
                line(
                    f"the knowledge base {moved.name!r} is in {folder}: {number(moved.documents)} documents, "
                    f"{number(moved.chunks)} chunks, of {moved.embedder}"
                )
            return
        done = export_parquet(store, folder, where=where, watch=watch)
    if as_json:
        emit(done)
    else:
        line(f"{number(done.rows)} records in {number(done.files)} files in {folder}")
