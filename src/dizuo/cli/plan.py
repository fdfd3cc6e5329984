"""`dizuo plan RECIPE`: what would happen and why."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from dizuo.cli.flags import DATA, JSON, MODEL, ROWS, SET, RecipeFlags, flags, recipe_flags, runs_root
from dizuo.languages import say

if TYPE_CHECKING:
    from dizuo.steps.planning import RecipePlan
    from dizuo.training import Plan

__all__ = ["command"]

LONGEST = 600
"""Characters that are shown of a piece of a sequence."""


@click.command(name="plan")
@click.argument("recipe", metavar="RECIPE")
@recipe_flags(MODEL, DATA, ROWS, SET)
@click.option("--no-measure", is_flag=True, help="Do not run a block of training for memory and time.")
@click.option(
    "--until",
    type=click.Choice(["train", "deploy"]),
    default="deploy",
    help="Data that cannot be evaluated is refused unless it is only trained on.",
)
@flags(JSON)
def command(given: RecipeFlags, no_measure: bool, until: str) -> None:
    """Show what RECIPE would do and why; nothing is trained.

    The model and the data are fetched and read. Every value is shown with where it came from: the recipe, the command
    line, a default, the model, the data, an estimate, or a measurement.
    """
    from dizuo.cli.render import emit, watching
    from dizuo.steps.planning import plan

    recipe = given.read()
    with watching(as_json=given.as_json) as watch:
        planned = plan(recipe, until=until, folder=runs_root(), measure=not no_measure, watch=watch)
    if given.as_json:
        emit(_json(planned))
    else:
        _show(planned)


def _json(planned: RecipePlan) -> dict[str, Any]:
    return {
        "name": planned.name,
        "seed": planned.seed,
        "model": planned.model.to_json(),
        "rows": dict(planned.rows),
        "steps": list(planned.steps),
        "training": planned.training.to_json(),
        "examples": [[asdict(piece) for piece in sequence] for sequence in planned.examples],
    }


def _show(planned: RecipePlan) -> None:
    from dizuo.cli.render import heading, marked, pairs, table

    model, training = planned.model, planned.training
    licence = model.licence or say("licence not stated")
    pairs(
        [
            (say("recipe"), say(f"{planned.name}, seed {planned.seed}")),
            (
                say("model"),
                say(f"{model.source}, {model.parameters / 1e6:,.0f} M parameters, {licence}"),
            ),
            (say("rows"), ", ".join(f"{say(name)} {count:,}" for name, count in planned.rows.items())),
        ]
    )
    for step in planned.steps:
        heading(f"{step.name}: {'done, would be skipped' if step.why is None else f'would run ({step.why})'}")
        told = [item for item in step.settings if item.origin != "default" or item.why]
        if told:
            table(
                ["setting", "value", "from", "why"], [[s.name, _text(s.value), say(s.origin), say(s.why)] for s in told]
            )
    heading("training")
    pairs([(say(name), say(cost)) for name, cost in _costs(training)])
    for note in training.notes:
        pairs([(say("note"), say(note))])
    if planned.examples:
        heading("what is trained of the first rows")
        for sequence in planned.examples:
            marked([(_excerpt(piece.text), piece.weight > 0) for piece in sequence])


def _excerpt(text: str) -> str:
    """Return a piece of a sequence with its middle left out where it is long."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"


def _costs(training: Plan) -> list[tuple[str, str]]:
    """Return what training will take: tokens, memory, disk and time."""
    from dizuo.cli.render import duration

    counts, estimates, memory = training.counts, training.estimates, training.estimates.memory
    summed, packed = counts.tokens_per_step, counts.packed_tokens_per_step
    parts = ", ".join(f"{name} {_gigabytes(size)}" for name, size in memory.parts().items() if size >= 5e6)
    costs = [
        ("tokens", f"{counts.tokens_per_epoch:,} per epoch, {counts.train.trained_tokens:,} of them trained"),
        ("per step", f"{summed:,} tokens, {packed:,} after sharing prefixes ({summed / packed:.1f}×)"),
        ("memory", f"{_gigabytes(memory.total)} estimated for a block of {memory.tokens:,} tokens: {parts}"),
    ]
    measured = estimates.measured
    if measured is not None and measured.peak is not None:
        did = "forward, backward, update, evaluation and checkpoint of the worst block, in a process of its own"
        costs.append(("", f"{_gigabytes(measured.peak)} measured: {did}"))
    if measured is not None:
        told = (f"{name.replace('_', ' ')} {_text(value)}" for name, value in asdict(measured.worst_block).items())
        costs.append(("worst block", ", ".join(told)))
    costs.append(("disk", _gigabytes(estimates.disk)))
    if measured is not None:
        costs.append(("time", f"{duration(measured.seconds)} ({measured.seconds_per_step:.2g} s per step)"))
    return costs


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"
