"""The self-test checks a recipe's model, data and training options before an hour is spent on them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from dizuo import data as datasets
from dizuo import packages
from dizuo import recipe as recipes
from dizuo.errors import DizuoError
from dizuo.events import Note, Watcher
from dizuo.progress import show
from dizuo.recipe import Recipe
from dizuo.steps.pipeline import folder_of
from dizuo.steps.prepare import addresses, prepare_step, prepare_work
from dizuo.steps.select import select
from dizuo.steps.settings import bind
from dizuo.training.doctor import Diagnosis
from dizuo.training.doctor.examining import ROWS
from dizuo.training.planning.plan import Plan

__all__ = ["addresses_of", "diagnose"]


@packages.needs("the self-test of a recipe")
def diagnose(
    recipe: Recipe | str | Path,
    *,
    folder: str | Path = "runs",
    rows: int | None = ROWS,
    watch: Watcher = show,
) -> Diagnosis:
    """Return what every check finds on a recipe; nothing is written under the runs' folder.

    Args:
        recipe: a recipe or the path of one.
        folder: where runs are kept: data that is prepared there already is used, and so is the layout of a plan.
        rows: training rows to look at; None is all.
        watch: told what is fetched, and each check.

    Raises:
        RecipeError: with every wrong field.
        DataError: rows that cannot be read.
        PlanError: there are no training rows.
    """
    from dizuo import models
    from dizuo.training.doctor import examine

    if not isinstance(recipe, Recipe):
        recipe = recipes.read(recipe, strict=False)
    settings = bind(recipe)
    root = Path(folder) / settings.name
    spec = select(settings.select.model, watch=watch)
    work = prepare_work(folder_of(root, "prepare"), options=settings.prepare, watch=watch)
    with tempfile.TemporaryDirectory(prefix="dizuo-doctor-") as scratch:
        if work.why() is None:
            data = datasets.open(work.folder)
        else:
            data, _ = prepare_step(Path(scratch) / "data", options=settings.prepare, watch=watch)
        return examine(
            models.load(spec),
            data,
            options=settings.train,
            method_options=settings.method,
            plan=_plan_of(root, spec.digest, watch),
            rows=rows,
            watch=watch,
        )


def addresses_of(recipe: Recipe) -> list[str]:
    """Return every address that a recipe names: its model, its data, and its encoder where it has one.

    Raises:
        RecipeError: with every wrong field.
    """
    settings = bind(recipe, needs=())
    named = [settings.select.model, *(address for _, address in addresses(settings.prepare))]
    if settings.evaluate.embedder not in ("auto", "none"):
        named.append(settings.evaluate.embedder)
    return [address for address in named if address]


def _plan_of(root: Path, model_digest: str, watch: Watcher) -> Plan | None:
    """Return the plan of a run that has begun with this model, or None: its choices are what is being trained."""
    for folder in (folder_of(root, "train"), folder_of(root, "train").with_name("3-train.partial")):
        try:
            plan = Plan.read(folder)
        except DizuoError:
            continue
        if plan is not None and plan.inputs["model"] == model_digest:
            watch(Note(f"following the layout of {folder / 'plan.json'}"))
            return plan
    return None
