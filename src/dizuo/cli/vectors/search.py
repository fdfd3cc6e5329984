"""`dizuo vectors search`: by words, by a vector, by a text through an embedder, or for the like of a record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from dizuo.cli.flags import JSON, flags
from dizuo.cli.vectors.opening import COLLECTION, LEXICAL, NAMESPACE, WHERE, opened, shortened

if TYPE_CHECKING:
    from dizuo.vectors import Hits, VectorStore

__all__ = ["command"]


@click.command(name="search")
@click.argument("url", metavar="URL")
@click.argument("text", metavar="[TEXT]", default="")
@click.option("--embedder", metavar="ADDRESS", help="Model that makes the text a vector; then words and vector count.")
@click.option("--dense", is_flag=True, help="With --embedder: the vector only, no words.")
@click.option("--vector", metavar="JSON", help="A vector, as in '[0.1, -0.2]'.")
@click.option("--like", metavar="ID", help="The vector of this record.")
@click.option("-k", "k", type=click.IntRange(1), default=10, show_default=True, help="Answers wanted.")
@click.option("--exact", is_flag=True, help="Compare every matching vector, whatever index there is.")
@flags(WHERE, COLLECTION, NAMESPACE, LEXICAL, JSON)
def command(
    url: str, text: str, embedder: str | None, dense: bool, vector: str | None, like: str | None, k: int, exact: bool,
    where: str | None, collection: str, namespace: str, lexical: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Search by the words of TEXT (BM25), and by its vector too where an --embedder is given."""
    from dizuo.cli.render import emit, line, table, watching

    given = [name for name, value in (("TEXT", text), ("--vector", vector), ("--like", like)) if value]
    if len(given) != 1:
        raise click.UsageError(
            f"give one of TEXT, --vector and --like{', not ' + ' and '.join(given) if given else ''}"
        )
    with opened(url, collection=collection, namespace=namespace, lexical=lexical, create=False) as store:
        if text and embedder:
            from dizuo.vectors.embedders import open_embedder

            with watching(as_json=as_json) as watch:
                query = open_embedder(embedder, watch=watch).embed([text], kind="query")[0]
            if dense:
                hits = store.search(query, k, where=where, exact=exact)
            else:
                hits = store.hybrid(text, query, k, where=where, exact=exact)
        elif text:
            hits = store.words(text, k, where=where)
        else:
            hits = store.search(_vector(store, vector, like), k, where=where, exact=exact)
    if as_json:
        emit({"path": hits.path, "hits": [_facts(hit) for hit in hits]})
    elif not hits:
        line("nothing matches")
    else:
        table(["score", "id", "document", "metadata"], _rows(hits), right=(0,))


def _vector(store: VectorStore, vector: str | None, like: str | None) -> Any:
    from dizuo.errors import VectorError

    if like is not None:
        point = store.get(like)
        if point is None:
            raise VectorError(f"there is no record {like!r} in this namespace")
        return point.vector
    try:
        return json.loads(vector or "")
    except ValueError as error:
        raise click.UsageError(f"--vector is no JSON list of numbers: {error}") from None


def _rows(hits: Hits) -> list[list[str]]:
    return [
        [f"{hit.score:.4f}", shortened(hit.id, 40), shortened(hit.document or "", 70), shortened(hit.metadata, 60)]
        for hit in hits
    ]


def _facts(hit: Any) -> dict[str, Any]:
    parts = {name: {"score": part.score, "rank": part.rank} for name, part in hit.parts.items()}
    return {
        "id": hit.id, "score": hit.score, "metadata": hit.metadata, "document": hit.document,
        **({"parts": parts} if parts else {}),
    }  # fmt: skip
