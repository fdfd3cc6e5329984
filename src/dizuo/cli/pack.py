"""`dizuo pack RECIPE` writes one archive with all that a recipe needs, for a machine without any network."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dizuo.cli.flags import DATA, JSON, MODEL, ROWS, SET, YES, RecipeFlags, flags, recipe_flags, runs_root

__all__ = ["command"]


@click.command(name="pack")
@click.argument("recipe", metavar="RECIPE")
@recipe_flags(MODEL, DATA, ROWS, SET, JSON)
@click.option("--out", metavar="FILE", help="The archive to write; NAME.pack.zip.")
@click.option("--no-wheels", is_flag=True, help="Leave the packages out: dizuo is installed there already.")
@flags(YES)
def command(given: RecipeFlags, out: str | None, no_wheels: bool, yes: bool) -> int:
    """Write one archive of RECIPE: weights, data, the wheels of this environment, and its plan.

    Whoever gets it runs `python ARCHIVE` and the two scripts that it names; no network is used, and every file is
    verified. The wheels are for this Python and this kind of machine.
    """
    from dizuo.cli.render import emit, line, pairs, size, watching
    from dizuo.packing import collect, write

    with watching(as_json=given.as_json) as watch:
        pack = collect(given.read(), folder=runs_root(), wheels=not no_wheels, watch=watch)
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("nobody can be asked here; say --yes", click.get_current_context())
        for piece in pack.pieces:
            click.echo(f"{piece.role:8}  {size(piece.bytes):>8}  {piece.address}", err=True)
        if pack.lock:
            count = len(pack.lock.requirements)
            click.echo(f"{'wheels':8}  {size(pack.lock.bytes):>8}  {count} packages, as installed; fetched", err=True)
        click.confirm("write the archive?", abort=True, err=True)
    path = Path(out or f"{pack.name}.pack.zip")
    with watching(as_json=given.as_json) as watch:
        written = write(pack, path, watch=watch)
    if given.as_json:
        emit(written)
        return 0
    rows = [(name, size(count)) for name, count in written.parts.items()]
    pairs([*rows, ("archive", f"{written.path}, {size(written.bytes)}"), ("SHA-256", written.sha256)])
    line()
    line(f"there: python {path.name} && sh {path.name.partition('.')[0]}/install.sh, or with dizuo: dizuo unpack")
    return 0
