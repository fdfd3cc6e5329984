"""`dizuo vectors search`: a knowledge base by a question; vectors by words, by a vector, or by a record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from dizuo.cli.flags import JSON, flags
from dizuo.cli.vectors.opening import COLLECTION, LEXICAL, NAMESPACE, WHERE, open_store_or_base, shortened

if TYPE_CHECKING:
    from dizuo.vectors import Hits, VectorStore
    from dizuo.vectors.embedders import Embedder
    from dizuo.vectors.knowledge.holding import Held
    from dizuo.vectors.knowledge.passages import Passage

__all__ = ["command"]


@click.command(name="search")
@click.argument("url", metavar="URL")
@click.argument("text", metavar="[TEXT]", default="")
@click.option(
    "--embedder", metavar="ADDRESS",
    help="Model that makes the text a vector; then words and vector count. A knowledge base has its own.",
)  # fmt: skip
@click.option("--dense", is_flag=True, help="The vector only, no words.")
@click.option("--words", "words_only", is_flag=True, help="The words only; a knowledge base then needs no model.")
@click.option("--vector", metavar="JSON", help="A vector, as in '[0.1, -0.2]'.")
@click.option("--like", metavar="ID", help="The vector of this record.")
@click.option("-k", "k", type=click.IntRange(1), default=10, show_default=True, help="Answers wanted.")
@click.option("--exact", is_flag=True, help="Compare every matching vector, whatever index there is.")
@flags(WHERE, COLLECTION, NAMESPACE, LEXICAL, JSON)
def command(
    url: str, text: str, embedder: str | None, dense: bool, words_only: bool, vector: str | None, like: str | None,
    k: int, exact: bool, where: str | None, collection: str | None, namespace: str, lexical: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Search a knowledge base by words and meaning of TEXT, and show where the answers stand; or any vectors.

    Other collections are searched by the words of TEXT (BM25), and by its vector too where an --embedder is given.
    """
    from dizuo.cli.render import emit, line, table
    from dizuo.vectors.knowledge.holding import Held

    given = [name for name, value in (("TEXT", text), ("--vector", vector), ("--like", like)) if value]
    if len(given) != 1:
        raise click.UsageError(
            f"give one of TEXT, --vector and --like{', not ' + ' and '.join(given) if given else ''}"
        )
    if words_only and (dense or embedder or not text):
        raise click.UsageError("--words searches by the words of TEXT only: leave the other flags out")
    with open_store_or_base(url, collection=collection, namespace=namespace, lexical=lexical) as store:
        if isinstance(store, Held):
            passages = _search_base(store, text, embedder, vector, like, k, where=where, exact=exact, as_json=as_json,
                                    mode="words" if words_only else "dense" if dense else "hybrid")  # fmt: skip
            _show_passages(store, passages, as_json=as_json)
            return
        if dense and text and not embedder:
            raise click.UsageError("--dense needs an --embedder, which makes a vector of TEXT")
        if text and embedder:
            query = _open(embedder, [text], as_json=as_json).embed([text], kind="query")[0]
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


def _open(address: str | Held, texts: Sequence[str], *, as_json: bool) -> Embedder:
    """Return an embedder, and warn where it does not know the words that it is asked for."""
    from dizuo.cli.render import watching
    from dizuo.vectors.embedders import open_embedder
    from dizuo.vectors.knowledge.unknown_tokens import warn_of_unknown

    with watching(as_json=as_json) as watch:
        if isinstance(address, str):
            model = open_embedder(address, watch=watch)
        else:
            model = address.open_embedder(watch=watch)
        warn_of_unknown(model, texts, watch, what="the question")
    return model


def _search_base(
    base: Held, text: str, embedder: str | None, vector: str | None, like: str | None, k: int, *, where: str | None,
    exact: bool, mode: Any, as_json: bool,
) -> list[Passage]:  # fmt: skip
    """Return the passages of the living generation, and check that the embedder is the one it was made with."""
    from dizuo.vectors.knowledge.passages import make_passage

    if not text:
        hits: Any = base.chunks.search(_vector(base.chunks, vector, like), k, where=where, exact=exact)
    elif mode == "words":
        hits = base.chunks.words(text, k, where=where)
    else:
        with base.open(_open(embedder or base, [text], as_json=as_json)) as kb:
            return kb.search(text, k, mode=mode, where=where, exact=exact)
    return [make_passage(hit, hit.score) for hit in hits]


def _show_passages(base: Held, passages: Sequence[Passage], *, as_json: bool) -> None:
    from dizuo.cli.render import emit, line, table

    if as_json:
        emit({
            "knowledge_base": base.name, "embedder": base.head.embedder,
            "hits": [
                {
                    "id": passage.id, "score": passage.score, "citation": passage.citation, "source": passage.source,
                    "title": passage.title, "page": passage.page, "headings": list(passage.headings),
                    "start": passage.start, "end": passage.end, "text": passage.text,
                    "metadata": dict(passage.metadata),
                }
                for passage in passages
            ],
        })  # fmt: skip
    elif not passages:
        line("nothing matches" if base.documents() else f"the knowledge base {base.name!r} has no documents")
    else:
        rows = [[f"{passage.score:.4f}", passage.citation, shortened(passage.text, 100)] for passage in passages]
        table(["score", "where it stands", "text"], rows, right=(0,))


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
