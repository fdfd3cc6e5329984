"""`dizuo vectors copy`: one store into another, of any engine."""

from __future__ import annotations

import click

from dizuo.cli.flags import JSON, flags
from dizuo.cli.vectors.opening import COLLECTION, WHERE, opened

__all__ = ["command"]


@click.command(name="copy")
@click.argument("source", metavar="SOURCE")
@click.argument("target", metavar="TARGET")
@click.option("--to-collection", metavar="NAME", help="Collection of the target; the source's name unless given.")
@click.option("--lexical", metavar="FOLDER", help="Where the target's index of words goes, if its engine has none.")
@flags(WHERE, COLLECTION, JSON)
def command(
    source: str, target: str, to_collection: str | None, lexical: str | None, where: str | None, collection: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Copy all namespaces of SOURCE into TARGET, which is made where it is not there.

    Every record is verified by its digest, and sample searches by their answers. A copy that was stopped goes on when
    it is called again.
    """
    from dizuo.cli.render import emit, line, number, watching
    from dizuo.vectors import copy

    with opened(source, collection=collection, create=False) as left, watching(as_json=as_json) as watch:
        name = to_collection or collection
        with opened(target, collection=name, lexical=lexical, dim=left.dim, metric=left.metric) as right:
            done = copy(left, right, where=where, watch=watch)
    if as_json:
        emit(done)
    else:
        extra = f"; {number(done.extra)} further records were there before" if done.extra else ""
        line(f"{number(done.rows)} records are in {target}, each the same as in {source}{extra}")
