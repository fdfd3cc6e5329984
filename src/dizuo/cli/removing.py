"""Verbs that remove something say what and how large it is, ask, and say what is free again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import click

from dizuo.languages import say

__all__ = ["remove"]


def remove(items: Sequence[tuple[str, int, Callable[[], int]]], *, yes: bool, as_json: bool) -> None:
    """Remove each item after the person at the terminal has agreed.

    Args:
        items: the name, the bytes, and the call that removes it and returns the bytes that are free.
        yes: do not ask; needed where nobody can answer.
        as_json: print what was removed as JSON.

    Raises:
        click.UsageError: nobody can be asked.
        click.Abort: the answer was no.
    """
    from dizuo.cli.render import emit, line, size

    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("nobody can be asked here; say --yes", click.get_current_context())
        for name, held, _ in items:
            click.echo(f"{name}  {size(held)}", err=True)
        click.confirm(say(f"remove {'it' if len(items) == 1 else 'them'}?"), abort=True, err=True)
    freed = [(name, free()) for name, _, free in items]
    if as_json:
        emit([{"removed": name, "bytes": count} for name, count in freed])
        return
    for name, count in freed:
        line(f"removed {name}, {size(count)} are free")
