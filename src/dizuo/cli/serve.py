"""`dizuo serve NAME` serves a deployed model over HTTP."""

from __future__ import annotations

import click

from dizuo.cli.flags import JSON, SET, flags

__all__ = ["command"]


@click.command(name="serve")
@click.argument("name", metavar="NAME")
@click.option("--host", metavar="HOST", help="Address to bind; 127.0.0.1 unless keys are set.")
@click.option("--port", metavar="PORT", type=int, help="TCP port; 8000 unless set, 0 takes a free one.")
@flags(SET, JSON)
def command(name: str, host: str | None, port: int | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Serve NAME (or NAME@VERSION, NAME:ALIAS) with an OpenAI-compatible API until it is stopped.

    Everything else is set with --set, as in --set keys_file=keys.txt.
    """
    from dizuo import serving
    from dizuo.cli.flags import options_from
    from dizuo.cli.render import watching
    from dizuo.serving.options import ServeOptions

    given = {key: value for key, value in (("host", host), ("port", port)) if value is not None}
    options = options_from(ServeOptions, given, overrides)
    with watching(as_json=as_json) as watch:
        serving.serve(name, options=options, watch=watch)
