"""`dizuo evaluate` runs steps one to four and prints the report."""

from __future__ import annotations

import click

from dizuo.cli.flags import DATA, FORCE, JSON, MODEL, QUARANTINE, ROWS, SET, RecipeFlags, recipe_flags

__all__ = ["command"]


@click.command(name="evaluate")
@click.argument("recipe", metavar="[RECIPE]", required=False)
@recipe_flags(MODEL, DATA, ROWS, QUARANTINE, SET, FORCE, JSON)
def command(given: RecipeFlags) -> None:
    """Evaluate a trained model beside the untuned one and cheap baselines, on the same test items.

    Takes a RECIPE, or --model and --data; the steps before come first where they have not been done.
    """
    from dizuo.cli.results import show_report
    from dizuo.cli.running import run_steps

    outcome = run_steps(given.read(), until="evaluate", force=given.forced("evaluate"), as_json=given.as_json)
    show_report(outcome, as_json=given.as_json)
