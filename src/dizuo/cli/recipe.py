"""`dizuo recipe schema` and `dizuo recipe check`."""

from __future__ import annotations

import click

from dizuo.cli.flags import JSON, SET, RecipeFlags, recipe_flags

__all__ = ["command"]


@click.group(name="recipe")
def command() -> None:
    """Describe and check recipe files."""


@command.command(name="schema")
def schema() -> None:
    """Print the JSON Schema of recipes, which editors use to complete and check them."""
    import json

    from dizuo.steps.settings import schema as schema_of

    click.echo(json.dumps(schema_of(), indent=2, ensure_ascii=False))


@command.command(name="check")
@click.argument("recipe", metavar="RECIPE")
@recipe_flags(SET, JSON)
def check(given: RecipeFlags) -> None:
    """Check RECIPE without starting anything; every wrong field is reported with its line."""
    from dizuo.cli.render import emit, line
    from dizuo.steps.settings import bind

    settings = bind(given.read(), needs=())
    if given.as_json:
        emit({"recipe": given.recipe, "name": settings.name, "ok": True})
    else:
        line(f"{given.recipe} is right: {settings.name}")
