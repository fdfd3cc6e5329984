"""`dizuo vectors delete`: records, a namespace, or a collection."""

from __future__ import annotations

import click

from dizuo.cli.flags import JSON, flags
from dizuo.cli.vectors.opening import COLLECTION, LEXICAL, NAMESPACE, WHERE, opened

__all__ = ["command"]


@click.command(name="delete")
@click.argument("url", metavar="URL")
@click.argument("ids", metavar="[ID]…", nargs=-1)
@click.option("--everything", is_flag=True, help="All records of the namespace.")
@click.option("--drop", is_flag=True, help="The whole collection, with all its namespaces.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@flags(WHERE, COLLECTION, NAMESPACE, LEXICAL, JSON)
def command(
    url: str, ids: tuple[str, ...], everything: bool, drop: bool, yes: bool, where: str | None, collection: str,
    namespace: str, lexical: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Delete records by ID or filter, all records of a namespace, or a whole collection; the latter two ask first."""
    from dizuo.cli.render import emit, line, number

    given = [bool(ids), where is not None, everything, drop]
    if sum(given) != 1:
        raise click.UsageError("give IDs, --where, --everything or --drop")
    with opened(url, collection=collection, namespace=namespace, lexical=lexical, create=False) as store:
        if drop or everything:
            count = sum(store.namespaces().values()) if drop else store.count()
            what = f"the collection {collection!r}" if drop else f"all of namespace {namespace!r}"
            if not yes:
                click.confirm(f"Delete {what}, {count:,} records?", abort=True, err=True)
        if drop:
            store.drop()
            removed = count
        else:
            removed = store.clear() if everything else store.delete(ids or None, where=where)
    if as_json:
        emit({"deleted": removed})
    else:
        line(f"{number(removed)} records deleted")
