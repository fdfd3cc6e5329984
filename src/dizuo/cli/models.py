"""`dizuo models ls|rm`: the models that were fetched onto this machine."""

from __future__ import annotations

import click

from dizuo.cli.flags import JSON, YES, flags

__all__ = ["command"]


@click.group(name="models")
def command() -> None:
    """List and remove the models that were fetched; `dizuo select` lists what can be had."""


@command.command(name="ls")
@flags(JSON)
def ls(as_json: bool) -> None:
    """List the models in the cache, what was converted of them included, the largest first."""
    from dizuo.cli.render import emit, line, size, table
    from dizuo.models.keeping import kept

    models = kept()
    if as_json:
        emit(models)
    elif not models:
        line("no model was fetched yet; dizuo select lists those that can be")
    else:
        rows = [[model.address, size(model.bytes), model.last_used, str(model.folder)] for model in models]
        table(["model", "size", "last used", "folder"], rows, right=(1,))


@command.command(name="rm")
@click.argument("addresses", metavar="ADDRESS…", nargs=-1, required=True)
@flags(YES, JSON)
def rm(addresses: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Remove fetched models; what needs one fetches it again."""
    from dizuo.cli.removing import remove
    from dizuo.models.keeping import find_kept

    models = [find_kept(address) for address in addresses]
    remove([(model.address, model.bytes, model.remove) for model in models], yes=yes, as_json=as_json)
