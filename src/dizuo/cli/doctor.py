"""`dizuo doctor RECIPE` looks for every known mistake of training on your own model and data; `--machine` looks at
the machine and what it can reach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dizuo.cli.flags import DATA, JSON, MODEL, ROWS, SET, RecipeFlags, flags, recipe_flags, runs_root

if TYPE_CHECKING:
    from dizuo.machine import Examination
    from dizuo.training.doctor import Diagnosis, Result

__all__ = ["command"]

STYLES = {
    "green": "green",
    "red": "bold red",
    "skipped": "dim",
    "well": "green",
    "look": "yellow",
    "broken": "bold red",
}


@click.command(name="doctor")
@click.argument("recipe", metavar="[RECIPE]", required=False)
@recipe_flags(MODEL, DATA, ROWS, SET)
@click.option("--all-rows", is_flag=True, help="Look at every training row, not at 2,000.")
@click.option("--machine", is_flag=True, help="Look at this machine and what it can reach instead; takes seconds.")
@flags(JSON)
def command(given: RecipeFlags, all_rows: bool, machine: bool) -> int:
    """Check RECIPE for the mistakes that training makes silently.

    Runs a few short rows through the model in about a minute and looks at many as tokens. Green is well; for each red
    there is what it means, which rows it is about, and what to do. Exit status 1 when anything is red.

    With --machine it looks at what companies break: package index, hubs, certificates, proxies, disk, memory,
    processor, torch. What RECIPE names must be reachable; without one, what nothing needs is only pointed out.
    """
    from dizuo.cli.render import emit, watching
    from dizuo.steps.doctor import diagnose
    from dizuo.training.doctor.examining import ROWS as SOME

    if machine:
        return _examine(given)
    if given.recipe is None:
        raise click.UsageError("Missing argument 'RECIPE'.", click.get_current_context())
    recipe = given.read()
    with watching(as_json=given.as_json) as watch:
        diagnosis = diagnose(recipe, folder=runs_root(), rows=None if all_rows else SOME, watch=watch)
    if given.as_json:
        emit(_json(diagnosis))
    else:
        _show(diagnosis)
    return 0 if diagnosis.healthy else 1


def _examine(given: RecipeFlags) -> int:
    from dizuo.cli.render import duration, emit, line, pairs, table
    from dizuo.machine import examine

    named = []
    if given.recipe is not None or given.model or given.data:
        from dizuo.steps.doctor import addresses_of

        named = addresses_of(given.read())
    found = examine(named)
    if given.as_json:
        emit(_machine_json(found))
        return 0 if found.healthy else 1
    table(
        ["", "what", "found"], [[item.finding.state, item.title, item.finding.measured] for item in found.results],
        styles=STYLES,
    )  # fmt: skip
    hints = [(item.title, item.finding.hint) for item in found.results if item.finding.hint]
    if hints:
        line()
        pairs(hints)
    line()
    broken = sum(item.finding.state == "broken" for item in found.results)
    text = f"{broken} of {len(found.results)} are broken" if broken else "nothing is broken"
    line(f"{text}: looked at in {duration(found.seconds)}", style="bold red" if broken else "bold green")
    return 0 if found.healthy else 1


def _machine_json(found: Examination) -> dict[str, Any]:
    return {"healthy": found.healthy, "seconds": found.seconds, "checks": list(found.results)}


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
