"""A short search over learning rate, rank and epochs: what the recipe's plan has first, then what Optuna proposes.

Every trial is a real run, scored on the validation rows at four points of its way; one that stands below the median of
the earlier trials there is given up (from 20 trials on, Hyperband decides). No trial reads a row of the test split.

    runs/NAME/search/study.db          Optuna's study in SQLite: `optuna-dashboard sqlite:///…` shows it
    runs/NAME/search/trial-000/        one run per trial
    runs/NAME/search/search.json       the table
    runs/NAME/search/best.yaml         the recipe with the best trial's values

The search can be stopped at any time. It goes on with the trial that was cut short, from that trial's checkpoint, and
proposes what it would have proposed: what a trial tries is a function of the seed, its number, and the trials before.

References:
    Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization", section 4 (TPE, Optuna's sampler).
    Li et al. 2018, "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", algorithm 1.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dizuo import recipe as recipes
from dizuo.artifacts import write_json
from dizuo.errors import MissingPackage, PlanError, TrainingError
from dizuo.events import Event, Metric, Note, Progress, Started, Watcher
from dizuo.progress import show
from dizuo.recipe import Recipe
from dizuo.steps import pipeline
from dizuo.steps.placing import write_recipe
from dizuo.steps.settings import Settings, bind, to_json
from dizuo.training.planning.options import TrainOptions

if TYPE_CHECKING:
    from dizuo.data import Dataset
    from dizuo.models import Model, ModelSpec
    from dizuo.training import Run

__all__ = ["Search", "Trial", "search"]

RATE_FACTOR = 5.0
"""The learning rate is looked for from a fifth to five times the plan's: the recipe's, or the method's default."""
RANKS = (4, 8, 16, 32, 64)
HYPERBAND_FROM = 20
"""Trials from which Hyperband prunes: with fewer its brackets hold a trial or two each."""
EVALUATIONS = 4
"""Scores of a trial on its way, at equal parts of its schedule; trials are compared at equal parts."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of the search."""

    number: int
    """From 0; trial 0 has the values of the recipe's plan."""
    learning_rate: float
    rank: int | None
    """None for full training, which has none."""
    epochs: float
    state: str
    """`complete`, `pruned` (given up on its way) or `failed` (it stopped with a loss that was no number)."""
    score: float | None
    """Best score on the validation rows, higher is better: minus the loss, in nats per token for text."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Search:
    """What a search found."""

    folder: Path
    trials: tuple[Trial, ...]
    best: Trial
    recipe: Path
    """The recipe with the best trial's values."""


class _Pruned(Exception):
    """Ends a trial that stands badly."""


def search(recipe: Recipe | str | Path, *, trials: int, folder: str | Path = "runs", watch: Watcher = show) -> Search:
    """Return the best of some trials; a search that was stopped goes on, and one with more trials adds to it.

    Args:
        recipe: a recipe or the path of one. Values it gives are where the search begins, not what it is bound to.
        trials: runs to make in all, the given values' own included.
        folder: where runs are kept; the search goes into `search` below the recipe's folder.
        watch: told about every trial.

    Raises:
        MissingPackage: Optuna is not installed.
        PlanError: there are no validation rows, or training cannot work.
        TrainingError: no trial came to an end.
    """
    if trials < 1:
        raise PlanError(f"a search makes at least 1 trial, not {trials}")
    if not isinstance(recipe, Recipe):
        recipe = recipes.read(recipe, strict=False)
    optuna = _optuna()
    settings = bind(recipe)
    prepared = pipeline.run(recipe, until="prepare", folder=folder, watch=watch)
    data = prepared.data
    assert data is not None
    if not len(data.validation):
        raise PlanError(
            "a search compares runs on validation rows, and there are none",
            hint="cut some from the training rows: --set prepare.validation=0.1",
        )
    from dizuo import models
    from dizuo.steps.select import select

    spec = select(settings.select.model, watch=watch)
    home = prepared.folder / "search"
    home.mkdir(exist_ok=True)
    space = _space(spec, data, settings, home)
    study = _study(optuna, home, _name(spec, data, settings, space), trials)
    loaded = None if settings.train.adapter == "full" else models.load(spec, quantize=settings.train.quantize)
    watch(Started("search", trials, "trials"))
    done = _over(study)
    while len(done) < trials:
        trial, tried = _next(optuna, study, settings.seed, space)
        watch(Note(f"trial {trial.number}: {_told(tried)}"))
        _try(optuna, study, trial, tried, spec, loaded, data, settings, home, watch)
        done = _over(study)
        watch(Progress("search", len(done), trials, "trials"))
    return _written(recipe, settings, study, home)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise MissingPackage("optuna", purpose="a search", install="dizuo[search]") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it prints every trial by itself
    return optuna


# ---- what is tried


def _space(spec: ModelSpec, data: Dataset, settings: Settings, home: Path) -> dict[str, Any]:
    """Return the first values to try, which are those of the recipe's plan, and the range of each."""
    from dizuo import training

    with tempfile.TemporaryDirectory(dir=home, prefix="plan-") as scratch:
        planned = training.plan(
            spec, data, out=scratch, options=settings.train, method_options=settings.method, measure=False
        )
    use = planned.use
    first: dict[str, Any] = {"learning_rate": use.learning_rate, "epochs": max(1, round(use.epochs))}
    if use.adapter != "full":
        first["rank"] = use.rank
    return {
        "first": first,
        "learning_rate": [use.learning_rate / RATE_FACTOR, use.learning_rate * RATE_FACTOR],
        "epochs": [max(1, round(use.epochs / 2)), max(2, round(use.epochs * 2))],
        "rank": sorted({*RANKS, use.rank}) if use.adapter != "full" else [],
    }


def _suggest(trial: Any, space: Mapping[str, Any]) -> dict[str, Any]:
    low, high = space["learning_rate"]
    tried = {"learning_rate": trial.suggest_float("learning_rate", low, high, log=True)}
    tried["epochs"] = trial.suggest_int("epochs", *space["epochs"])
    if space["rank"]:
        tried["rank"] = trial.suggest_categorical("rank", space["rank"])
    return tried


def _study(optuna: Any, home: Path, name: str, trials: int) -> Any:
    pruner = (
        optuna.pruners.HyperbandPruner(min_resource=1, max_resource=EVALUATIONS, reduction_factor=2)
        if trials >= HYPERBAND_FROM
        else optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=0)
    )
    return optuna.create_study(
        storage=f"sqlite:///{(home / 'study.db').absolute()}",
        study_name=name,
        direction="maximize",
        pruner=pruner,
        load_if_exists=True,
    )


def _name(spec: ModelSpec, data: Dataset, settings: Settings, space: Mapping[str, Any]) -> str:
    """Return a name for all that the trials share: another model, other data or options are another study."""
    shared = to_json(settings.train)
    for searched in ("learning_rate", "epochs", "rank", "allow_different_machine"):
        shared.pop(searched)
    value = [spec.digest, data.digest, shared, to_json(settings.method), settings.seed, space]
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _next(optuna: Any, study: Any, seed: int, space: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the trial that was cut short, or a new one, and what it tries."""
    running = study.get_trials(states=(optuna.trial.TrialState.RUNNING,))
    number = running[0].number if running else len(study.get_trials())
    # A sampler of its own for every trial: a search that is resumed proposes what it would have proposed.
    study.sampler = optuna.samplers.TPESampler(seed=seed * 10_007 + number, n_startup_trials=4)
    if running:
        trial = optuna.trial.Trial(study, running[0]._trial_id)
    else:
        if number == 0:
            study.enqueue_trial(space["first"], skip_if_exists=True)
        trial = study.ask()
    return trial, _suggest(trial, space)


def _over(study: Any) -> list[Any]:
    return [trial for trial in study.get_trials() if trial.state.is_finished()]


# ---- trying it


def _try(
    optuna: Any,
    study: Any,
    trial: Any,
    tried: Mapping[str, Any],
    spec: ModelSpec,
    model: Model | None,
    data: Dataset,
    settings: Settings,
    home: Path,
    watch: Watcher,
) -> None:
    """Train one trial to its end, or to where it is given up, and tell the study."""
    from dizuo import models, training

    folder = home / f"trial-{trial.number:03d}"
    _of_this_study(folder, study.study_name)
    options = _options(settings.train, tried)
    loaded = model or models.load(spec, quantize=settings.train.quantize)
    state, score = optuna.trial.TrialState.COMPLETE, None
    try:
        plan = training.plan(
            loaded, data, out=folder, options=options, method_options=settings.method, measure=False, watch=watch
        )
        run = training.train(plan, model=loaded, watch=_pruning(trial, plan.use.eval_every, watch))
        score = _score(run)
    except _Pruned:
        state = optuna.trial.TrialState.PRUNED
        reached = max(trial.study.get_trials()[trial.number].intermediate_values.values())
        watch(Note(f"trial {trial.number} is given up with {reached:.4f}: half of the earlier ones stood better there"))
    except TrainingError as error:
        state = optuna.trial.TrialState.FAIL
        watch(Note(f"trial {trial.number} failed: {error.message}"))
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    study.tell(trial, score, state=state)


def _options(options: TrainOptions, tried: Mapping[str, Any]) -> TrainOptions:
    """Return the run's options with a trial's values; alpha follows the rank unless the recipe set it."""
    return replace(
        options,
        learning_rate=tried["learning_rate"],
        epochs=float(tried["epochs"]),
        max_steps=None,
        eval_every=None,  # a quarter of the run, whatever its length: trials are compared at equal parts
        patience=None,
        keep="best",
        **({"rank": tried["rank"]} if "rank" in tried else {}),
    )


def _pruning(trial: Any, every: int, watch: Watcher) -> Watcher:
    """Return a watcher that reports each score and ends the trial where it stands too badly."""

    def watcher(event: Event) -> None:
        watch(event)
        if isinstance(event, Metric) and "validation_loss" in event.values:
            place = -(-event.step // every)
            known = trial.study.get_trials()[trial.number].intermediate_values
            if place not in known:
                trial.report(event.values.get("score", -event.values["validation_loss"]), place)
            if trial.should_prune():
                raise _Pruned

    return watcher


def _score(run: Run) -> float:
    ended = run.ended
    assert ended is not None
    assert ended.best_score is not None
    return float(ended.best_score)


def _of_this_study(folder: Path, name: str) -> None:
    """Empty a trial's folder that another study left."""
    note = folder / "study.txt"
    if folder.exists() and not (note.is_file() and note.read_text("utf-8") == name):
        shutil.rmtree(folder)
    folder.mkdir(exist_ok=True)
    note.write_text(name, "utf-8")


# ---- what came of it


def _written(recipe: Recipe, settings: Settings, study: Any, home: Path) -> Search:
    """Write the table and the best recipe."""
    told = tuple(_trial(frozen, settings) for frozen in _over(study))
    complete = [trial for trial in told if trial.state == "complete"]
    if not complete:
        raise TrainingError(
            f"none of {len(told)} trials came to its end",
            hint="lower learning_rate in the recipe: the search looks around it",
        )
    best = max(complete, key=lambda trial: (trial.score, -trial.number))
    for name in ("learning_rate", "epochs", "rank"):
        if (value := getattr(best, name)) is not None:
            recipe = recipes.override(recipe, f"train.{name}", value, place="search")
    path = home / "best.yaml"
    write_recipe(recipe, path)
    write_json(home / "search.json", {"best": best.number, "trials": [to_json(trial) for trial in told]})
    return Search(home, told, best, path)


def _trial(frozen: Any, settings: Settings) -> Trial:
    seconds = (frozen.datetime_complete - frozen.datetime_start).total_seconds()
    return Trial(
        number=frozen.number,
        learning_rate=frozen.params["learning_rate"],
        rank=frozen.params.get("rank"),
        epochs=float(frozen.params["epochs"]),
        state={"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}[frozen.state.name],
        score=frozen.value if frozen.state.name == "COMPLETE" else _reached(frozen),
        seconds=seconds,
    )


def _reached(frozen: Any) -> float | None:
    return max((float(value) for value in frozen.intermediate_values.values()), default=None)


def _told(tried: Mapping[str, Any]) -> str:
    rank = f", rank {tried['rank']}" if "rank" in tried else ""
    return f"learning rate {tried['learning_rate']:.2g}{rank}, {tried['epochs']} epochs"
