"""`dizuo doctor RECIPE`: every known mistake of training, looked for on your own model and data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dizuo.cli.flags import DATA, JSON, MODEL, ROWS, SET, flags, read_recipe, runs_root

if TYPE_CHECKING:
    from dizuo.training.doctor import Diagnosis, Result

__all__ = ["command"]

STYLES = {"green": "green", "red": "bold red", "skipped": "dim"}


@click.command(name="doctor")
@click.argument("recipe", metavar="RECIPE")
@flags(MODEL, DATA, ROWS, SET)
@click.option("--all-rows", is_flag=True, help="Look at every training row, not at 2,000.")
@flags(JSON)
def command(
    recipe: str,
    model: str | None,
    data: tuple[str, ...],
    rows: str | None,
    overrides: tuple[str, ...],
    all_rows: bool,
    as_json: bool,
) -> int:
    """Check RECIPE for the mistakes that training makes silently.

    Runs a few short rows through the model in about a minute and looks at many as tokens. Green is well; for each red
    there is what it means, which rows it is about, and what to do. Exit status 1 when anything is red.
    """
    from dizuo.cli.render import emit, watching
    from dizuo.steps.doctor import diagnose
    from dizuo.training.doctor.examining import ROWS as SOME

    read = read_recipe(recipe, model=model, data=data, overrides=overrides, rows=rows)
    with watching(as_json=as_json) as watch:
        found = diagnose(read, folder=runs_root(), rows=None if all_rows else SOME, watch=watch)
    if as_json:
        emit(_json(found))
    else:
        _show(found)
    return 0 if found.healthy else 1


def _json(found: Diagnosis) -> dict[str, Any]:
    return {
        "healthy": found.healthy,
        "rows": found.num_rows,
        "train_rows": found.num_train,
        "seconds": found.seconds,
        "checks": list(found.results),
    }


def _show(found: Diagnosis) -> None:
    from dizuo.cli.render import duration, line, table

    rows = [[result.finding.state, result.title, result.finding.measured] for result in found.results]
    table(["", "check", "measured"], rows, styles=STYLES)
    for result in found.red:
        _explain(result)
    line()
    looked = f"{found.num_rows:,} of {found.num_train:,} training rows looked at, in {duration(found.seconds)}"
    if found.healthy:
        line(f"nothing found: {looked}", style="bold green")
    else:
        line(f"{len(found.red)} of {len(found.results)} checks are red: {looked}", style="bold red")


def _explain(result: Result) -> None:
    from dizuo.cli.render import heading, line, pairs

    finding = result.finding
    heading(f"red: {result.title}")
    line(finding.meaning)
    rows = [("found", finding.measured)]
    rows += [("" if number else "where", place) for number, place in enumerate(finding.lines)]
    pairs([*rows, ("hint", finding.hint)])
