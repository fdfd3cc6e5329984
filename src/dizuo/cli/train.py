"""`dizuo train` runs steps one to three, or searches for better settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dizuo.cli.flags import DATA, FORCE, JSON, MODEL, QUARANTINE, RANKS, ROWS, SET, RecipeFlags, recipe_flags

if TYPE_CHECKING:
    from dizuo.recipe import Recipe

__all__ = ["command"]

HELP = "Try N settings of learning rate, rank and epochs on the validation rows instead, and write the best recipe."


@click.command(name="train")
@click.argument("recipe", metavar="[RECIPE]", required=False)
@recipe_flags(MODEL, DATA, ROWS, QUARANTINE, RANKS, SET, FORCE, JSON)
@click.option("--search", "trials", metavar="N", type=click.IntRange(min=1), help=HELP)
def command(given: RecipeFlags, trials: int | None) -> None:
    """Train a model; selecting it and preparing the data come first where they have not been done.

    Takes a RECIPE, or --model and --data.
    """
    from dizuo.cli.render import emit, pairs
    from dizuo.cli.running import run_steps, steps_json

    recipe = given.read()
    if trials is not None:
        _search(recipe, trials, as_json=given.as_json)
        return
    outcome = run_steps(recipe, until="train", force=given.forced("train"), as_json=given.as_json)
    run = outcome.run
    assert run is not None
    finished = run.finished or {}
    if given.as_json:
        emit({**steps_json(outcome), "adapter": run.adapter, "weights": run.weights, "finished": finished})
        return
    pairs(
        [
            ("run", str(run.folder)),
            ("weights", str(run.adapter or run.weights)),
            ("steps", f"{finished.get('step', 0):,}"),
        ]
    )


def _search(recipe: Recipe, trials: int, *, as_json: bool) -> None:
    """Search, and print the table with the best trial in bold."""
    from dizuo.cli.flags import runs_root
    from dizuo.cli.render import duration, emit, heading, line, table, watching
    from dizuo.cli.running import command_path
    from dizuo.steps.search import search

    with watching(as_json=as_json) as watch:
        outcome = search(recipe, trials=trials, folder=runs_root(), watch=watch)
    if as_json:
        emit(outcome)
        return
    rows = [
        [
            str(trial.number),
            f"{trial.learning_rate:.2g}",
            "" if trial.rank is None else str(trial.rank),
            f"{trial.epochs:g}",
            "" if trial.score is None else f"{trial.score:.4f}",
            duration(trial.seconds),
            "best" if trial is outcome.best else trial.state,
        ]
        for trial in outcome.trials
    ]
    headers = ["trial", "learning rate", "rank", "epochs", "validation score", "time", ""]
    table(headers, rows, right=range(6), strong=[outcome.trials.index(outcome.best)])
    heading("the best trial as a recipe")
    line(f"{command_path()} run {outcome.recipe}")
