"""`dizuo vectors delete`: records, a namespace, a collection; documents of a knowledge base, or all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dizuo.cli.flags import JSON, flags
from dizuo.cli.vectors.opening import COLLECTION, DEFAULT, LEXICAL, NAMESPACE, WHERE, open_store_or_base

if TYPE_CHECKING:
    from dizuo.vectors.knowledge.holding import Held

__all__ = ["command"]


@click.command(name="delete")
@click.argument("url", metavar="URL")
@click.argument("ids", metavar="[ID]…", nargs=-1)
@click.option("--everything", is_flag=True, help="All records of the namespace.")
@click.option("--drop", is_flag=True, help="The whole collection, with all its namespaces, or knowledge base.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@flags(WHERE, COLLECTION, NAMESPACE, LEXICAL, JSON)
def command(
    url: str, ids: tuple[str, ...], everything: bool, drop: bool, yes: bool, where: str | None,
    collection: str | None, namespace: str, lexical: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Delete records by ID or filter, all records of a namespace, or a whole collection; the latter two ask first.

    In a knowledge base an ID is a document's source, as citations have it.
    """
    from dizuo.cli.render import emit, line, number
    from dizuo.vectors.knowledge.holding import Held

    given = [bool(ids), where is not None, everything, drop]
    if sum(given) != 1:
        raise click.UsageError("give IDs, --where, --everything or --drop")
    with open_store_or_base(url, collection=collection, namespace=namespace, lexical=lexical) as store:
        if isinstance(store, Held):
            _delete_from_base(store, ids, where=where, yes=yes, as_json=as_json)
            return
        if drop or everything:
            count = sum(store.namespaces().values()) if drop else store.count()
            what = f"the collection {collection or DEFAULT!r}" if drop else f"all of namespace {namespace!r}"
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


def _delete_from_base(base: Held, ids: tuple[str, ...], *, where: str | None, yes: bool, as_json: bool) -> None:
    from dizuo.cli.render import emit, line, number

    if where is not None:
        raise click.UsageError("of a knowledge base whole documents are deleted: name their sources")
    if ids:
        removed = base.remove_documents(list(dict.fromkeys(ids)))
    else:
        removed = len(base.documents())
        if not yes:
            click.confirm(f"Delete the knowledge base {base.name!r}, {removed:,} documents?", abort=True, err=True)
        base.drop()
    if as_json:
        emit({"deleted": removed})
    else:
        line(f"{number(removed)} documents deleted")
