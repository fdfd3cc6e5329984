"""`dizuo run RECIPE`: the five steps in order, and what came of them."""

from __future__ import annotations

import click

from dizuo.cli.flags import DATA, FORCE, JSON, MODEL, QUARANTINE, ROWS, SET, flags, read_recipe

__all__ = ["command"]


@click.command(name="run")
@click.argument("recipe", metavar="RECIPE")
@flags(MODEL, DATA, ROWS, QUARANTINE, SET, FORCE, JSON)
def command(
    recipe: str,
    model: str | None,
    data: tuple[str, ...],
    rows: str | None,
    quarantine: str | None,
    overrides: tuple[str, ...],
    force: bool,
    as_json: bool,
) -> int:
    """Run RECIPE's five steps; a step whose inputs did not change is not run again.

    Everything goes to runs/NAME. A run that was killed goes on where it was when it is started again.
    """
    from dizuo.cli.results import show_outcome
    from dizuo.cli.steps import go, show_gate
    from dizuo.recipe import SECTIONS

    read = read_recipe(recipe, model=model, data=data, overrides=overrides, rows=rows, quarantine=quarantine)
    outcome = go(read, until="deploy", force=SECTIONS if force else (), as_json=as_json)
    show_outcome(outcome, as_json=as_json)
    return show_gate(outcome)
