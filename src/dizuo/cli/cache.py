"""`dizuo cache ls|rm`: everything that was fetched or derived and may be deleted at any time."""

from __future__ import annotations

import click

from dizuo.cli.flags import JSON, YES, flags
from dizuo.languages import say

__all__ = ["command"]


@click.group(name="cache")
def command() -> None:
    """Show where files live and how large they are, and empty the cache."""


@command.command(name="ls")
@flags(JSON)
def ls(as_json: bool) -> None:
    """List every place that dizuo keeps files in, with its size."""
    from dizuo.artifacts import size_of
    from dizuo.artifacts.home import places
    from dizuo.cli.flags import runs_root
    from dizuo.cli.render import emit, size, table

    found = [*places(), ("runs", "what you made here", runs_root().absolute())]
    held = [(part, size_of(folder), what, str(folder)) for part, what, folder in found]
    if as_json:
        emit([{"part": part, "bytes": count, "what": what, "folder": folder} for part, count, what, folder in held])
    else:
        rows = [[part, size(count), say(what), folder] for part, count, what, folder in held]
        table(["part", "size", "what", "folder"], rows, right=(1,))


@command.command(name="rm")
@click.argument("parts", metavar="PART…|all", nargs=-1, required=True)
@flags(YES, JSON)
def rm(parts: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Empty parts of the cache, or all of it; what is needed is fetched or made again."""
    from functools import partial

    from dizuo.artifacts import remove_folder, size_of
    from dizuo.artifacts.home import cache_parts
    from dizuo.cli.removing import remove
    from dizuo.errors import DizuoError, did_you_mean

    known = cache_parts()
    for part in parts:
        if part != "all" and part not in known:
            hint = f"parts of the cache: {', '.join(known)}" if known else "the cache is empty"
            raise DizuoError(f"the cache has no part {part!r}{did_you_mean(part, known)}", hint=hint)
    wanted = known if "all" in parts else {part: known[part] for part in parts}
    items = [(part, size_of(folder), partial(remove_folder, folder)) for part, folder in wanted.items()]
    remove(items, yes=yes, as_json=as_json)
