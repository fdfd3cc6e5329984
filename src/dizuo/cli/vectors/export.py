"""`dizuo vectors export`: a store as Parquet files."""

from __future__ import annotations

import click

from dizuo.cli.flags import JSON, flags
from dizuo.cli.vectors.opening import COLLECTION, WHERE, opened

__all__ = ["command"]


@click.command(name="export")
@click.argument("url", metavar="URL")
@click.argument("folder", metavar="FOLDER")
@flags(WHERE, COLLECTION, JSON)
def command(url: str, folder: str, where: str | None, collection: str, as_json: bool) -> None:
    """Write all namespaces of a store into FOLDER: Parquet files and a manifest with their digests.

    An export that was stopped goes on when it is called again.
    """
    from dizuo.cli.render import emit, line, number, watching
    from dizuo.vectors import export_parquet

    with opened(url, collection=collection, create=False) as store, watching(as_json=as_json) as watch:
        done = export_parquet(store, folder, where=where, watch=watch)
    if as_json:
        emit(done)
    else:
        line(f"{number(done.rows)} records in {number(done.files)} files in {folder}")
