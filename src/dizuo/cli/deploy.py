"""`dizuo deploy`: through the gate into the registry."""

from __future__ import annotations

import click

from dizuo.cli.flags import DATA, FORCE, JSON, MODEL, QUARANTINE, ROWS, SET, flags, read_recipe

__all__ = ["command"]


@click.command(name="deploy")
@click.argument("recipe", metavar="[RECIPE]", required=False)
@flags(MODEL, DATA, ROWS, QUARANTINE, SET, FORCE, JSON)
def command(
    recipe: str | None,
    model: str | None,
    data: tuple[str, ...],
    rows: str | None,
    quarantine: str | None,
    overrides: tuple[str, ...],
    force: bool,
    as_json: bool,
) -> int:
    """Deploy a trained model: its report passes the recipe's gate, its bundle gets a version and an alias.

    Takes a RECIPE, or --model and --data; the steps before come first where they have not been done.
    """
    from dizuo.cli.results import show_release
    from dizuo.cli.steps import go, show_gate

    read = read_recipe(recipe, model=model, data=data, overrides=overrides, rows=rows, quarantine=quarantine)
    outcome = go(read, until="deploy", force=("deploy",) if force else (), as_json=as_json)
    show_release(outcome, as_json=as_json)
    return show_gate(outcome)
