"""Step three: training, exact and resumable. A killed run goes on where its last checkpoint is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dizuo import packages
from dizuo.artifacts import write_json
from dizuo.data import Dataset
from dizuo.events import Watcher, ignore
from dizuo.models import ModelSpec
from dizuo.progress import show
from dizuo.steps.hints import hints_for_python
from dizuo.steps.manifest import Work
from dizuo.steps.options import LaunchOptions, SampleOptions
from dizuo.steps.samples import sample_writer
from dizuo.steps.settings import bind_call, to_json
from dizuo.training import Run
from dizuo.training.launchers import LAUNCHERS
from dizuo.training.methods import METHODS
from dizuo.training.planning.options import TrainOptions

__all__ = ["train", "train_step", "train_work"]


@hints_for_python
@packages.needs("training")
def train(
    model: ModelSpec,
    data: Dataset,
    *,
    out: str | Path | None = None,
    force: bool = False,
    watch: Watcher = show,
    **options: Any,
) -> Run:
    """Return a trained run; the same call again opens it, and a call after a crash resumes it exactly.

    Args:
        model: from `dizuo.select`.
        data: from `dizuo.prepare`.
        out: the run's folder; None is `3-train` beside the data's folder.
        force: train again although nothing changed.
        watch: told about every step.
        options: fields of `TrainOptions`, of the method, of `SampleOptions` and of `LaunchOptions`, such as
            `method="sft"`, `epochs=2`, `samples=0` and `ranks=2`.

    Raises:
        RecipeError: options that do not exist or have the wrong type.
        PlanError: training that cannot work, refused before it starts.
        TrainingError: training that had to stop.
    """
    kinds = (TrainOptions, METHODS.load(str(options.get("method", "sft"))).Options, SampleOptions, LaunchOptions)
    bound, method, samples, launch = bind_call("train", options, kinds)
    folder = Path(out) if out is not None else data.folder.parent / "3-train"
    return train_step(
        model,
        data,
        folder,
        options=bound,
        method=method,
        samples=samples.samples,
        track=samples.track,
        ranks=launch.ranks,
        force=force,
        watch=watch,
    )[0]


def train_work(
    model: ModelSpec,
    data: Dataset,
    folder: Path,
    *,
    options: TrainOptions,
    method: Any,
    origins: Mapping[str, str] | None = None,
) -> Work:
    """Return what training depends on."""
    settings = {**to_json(options), **to_json(method)}
    del settings["allow_different_machine"]  # about one resumption, not about the result
    inputs = {"model": model.digest, "data": data.digest}
    return Work("train", folder, inputs, settings, seed=options.seed, origins=origins or {})


def train_step(
    model: ModelSpec,
    data: Dataset,
    folder: Path,
    *,
    options: TrainOptions,
    method: Any,
    samples: int = 3,
    track: Sequence[str] = (),
    ranks: int = 1,
    origins: Mapping[str, str] | None = None,
    force: bool = False,
    watch: Watcher = ignore,
) -> tuple[Run, str | None]:
    """Return the run in `folder`, trained when its model, data or options changed.

    How many `samples` are written on the way, where the run is shown (`track`), and how many `ranks` train, is no
    reason to train again.
    """
    from dizuo import models, training
    from dizuo.training.tracking import tracking

    work = train_work(model, data, folder, options=options, method=method, origins=origins)
    why = work.why(force=force)
    if METHODS.load(options.method).num_outputs is not None:
        samples = 0  # what is trained with a head answers with it, not with text
    if why is not None:
        with work.resume_folder() as partial:
            loaded = models.load(model)
            plan = training.plan(
                loaded, data, out=partial, options=options, method_options=method, origins=origins, watch=watch
            )
            with tracking(plan, track, watch=watch) as watcher:
                if ranks > 1:
                    del loaded  # every rank loads its own
                    worker = ("dizuo.steps.launched", str(data.folder), str(samples))
                    LAUNCHERS.load("torchrun").launch(plan, ranks=ranks, worker=worker, watch=watcher)
                else:
                    writer = sample_writer(data, partial, count=samples, watch=watch)
                    training.train(plan, model=loaded, watch=watcher, evaluate_fn=writer)
            write_json(partial / "model.json", model.to_json())
    return Run.open(folder), why
