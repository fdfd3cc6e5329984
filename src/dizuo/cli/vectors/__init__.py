"""`dizuo vectors …` works with stores of vectors from the shell; one file per command."""

from __future__ import annotations

import click

from dizuo.cli import Verbs

__all__ = ["COMMANDS", "command"]

COMMANDS: dict[str, tuple[str, str]] = {
    "sync": ("sync", "Bring a folder of documents into a knowledge base; only changes are embedded."),
    "change-embedder": ("changing", "Embed a knowledge base anew with another model, and take it if it finds as much."),
    "info": ("info", "Show what a store is: engine, index, counts, what it can do."),
    "search": ("search", "Search a knowledge base, or vectors by words, by a vector, or for the like of a record."),
    "copy": ("copy", "Copy a store or a knowledge base into another database, and verify it."),
    "export": ("export", "Write a store or a knowledge base as Parquet files with a manifest."),
    "import": ("importing", "Read an export, or anybody's Parquet files with vectors."),
    "bench": ("bench", "Measure databases side by side on one's own data."),
    "optimize": ("optimize", "Compact a store and build its index where the size asks for one."),
    "delete": ("delete", "Delete records by id or filter, a namespace, or a collection."),
}


@click.group(name="vectors", cls=Verbs, table=COMMANDS, package="dizuo.cli.vectors")
def command() -> None:
    """Work with vectors in any database.

    A URL names the database: lancedb://FOLDER (or just FOLDER), postgresql://…, redis://…, and so on; its query takes
    the store's options, as in lancedb://FOLDER?hot=lang,year.
    """
