"""`dizuo evaluate`: steps one to four, and the report."""

from __future__ import annotations

import click

from dizuo.cli.flags import DATA, FORCE, JSON, MODEL, QUARANTINE, ROWS, SET, flags, read_recipe

__all__ = ["command"]


@click.command(name="evaluate")
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
) -> None:
    """Evaluate a trained model beside the untuned one and cheap baselines, on the same test items.

    Takes a RECIPE, or --model and --data; the steps before come first where they have not been done.
    """
    from dizuo.cli.results import show_report
    from dizuo.cli.steps import go

    read = read_recipe(recipe, model=model, data=data, overrides=overrides, rows=rows, quarantine=quarantine)
    outcome = go(read, until="evaluate", force=("evaluate",) if force else (), as_json=as_json)
    show_report(outcome, as_json=as_json)
