"""What a recipe would do and why. Models and data are fetched and read, since a plan without them says little; nothing
is trained, and nothing is written under the runs' folder."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dizuo import data as datasets
from dizuo import evaluation, packages, training
from dizuo import recipe as recipes
from dizuo.data import Dataset
from dizuo.events import Note, Watcher
from dizuo.models import ModelSpec
from dizuo.progress import show
from dizuo.recipe import Recipe
from dizuo.steps.deploy import deploy_work, why_deploy
from dizuo.steps.evaluate import check_evaluation, evaluate_work
from dizuo.steps.manifest import Work
from dizuo.steps.pipeline import folder_of
from dizuo.steps.prepare import prepare_step, prepare_work, warn_of_lost
from dizuo.steps.select import select
from dizuo.steps.settings import Settings, bind, to_json
from dizuo.steps.train import train_work
from dizuo.training import Plan, Run
from dizuo.training.tokens.checking import check_rows
from dizuo.training.tokens.token_store import TokenStore
from dizuo.training.tokens.trained_text import TrainedText, read_text

__all__ = ["PlannedStep", "RecipePlan", "Setting", "plan"]

SHOWN = 2
"""Training rows whose sequences are shown."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One value and where it came from."""

    name: str
    value: Any
    origin: str
    """`default`, `recipe`, `command line`, `model`, `data`, `estimated` or `measured`."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step of a plan."""

    name: str
    folder: Path
    why: str | None
    """Why it would run; None when it is done."""
    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class RecipePlan:
    """What a recipe would do."""

    name: str
    seed: int
    model: ModelSpec
    rows: Mapping[str, int]
    """Rows of each split."""
    steps: tuple[PlannedStep, ...]
    training: Plan
    """Steps, tokens, memory and time."""
    examples: tuple[Sequence[TrainedText], ...] = ()
    """The sequences of a few training rows, in pieces that are trained or are not."""


@packages.needs("planning a training")
def plan(
    recipe: Recipe | str | Path,
    *,
    until: str = "deploy",
    folder: str | Path = "runs",
    measure: bool = True,
    watch: Watcher = show,
) -> RecipePlan:
    """Return what running a recipe would do.

    Args:
        recipe: a recipe or the path of one.
        until: the last step that is going to run; data that cannot be evaluated is refused unless it is `train`.
        folder: where runs are kept.
        measure: take the worst block of training through all that a run does, in a process of its own, which is where
            the peak of memory and the time come from.
        watch: told what is fetched and read.

    Raises:
        RecipeError: with every wrong field.
        PlanError: training that cannot work.
        EvaluationError: an evaluation that cannot be made of this data.
    """
    if not isinstance(recipe, Recipe):
        recipe = recipes.read(recipe, strict=False)
    settings = bind(recipe)
    for note in recipe.notes:
        watch(Note(note))
    root = Path(folder) / settings.name
    model = select(settings.select.model, watch=watch)
    chosen = Work("select", folder_of(root, "select"), {"model": model.digest}, {"model": settings.select.model})
    preparing = prepare_work(folder_of(root, "prepare"), options=settings.prepare, watch=watch)
    whys = {"select": chosen.why(), "prepare": preparing.why()}
    with tempfile.TemporaryDirectory(prefix="dizuo-plan-") as scratch:
        if whys["prepare"] is None:
            data = datasets.open(preparing.folder)
        else:
            data, _ = prepare_step(Path(scratch) / "data", options=settings.prepare, watch=watch)
        warn_of_lost(model, data, watch=watch)
        scored = until not in ("prepare", "train")
        check_evaluation(data, options=settings.evaluate, method=settings.train.method, scored=scored, watch=watch)
        check_rows(
            model,
            data,
            method=settings.train.method,
            method_options=settings.method,
            scored=settings.evaluate.split if scored else "",
            watch=watch,
        )
        planned, whys["train"] = _training(settings, model, data, root, Path(scratch), measure, watch)
        examples = _read_examples(model, folder_of(root, "train") if whys["train"] is None else Path(scratch) / "train")
        rows = {name: len(split) for name, split in data.splits().items()}
        whys["evaluate"] = _evaluate_why(settings, model, data, root, whys["train"], watch)
        whys["deploy"] = _deploy_why(settings, data, root, whys["evaluate"])
    steps = tuple(
        PlannedStep(name, folder_of(root, name), whys[name], _settings_of(name, settings, planned))
        for name in recipes.SECTIONS
    )
    return RecipePlan(settings.name, settings.seed, model, rows, steps, planned, examples)


def _training(
    settings: Settings, model: ModelSpec, data: Dataset, root: Path, scratch: Path, measure: bool, watch: Watcher
) -> tuple[Plan, str | None]:
    work = train_work(model, data, folder_of(root, "train"), options=settings.train, method=settings.method)
    why = work.why()
    if why is None:
        return Run.open(work.folder).plan, None
    planned = training.plan(
        model,
        data,
        out=scratch / "train",
        options=settings.train,
        method_options=settings.method,
        origins=settings.origins["train"],
        measure=measure,
        trial=measure,
        watch=watch,
    )
    return planned, why


def _read_examples(model: ModelSpec, folder: Path) -> tuple[Sequence[TrainedText], ...]:
    """Return the sequences of the first `SHOWN` training examples, as a plan's folder holds them."""
    from dizuo import models

    try:
        store = TokenStore(folder / "tokens" / "train")
    except (OSError, ValueError):  # a run that was moved without its tokens
        return ()
    tokenizer = models.load_tokenizer(model)
    return tuple(text for example in range(min(SHOWN, len(store))) for text in read_text(store, tokenizer, example))


def _evaluate_why(
    settings: Settings, model: ModelSpec, data: Dataset, root: Path, train_why: str | None, watch: Watcher
) -> str | None:
    if train_why is not None:
        return "training runs before it"
    run = Run.open(folder_of(root, "train"))
    return evaluate_work(model, data, run, folder_of(root, "evaluate"), options=settings.evaluate, watch=watch).why()


def _deploy_why(settings: Settings, data: Dataset, root: Path, evaluate_why: str | None) -> str | None:
    if evaluate_why is not None:
        return "the evaluation runs before it"
    report = folder_of(root, "evaluate") / "report.json"
    closed = evaluation.unmet(evaluation.Report.open(report), **asdict(settings.gate.require))
    if closed:
        return f"the gate is closed, and nothing will be deployed: {'; '.join(closed)}"
    work = deploy_work(
        Run.open(folder_of(root, "train")),
        data,
        folder_of(root, "deploy"),
        report=report,
        name=settings.deploy.name or settings.name,
        options=settings.deploy,
    )
    return why_deploy(work)


def _settings_of(name: str, settings: Settings, planned: Plan) -> tuple[Setting, ...]:
    if name == "train":
        values = planned.use.to_values()
        return tuple(Setting(key, values[key], why.origin, why.why) for key, why in planned.why.items())
    options: dict[str, Any] = to_json(getattr(settings, name))
    if name == "evaluate":
        options |= to_json(settings.gate)
    origins = settings.origins[name]
    return tuple(Setting(key, value, origins.get(key, "default")) for key, value in options.items())
