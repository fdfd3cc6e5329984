"""`dizuo chat NAME` holds one conversation with a deployed model, without a server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from dizuo.cli.flags import JSON, flags
from dizuo.languages import say

if TYPE_CHECKING:
    from dizuo.serving import Conversation

__all__ = ["command"]


@click.command(name="chat")
@click.argument("name", metavar="NAME")
@click.argument("texts", metavar="[TEXT]…", nargs=-1)
@click.option("--system", metavar="TEXT", help="A system message; not for models that were trained for a task.")
@flags(JSON)
def command(name: str, texts: tuple[str, ...], system: str | None, as_json: bool) -> None:
    """Talk to NAME (or NAME@VERSION, NAME:ALIAS): what is given here, else line by line.

    A model that was trained for a task gets every text as it did in evaluation, with the task's instruction; one that
    names classes answers with a label and its probability.
    """
    from dizuo import serving
    from dizuo.cli.render import watching

    with watching(as_json=as_json) as watch:
        service = serving.open_named(name, watch=watch)
    try:
        conversation = serving.Conversation(service, system=system)
        for text in texts or _lines():
            if text.strip():
                _answer(conversation, text, as_json)
    finally:
        service.close()


def _lines() -> Iterator[str]:
    """Yield what is typed, or what is piped in, until it ends."""
    if not sys.stdin.isatty():
        for line in sys.stdin:
            yield line.rstrip("\n")
        return
    click.echo(say("type a text and press Enter; Ctrl-D ends"), err=True)
    while True:
        click.echo("> ", nl=False, err=True)
        line = sys.stdin.readline()
        if not line:
            click.echo(err=True)
            return
        yield line.rstrip("\n")


def _answer(conversation: Conversation, text: str, as_json: bool) -> None:
    from dizuo.cli.render import emit, line, stream

    if conversation.classifies:
        answer = conversation.classify(text)
        if as_json:
            emit({"text": text, "label": answer.label, "probabilities": dict(answer.probabilities)})
        else:
            others = sorted(answer.probabilities.items(), key=lambda item: -item[1])
            line("  ".join(f"{label} {100 * share:.1f} %" for label, share in others[:3]))
    elif as_json:
        emit({"text": text, "answer": "".join(conversation.say(text))})
    else:
        stream(conversation.say(text))
