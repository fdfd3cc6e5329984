"""`dizuo vectors import`: an export of a collection or a knowledge base, or anybody's Parquet files with vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from dizuo.cli.flags import JSON, flags
from dizuo.cli.vectors.opening import COLLECTION, LEXICAL, NAMESPACE, opened, options_of

if TYPE_CHECKING:
    from dizuo.vectors.moving.dumps import Layout

__all__ = ["command"]

COLUMNS = ("vector", "id", "document", "metadata")


@click.command(name="import")
@click.argument("url", metavar="URL")
@click.argument("paths", metavar="PATH…", nargs=-1, required=True)
@click.option(
    "--metric", type=click.Choice(["cosine", "dot", "l2"]), help="Of a new collection, where no export says it."
)
@click.option("--columns", metavar="ROLE=NAME,…", help="As in vector=emb,id=_id,document=text; found unless given.")
@click.option("--skip-bad", is_flag=True, help="Leave out rows that are no records, and name them.")
@flags(COLLECTION, NAMESPACE, LEXICAL, JSON)
def command(
    url: str, paths: tuple[str, ...], metric: str | None, columns: str | None, skip_bad: bool,
    collection: str | None,
    namespace: str, lexical: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Read the folder of an export, or Parquet files of anybody's, into a store, which is made where it is not there.

    An export of a knowledge base becomes one again.

    Every record is verified by its digest. An import that was stopped goes on when it is called again. Of rows with the
    same id the last one counts. A row with NaN, without an id or with a vector of another length stops the import,
    unless --skip-bad is given.
    """
    from dizuo.cli.render import emit, line, number, watching
    from dizuo.vectors import import_parquet
    from dizuo.vectors.knowledge.moving import import_base, read_exported
    from dizuo.vectors.moving.importing import read_shape

    layout = _layout(columns)
    if len(paths) == 1 and layout is None and read_exported(paths[0]) is not None:
        with watching(as_json=as_json) as watch:
            moved = import_base(paths[0], url, name=collection, watch=watch, **options_of(lexical))
        if as_json:
            emit(moved)
        else:
            line(
                f"the knowledge base {moved.name!r} is in {url}: {number(moved.documents)} documents, "
                f"{number(moved.chunks)} chunks, of {moved.embedder}"
            )
        return
    dim, own = read_shape(paths, layout=layout)
    store = opened(url, collection=collection, namespace=namespace, lexical=lexical, dim=dim, metric=metric or own)
    with store, watching(as_json=as_json) as watch:
        source: Path | list[Path] = Path(paths[0]) if len(paths) == 1 else [Path(path) for path in paths]
        errors: Literal["raise", "collect"] = "collect" if skip_bad else "raise"
        done = import_parquet(store, source, layout=layout, errors=errors, watch=watch)
    if as_json:
        emit(done)
    else:
        less = ""
        if done.repeated or done.left_out:
            less = (
                f"; {number(done.rows)} rows were read, {number(done.repeated)} with an id that comes again later, "
                f"{number(done.left_out)} left out"
            )
        are = "record is" if done.records == 1 else "records are"
        line(f"{number(done.records)} {are} in {store.url}, {number(done.sent)} of them new or changed{less}")


def _layout(columns: str | None) -> Layout | None:
    if columns is None:
        return None
    from dizuo.vectors.moving.dumps import Layout

    given = dict(part.partition("=")[::2] for part in columns.split(","))
    wrong = [role for role in given if role not in COLUMNS]
    if wrong or "vector" not in given or not all(given.values()):
        raise click.UsageError(f"--columns {columns}: write vector=NAME, and where wanted id, document, metadata")
    return Layout(**given)
