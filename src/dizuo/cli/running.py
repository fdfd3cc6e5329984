"""Verbs that run a recipe's steps do so here, with their progress drawn, and tell what became of every step."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dizuo.languages import say

if TYPE_CHECKING:
    from dizuo.recipe import Recipe
    from dizuo.steps.pipeline import Outcome

__all__ = ["command_path", "kept_of", "run_steps", "show_gate", "steps_json"]


def run_steps(recipe: Recipe, *, until: str, force: Collection[str], as_json: bool) -> Outcome:
    """Run a recipe up to a step, drawing its progress."""
    from dizuo.cli.flags import runs_root
    from dizuo.cli.render import watching
    from dizuo.steps import pipeline

    try:
        with watching(as_json=as_json) as watch:
            return pipeline.run(recipe, until=until, force=force, folder=runs_root(), watch=watch)
    except KeyboardInterrupt:
        click.echo(say(f"\nstopped. {kept_of(runs_root() / recipe.name)}"), err=True)
        raise click.exceptions.Exit(130) from None


def kept_of(folder: Path) -> str:
    """Return in words what of a run that was stopped is kept."""
    steps = [path.parent.name.partition("-")[2] for path in sorted(folder.glob("[1-5]-*/manifest.json"))]
    done = [f"done and kept: {', '.join(steps)}"] if steps else []
    saved = [int(path.name.partition("-")[2]) for path in folder.glob("3-train.partial/checkpoints/step-*")]
    if saved:
        done.append(f"training is saved up to step {max(saved):,}")
    return f"{'; '.join(done) or 'Nothing was done yet'}. The same command goes on from there."


def steps_json(outcome: Outcome) -> dict[str, Any]:
    """Return what became of every step, as JSON values."""
    return {
        "name": outcome.name,
        "folder": str(outcome.folder),
        "steps": [
            {"step": step.name, "folder": str(step.folder), "ran": step.ran, "why": step.why, "seconds": step.seconds}
            for step in outcome.steps
        ],
        "deployed": outcome.release is not None,
        "gate": list(outcome.closed),
    }


def show_gate(outcome: Outcome) -> int:
    """Print why nothing was deployed, if nothing was, and return the exit status."""
    if not outcome.closed:
        return 0
    report = outcome.steps[-1].folder / "report.html"
    click.echo(say("error: the gate is closed, nothing was deployed"), err=True)
    for reason in outcome.closed:
        click.echo(say(f"  {reason}"), err=True)
    hint = f"read {report}; what is required stands under evaluate.require in the recipe"
    click.echo(say(f"\nhint: {hint}"), err=True)
    return 1


def command_path() -> str:
    """Return how this program is called from here, as in `.venv/bin/dizuo`."""
    program = Path(sys.argv[0])
    if program.name != "dizuo" or not program.exists():
        return "dizuo"
    try:
        return str(program.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(program) if "/" in sys.argv[0] else "dizuo"
