"""`dizuo registry ls|promote|rollback|rm`: the releases of this machine and what their names mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dizuo.cli.flags import JSON, YES, flags

if TYPE_CHECKING:
    from dizuo.serving.registry import Registry, Release

__all__ = ["command"]

ALIAS = click.option("--alias", metavar="ALIAS", default="default", help="The alias; `default` is a bare name.")


@click.group(name="registry")
def command() -> None:
    """List, promote, roll back and remove releases."""


@command.command(name="ls")
@click.argument("name", metavar="[NAME]", required=False)
@flags(JSON)
def ls(name: str | None, as_json: bool) -> None:
    """List the releases of this machine, or those of NAME, with the aliases that point to them."""
    from dizuo.cli.render import emit, line, size, table
    from dizuo.serving.registry import Registry

    registry = Registry()
    if name is not None:
        registry.resolve(name)  # says what there is where nothing has that name
    releases = [_json(release) for release in registry.ls(name)]
    if as_json:
        emit(releases)
    elif not releases:
        line(f"nothing is registered in {registry.root}")
    else:
        rows = [[r["release"], ", ".join(r["aliases"]), size(r["bytes"]), r["created"]] for r in releases]
        table(["release", "aliases", "size", "registered"], rows, right=(2,))


@command.command(name="promote")
@click.argument("release", metavar="NAME@VERSION")
@flags(ALIAS, JSON)
def promote(release: str, alias: str, as_json: bool) -> None:
    """Point an alias at a release; without --alias it is what the bare name means from now on."""
    from dizuo.serving.registry import Registry

    _show(Registry().promote(release, alias), alias, as_json)


@command.command(name="rollback")
@click.argument("name", metavar="NAME")
@flags(ALIAS, JSON)
def rollback(name: str, alias: str, as_json: bool) -> None:
    """Point an alias back at the release that it meant before."""
    from dizuo.serving.registry import Registry

    _show(Registry().rollback(name, alias), alias, as_json)


@command.command(name="rm")
@click.argument("releases", metavar="NAME@VERSION…", nargs=-1, required=True)
@flags(YES, JSON)
def rm(releases: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Remove releases; one that an alias points to only when it is the last of its name."""
    from functools import partial

    from dizuo.artifacts import size_of
    from dizuo.cli.removing import remove
    from dizuo.serving.registry import Registry

    registry = Registry()
    items = []
    for name in releases:
        release = registry.resolve(name)
        items.append((str(release), size_of(release.folder), partial(_remove, registry, str(release))))
    remove(items, yes=yes, as_json=as_json)


def _remove(registry: Registry, name: str) -> int:
    return registry.remove(name)[1]


def _show(release: Release, alias: str, as_json: bool) -> None:
    from dizuo.cli.render import emit, line

    if as_json:
        emit(_json(release))
    else:
        line(f"{release.name}{'' if alias == 'default' else f':{alias}'} is {release} now")


def _json(release: Release) -> dict[str, Any]:
    from dizuo.artifacts import size_of

    return {
        "release": str(release),
        "name": release.name,
        "version": release.version,
        "aliases": list(release.aliases),
        "created": release.created,
        "bytes": size_of(release.folder),
        "folder": str(release.folder),
    }
