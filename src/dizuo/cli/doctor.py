"""`dizuo doctor RECIPE` looks for every known mistake of training on your own model and data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dizuo.cli.flags import DATA, JSON, MODEL, ROWS, SET, RecipeFlags, flags, recipe_flags, runs_root

if TYPE_CHECKING:
    from dizuo.training.doctor import Diagnosis, Result

__all__ = ["command"]

STYLES = {"green": "green", "red": "bold red", "skipped": "dim"}


@click.command(name="doctor")
@click.argument("recipe", metavar="RECIPE")
@recipe_flags(MODEL, DATA, ROWS, SET)
@click.option("--all-rows", is_flag=True, help="Look at every training row, not at 2,000.")
@flags(JSON)
def command(given: RecipeFlags, all_rows: bool) -> int:
    """Check RECIPE for the mistakes that training makes silently.

    Runs a few short rows through the model in about a minute and looks at many as tokens. Green is well; for each red
    there is what it means, which rows it is about, and what to do. Exit status 1 when anything is red.
    """
    from dizuo.cli.render import emit, watching
    from dizuo.steps.doctor import diagnose
    from dizuo.training.doctor.examining import ROWS as SOME

    recipe = given.read()
    with watching(as_json=given.as_json) as watch:
        diagnosis = diagnose(recipe, folder=runs_root(), rows=None if all_rows else SOME, watch=watch)
    if given.as_json:
        emit(_json(diagnosis))
    else:
        _show(diagnosis)
    return 0 if diagnosis.healthy else 1


def _json(diagnosis: Diagnosis) -> dict[str, Any]:
    return {
        "healthy": diagnosis.healthy,
        "rows": diagnosis.num_rows,
        "train_rows": diagnosis.num_train,
        "seconds": diagnosis.seconds,
        "checks": list(diagnosis.results),
    }


def _show(diagnosis: Diagnosis) -> None:
    from dizuo.cli.render import duration, line, table

    rows = [[result.finding.state, result.title, result.finding.measured] for result in diagnosis.results]
    table(["", "check", "measured"], rows, styles=STYLES)
    for result in diagnosis.red:
        _explain(result)
    line()
    looked = (
        f"{diagnosis.num_rows:,} of {diagnosis.num_train:,} training rows looked at, in {duration(diagnosis.seconds)}"
    )
    if diagnosis.healthy:
        line(f"nothing found: {looked}", style="bold green")
    else:
        line(f"{len(diagnosis.red)} of {len(diagnosis.results)} checks are red: {looked}", style="bold red")


def _explain(result: Result) -> None:
    from dizuo.cli.render import heading, line, pairs

    finding = result.finding
    heading(f"red: {result.title}")
    line(finding.meaning)
    rows = [("found", finding.measured)]
    rows += [("" if number else "where", row) for number, row in enumerate(finding.lines)]
    pairs([*rows, ("hint", finding.hint)])
