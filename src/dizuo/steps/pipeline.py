"""`run` does a recipe's five steps in order, into `runs/NAME/`; a step whose inputs did not change is skipped."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from dizuo import packages
from dizuo import recipe as recipes
from dizuo.artifacts import find
from dizuo.artifacts.writing import check_place
from dizuo.events import Note, Watcher
from dizuo.progress import show
from dizuo.recipe import Recipe
from dizuo.steps.placing import write_recipe
from dizuo.steps.prepare import addresses
from dizuo.steps.settings import Settings, bind

if TYPE_CHECKING:
    from dizuo.data import Dataset
    from dizuo.evaluation import Report
    from dizuo.models import ModelSpec
    from dizuo.serving.registry import Release
    from dizuo.training import Run

__all__ = ["Outcome", "StepOutcome", "folder_of", "run"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What became of one step."""

    name: str
    folder: Path
    ran: bool
    """False when nothing had changed."""
    why: str
    """Why it ran; empty when it did not."""
    seconds: float


@dataclass(slots=True)
class Outcome:
    """What became of a recipe. The result of a step that was not wanted is None."""

    name: str
    folder: Path
    steps: list[StepOutcome] = field(default_factory=list)
    model: ModelSpec | None = None
    data: Dataset | None = None
    run: Run | None = None
    report: Report | None = None
    release: Release | None = None
    closed: tuple[str, ...] = ()
    """Why the gate stayed closed and nothing was deployed; empty otherwise."""


def folder_of(root: Path, step: str) -> Path:
    """Return a step's folder, as in `runs/tickets/3-train`."""
    return root / f"{recipes.SECTIONS.index(step) + 1}-{step}"


def run(
    recipe: Recipe | str | Path,
    *,
    until: str = "deploy",
    force: Collection[str] = (),
    folder: str | Path = "runs",
    watch: Watcher = show,
) -> Outcome:
    """Run a recipe's steps up to one of them.

    Args:
        recipe: a recipe or the path of one; all of its fields are checked before anything starts.
        until: the last step to run; `prepare` alone does not need a model.
        force: names of steps that run although nothing changed.
        folder: where runs are kept; this one goes into a folder of the recipe's name.
        watch: told about every step's progress.

    Raises:
        RecipeError: with every wrong field.
        MissingPackage: what trains models is not installed.
        DizuoError: what the steps raise.
    """
    if not isinstance(recipe, Recipe):
        recipe = recipes.read(recipe, strict=False)
    if until not in ("select", "prepare"):
        packages.require(*packages.TRAIN, purpose="running a recipe")
    wanted = ("prepare",) if until == "prepare" else recipes.SECTIONS[: recipes.SECTIONS.index(until) + 1]
    settings = bind(recipe, needs=_needs(wanted))
    _check_addresses(settings, wanted=wanted)
    outcome = Outcome(settings.name, check_place(folder) / settings.name)
    outcome.folder.mkdir(parents=True, exist_ok=True)
    try:
        write_recipe(recipe, outcome.folder / "recipe.yaml")
        for note in recipe.notes:
            watch(Note(note))
        steps = _Steps(settings, outcome, force, watch, several=len(wanted) > 1, evaluated="evaluate" in wanted)
        for name in wanted:
            getattr(steps, name)()
    except BaseException:
        _forget_empty(outcome.folder)
        raise
    return outcome


def _check_addresses(settings: Settings, *, wanted: Collection[str]) -> None:
    """Refuse what cannot be there before anything is written down.

    Raises:
        ArtifactError: a path leads nowhere, or there is a user and a password in an address; the message does not
            show them.
    """
    prepare = settings.prepare
    named = [address for _, address in addresses(prepare)]
    named += [settings.select.model] if "select" in wanted else []
    embedder = settings.evaluate.embedder
    named += [embedder] if "evaluate" in wanted and embedder not in ("auto", "none") else []
    for address in named:
        find(address)
    if prepare.quarantine:
        check_place(prepare.quarantine)


def _forget_empty(folder: Path) -> None:
    """Remove a run's folder in which nothing but its recipe is: no step of it came to anything."""
    if folder.is_dir() and [path.name for path in folder.iterdir()] == ["recipe.yaml"]:
        shutil.rmtree(folder)


def _needs(wanted: Collection[str]) -> list[str]:
    data = ["data"] if "prepare" in wanted else []
    return ["model", *data] if "select" in wanted else data


class _Steps:
    """Runs the steps of one recipe, one method per step; each leaves its result in the outcome."""

    def __init__(
        self,
        settings: Settings,
        outcome: Outcome,
        force: Collection[str],
        watch: Watcher,
        *,
        several: bool,
        evaluated: bool,
    ) -> None:
        self.settings, self.outcome, self.force, self.watch, self.several = settings, outcome, force, watch, several
        self.evaluated = evaluated

    def step(self, name: str, make: Callable[[Path, bool], tuple[T, str | None]]) -> T:
        """Do a step in its folder, write down whether it ran and why, and return its result."""
        folder = folder_of(self.outcome.folder, name)
        if self.several:
            self.watch(Note(f"{recipes.SECTIONS.index(name) + 1}/5 {name}"))
        began = time.perf_counter()
        result, why = make(folder, name in self.force)
        seconds = time.perf_counter() - began
        self.outcome.steps.append(StepOutcome(name, folder, why is not None, why or "", seconds))
        if why is None:
            self.watch(Note(f"nothing changed since {folder} was made"))
        return result

    def select(self) -> None:
        from dizuo.steps.select import select_step

        address = self.settings.select.model
        self.outcome.model = self.step(
            "select", lambda folder, force: select_step(address, folder, force=force, watch=self.watch)
        )

    def prepare(self) -> None:
        from dizuo.steps.prepare import model_at_hand, prepare_step, warn_of_lost

        settings = self.settings
        self.outcome.data = self.step(
            "prepare",
            lambda folder, force: prepare_step(
                folder, options=settings.prepare, origins=settings.origins["prepare"], force=force, watch=self.watch
            ),
        )

        if self.outcome.steps[-1].ran:
            model = self.outcome.model or model_at_hand(settings.select.model, watch=self.watch)
            if model is not None and packages.has("torch"):  # training looks at them in any case
                from dizuo.training.tokens.checking import check_rows

                warn_of_lost(model, self.outcome.data, watch=self.watch)
                check_rows(
                    model,
                    self.outcome.data,
                    method=settings.train.method,
                    method_options=settings.method,
                    watch=self.watch,
                )

    def train(self) -> None:
        from dizuo.steps.evaluate import check_evaluation
        from dizuo.steps.train import train_step
        from dizuo.training.tokens.checking import check_rows

        settings, outcome = self.settings, self.outcome
        model, data = outcome.model, outcome.data
        assert model is not None
        assert data is not None
        check_evaluation(
            data,
            options=settings.evaluate,
            method=settings.train.method,
            scored=self.evaluated,
            watch=self.watch,
        )
        scored = (settings.evaluate.split,) if self.evaluated else ()
        check_rows(
            model,
            data,
            method=settings.train.method,
            method_options=settings.method,
            splits=scored,
            scored=settings.evaluate.split,
        )
        outcome.run = self.step(
            "train",
            lambda folder, force: train_step(
                model,
                data,
                folder,
                options=settings.train,
                method=settings.method,
                samples=settings.samples.samples,
                track=settings.samples.track,
                ranks=settings.launch.ranks,
                origins=settings.origins["train"],
                force=force,
                watch=self.watch,
            ),
        )

    def evaluate(self) -> None:
        from dizuo.steps.evaluate import evaluate_step

        settings, outcome = self.settings, self.outcome
        model, data, trained = outcome.model, outcome.data, outcome.run
        assert model is not None
        assert data is not None
        assert trained is not None
        outcome.report = self.step(
            "evaluate",
            lambda folder, force: evaluate_step(
                model,
                data,
                trained,
                folder,
                options=settings.evaluate,
                origins=settings.origins["evaluate"],
                force=force,
                watch=self.watch,
            ),
        )

    def deploy(self) -> None:
        from dizuo.evaluation import unmet
        from dizuo.steps.deploy import deploy_step

        settings, outcome = self.settings, self.outcome
        trained = outcome.run
        assert trained is not None
        assert outcome.report is not None
        outcome.closed = unmet(outcome.report, **asdict(settings.gate.require))
        if outcome.closed:
            return
        outcome.release = self.step(
            "deploy",
            lambda folder, force: deploy_step(
                trained,
                outcome.data,
                folder,
                report=folder_of(outcome.folder, "evaluate") / "report.json",
                name=settings.deploy.name or settings.name,
                options=settings.deploy,
                origins=settings.origins["deploy"],
                force=force,
                watch=self.watch,
            ),
        )
