"""`dizuo vectors copy`: one store into another, of any engine; or a whole knowledge base."""

from __future__ import annotations

import click

from dizuo.cli.flags import JSON, flags
from dizuo.cli.vectors.opening import COLLECTION, DEFAULT, WHERE, open_store_or_base, opened, options_of

__all__ = ["command"]


@click.command(name="copy")
@click.argument("source", metavar="SOURCE")
@click.argument("target", metavar="TARGET")
@click.option("--to-collection", metavar="NAME", help="Its name in the target; the source's name unless given.")
@click.option("--lexical", metavar="FOLDER", help="Where the target's index of words goes, if its engine has none.")
@flags(WHERE, COLLECTION, JSON)
def command(
    source: str, target: str, to_collection: str | None, lexical: str | None, where: str | None,
    collection: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Copy all namespaces of SOURCE into TARGET, which is made where it is not there; or a whole knowledge base.

    Every record is verified by its digest, and sample searches by their answers. A copy that was stopped goes on when
    it is called again.
    """
    from dizuo.cli.render import emit, line, number, watching
    from dizuo.vectors import copy
    from dizuo.vectors.connecting.connect import find_store
    from dizuo.vectors.knowledge.holding import Held
    from dizuo.vectors.knowledge.moving import copy_base

    find_store(target)
    with open_store_or_base(source, collection=collection, whole=True) as left, watching(as_json=as_json) as watch:
        if isinstance(left, Held):
            if where is not None:
                raise click.UsageError("a knowledge base is copied whole: leave --where out")
            moved = copy_base(left, target, name=to_collection, watch=watch, **options_of(lexical))
            if as_json:
                emit(moved)
            else:
                line(
                    f"the knowledge base {moved.name!r} is in {target}: {number(moved.documents)} documents, "
                    f"{number(moved.chunks)} chunks, of {moved.embedder}"
                )
            return
        name = to_collection or collection or DEFAULT
        with opened(target, collection=name, lexical=lexical, dim=left.dim, metric=left.metric) as right:
            done = copy(left, right, where=where, watch=watch)
    if as_json:
        emit(done)
    else:
        extra = f"; {number(done.extra)} further records were there before" if done.extra else ""
        line(f"{number(done.rows)} records are in {target}, each the same as in {source}{extra}")
