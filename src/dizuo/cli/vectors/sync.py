"""`dizuo vectors sync`: a folder of documents into a knowledge base, again and again."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dizuo.cli.flags import JSON, flags
from dizuo.cli.vectors.opening import KNOWLEDGE, LEXICAL, options_of
from dizuo.languages import say

if TYPE_CHECKING:
    from dizuo.vectors.knowledge.knowledge_base import KnowledgeBase, Synced

__all__ = ["command"]


def is_at_a_terminal() -> bool:
    """Say whether there is somebody to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def put_in_order(url: str, folder: str) -> tuple[str, str]:
    """Return the store's address and the documents' folder, the other way round where they cannot be meant as given.

    That is so where the second is an address with a scheme and the first is not, where only the second holds a store,
    or where the first holds something that is no store and the second nothing.
    """
    first, second = _look(url), _look(folder)
    swapped = (
        ("documents", "address"),
        ("documents", "store"),
        ("documents", "absent"),
        ("documents", "empty"),
        ("absent", "address"),
    )
    return (folder, url) if (first, second) in swapped else (url, folder)


def _look(place: str) -> str:
    """Return what a place is: an `address` with a scheme, a folder with a `store` in it, `documents`, or `absent`."""
    from dizuo.vectors.connecting.connect import SQLITE_FILE

    if "://" in place:
        return "address"
    path = Path(place)
    if not path.exists():
        return "absent"
    if path.is_file():
        return "documents"
    names = [entry.name for entry in path.iterdir()] if os.access(path, os.R_OK) else []
    if any(name.endswith(".lance") or name in (SQLITE_FILE, "dizuo-lexical") for name in names):
        return "store"
    return "documents" if names else "empty"


@click.command(name="sync")
@click.argument("url", metavar="URL")
@click.argument("folder", metavar="FOLDER")
@click.option("--embedder", metavar="ADDRESS", help="Its model; chosen by the documents' script where it is new.")
@click.option(
    "--name", "--collection", metavar="NAME", default=KNOWLEDGE, show_default=True,
    help="Which knowledge base in the store.",
)  # fmt: skip
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
    url: str, folder: str, embedder: str | None, name: str, patterns: tuple[str, ...], size: int | None,
    overlap: int | None, keep: bool, remove_all: bool, encoding: str | None, strict: bool, skip_unreadable: bool,
    lexical: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Bring the documents below FOLDER (text, Markdown, HTML, PDF, DOCX) into a knowledge base in the store at URL.

    FOLDER may stand first where only one of the two can be the store.

    Only new and changed files are embedded, and documents whose files are gone are removed; if that is all of them, as
    with an empty folder, it asks, or stops where nobody can be asked. A file that cannot be read keeps what is known
    of it, and is listed at the end; then the exit status is 1. A sync that was stopped is made good by the next.
    """
    from dizuo.cli.render import emit, line, number, watching
    from dizuo.events import Note
    from dizuo.vectors.connecting.connect import find_store
    from dizuo.vectors.embedders import open_embedder
    from dizuo.vectors.knowledge.arguments import check_folder
    from dizuo.vectors.knowledge.choosing import choose_embedder, read_sample
    from dizuo.vectors.knowledge.holding import find_base
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

    # Everything is looked at before a model is fetched: the two places, and which embedder the knowledge base has.
    if (url, folder) != (placed := put_in_order(url, folder)):
        url, folder = placed
        click.echo(f"read as: documents in {folder}, store at {url}", err=True)
    find_store(url)
    check_folder(folder, "raise" if strict else "keep", encoding)
    sample = read_sample(folder, patterns=patterns or ("**/*",), encoding=encoding)
    with watching(as_json=as_json) as watch:
        options: dict[str, Any] = {"watch": watch, **options_of(lexical)}
        if embedder is None:
            held = find_base(url, name, **options)
            if held is None:
                choice = choose_embedder(sample)
                embedder = choice.address
                watch(Note(f"embedder {embedder}: {choice.reason} (--embedder takes another)"))
            else:
                held.close()
                embedder = held.head.embedder
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
