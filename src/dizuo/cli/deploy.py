"""`dizuo deploy` takes a trained model through the gate into the registry."""

from __future__ import annotations

import click

from dizuo.cli.flags import DATA, FORCE, JSON, MODEL, QUARANTINE, ROWS, SET, RecipeFlags, recipe_flags

__all__ = ["command"]


@click.command(name="deploy")
@click.argument("recipe", metavar="[RECIPE]", required=False)
@recipe_flags(MODEL, DATA, ROWS, QUARANTINE, SET, FORCE, JSON)
def command(given: RecipeFlags) -> int:
    """Deploy a trained model: its report passes the recipe's gate, its bundle gets a version and an alias.

    Takes a RECIPE, or --model and --data; the steps before come first where they have not been done.
    """
    from dizuo.cli.results import show_release
    from dizuo.cli.running import run_steps, show_gate

    outcome = run_steps(given.read(), until="deploy", force=given.forced("deploy"), as_json=given.as_json)
    show_release(outcome, as_json=given.as_json)
    return show_gate(outcome)
