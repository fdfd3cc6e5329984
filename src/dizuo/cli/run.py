"""`dizuo run RECIPE` runs the five steps in order and prints what came of them."""

from __future__ import annotations

import click

from dizuo.cli.flags import DATA, FORCE, JSON, MODEL, QUARANTINE, ROWS, SET, RecipeFlags, recipe_flags

__all__ = ["command"]


@click.command(name="run")
@click.argument("recipe", metavar="RECIPE")
@recipe_flags(MODEL, DATA, ROWS, QUARANTINE, SET, FORCE, JSON)
def command(given: RecipeFlags) -> int:
    """Run RECIPE's five steps; a step whose inputs did not change is not run again.

    Everything goes to runs/NAME. A run that was killed goes on where it was when it is started again.
    """
    from dizuo.cli.results import show_outcome
    from dizuo.cli.running import run_steps, show_gate
    from dizuo.recipe import SECTIONS

    outcome = run_steps(given.read(), until="deploy", force=given.forced(*SECTIONS), as_json=given.as_json)
    show_outcome(outcome, as_json=given.as_json)
    return show_gate(outcome)
