"""`dizuo vectors change-embedder`: a knowledge base is embedded anew with another model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dizuo.cli.flags import JSON, flags
from dizuo.cli.vectors.opening import KNOWLEDGE, LEXICAL, options_of

if TYPE_CHECKING:
    from dizuo.vectors.knowledge.retrieval_metrics import Relevant

__all__ = ["command"]


@click.command(name="change-embedder")
@click.argument("url", metavar="URL")
@click.argument("embedder", metavar="EMBEDDER")
@click.option(
    "--name", "--collection", metavar="NAME", default=KNOWLEDGE, show_default=True, help="Which knowledge base."
)
@click.option(
    "--queries", metavar="FILE",
    help='JSON lines with "query" and "relevant", a list of sources: it is taken only if it finds as many of them.',
)  # fmt: skip
@click.option("--tolerance", type=click.FloatRange(0, 1), default=0.0, help="Recall@10 that may be lost; 0.")
@click.option("--keep-old", is_flag=True, help="Leave the chunks of the old embedder, for a way back by hand.")
@flags(LEXICAL, JSON)
def command(
    url: str, embedder: str, name: str, queries: str | None, tolerance: float, keep_old: bool, lexical: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Embed the knowledge base in the store at URL anew with EMBEDDER, from the texts that it holds.

    Until all of it is there the old one answers; then the new one is current in one write. With --queries that is done
    only if it finds as much of what is relevant, and the status is 1 where it does not.
    """
    from dizuo.cli.render import emit, line, watching
    from dizuo.errors import VectorError
    from dizuo.vectors.embedders import open_embedder
    from dizuo.vectors.knowledge.changing_embedder import change_embedder
    from dizuo.vectors.knowledge.holding import find_base
    from dizuo.vectors.knowledge.knowledge_base import KnowledgeBase

    texts, relevant = _read_queries(queries) if queries else (None, None)
    options = options_of(lexical)
    held = find_base(url, name, **options)
    if held is None:
        raise VectorError(f"there is no knowledge base {name!r} in {url}", hint="dizuo vectors sync makes one")
    with held, watching(as_json=as_json) as watch:
        model = open_embedder(embedder, watch=watch)
        if texts:
            old = held.open(watch=watch)
        else:  # nothing is compared, so the old embedder need not even be there any more
            old = KnowledgeBase(url, name, model, held.head, options)
        done = change_embedder(old, model, texts, relevant, tolerance=tolerance, keep_old=keep_old, watch=watch)
        chunks = done.knowledge_base.chunks.count()
        done.knowledge_base.close()
    if as_json:
        emit({"swapped": done.swapped, "reason": done.reason, "embedder": model.name, "chunks": chunks})
    elif done.swapped:
        line(f"{name!r} is embedded with {model.name} now, {chunks:,} chunks; before it was {held.head.embedder}")
    else:
        line(f"{name!r} keeps {held.head.embedder}: {done.reason}")
    if not done.swapped:
        raise click.exceptions.Exit(1)


def _read_queries(path: str) -> tuple[dict[str, str], Relevant]:
    """Return queries and what is relevant to them, by the numbers of the lines.

    Raises:
        DataError: a line is not what it must be; all of them are named.
    """
    from dizuo.errors import DataError

    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}", hint="give a file of JSON lines") from None
    queries: dict[str, str] = {}
    relevant: dict[str, dict[str, int]] = {}
    wrong = []
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
            query, sources = row["query"], row["relevant"]
            if not isinstance(query, str) or not isinstance(sources, list) or not sources:
                raise TypeError
            queries[str(number)], relevant[str(number)] = query, dict.fromkeys(map(str, sources), 1)
        except (ValueError, KeyError, TypeError):
            wrong.append(f"line {number}: no object with a query and a list of relevant sources")
    if wrong or not queries:
        hint = '{"query": "how many days of leave?", "relevant": ["leave.md"]}'
        raise DataError(f"{path} has {len(wrong)} bad lines of {len(lines)}", details=wrong[:10], hint=hint)
    return queries, relevant
