"""`dizuo unpack FILE` opens an archive of `dizuo pack`, every file verified."""

from __future__ import annotations

import click

from dizuo.cli.flags import JSON, flags

__all__ = ["command"]


@click.command(name="unpack")
@click.argument("file", metavar="FILE")
@click.argument("folder", metavar="[FOLDER]", required=False)
@click.option("--sha256", metavar="DIGEST", help="Refuse any other archive than the one with this SHA-256.")
@flags(JSON)
def command(file: str, folder: str | None, sha256: str | None, as_json: bool) -> None:
    """Unpack FILE, an archive of `dizuo pack`, to a new FOLDER, and verify every file."""
    from dizuo.cli.render import emit, line
    from dizuo.packing import unpack

    place = unpack(file, folder, sha256=sha256)
    if as_json:
        emit({"folder": place})
        return
    line(f"unpacked to {place}; every file has the SHA-256 that it had when packed")
    line(f"dizuo run {place}/recipe.yaml, or without dizuo: sh {place}/install.sh && sh {place}/run.sh")
