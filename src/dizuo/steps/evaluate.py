"""Step four tells whether the tuned model is better, and whether it has to be a language model at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dizuo import data as datasets
from dizuo import packages
from dizuo.artifacts import digest_tree
from dizuo.data import Dataset, Split
from dizuo.evaluation import Report
from dizuo.evaluation.options import EvaluateOptions
from dizuo.events import Watcher, ignore
from dizuo.models import ModelSpec
from dizuo.progress import show
from dizuo.steps.hints import hints_for_python
from dizuo.steps.manifest import Work
from dizuo.steps.settings import bind_call, to_json
from dizuo.training import Run
from dizuo.training.methods import METHODS

__all__ = ["check_evaluation", "evaluate", "evaluate_step", "evaluate_work"]


@hints_for_python
@packages.needs("evaluation")
def evaluate(
    run: Run,
    data: Dataset | Split,
    *,
    against: ModelSpec | None = None,
    out: str | Path | None = None,
    force: bool = False,
    watch: Watcher = show,
    **options: Any,
) -> Report:
    """Return the report on a trained run: before and after on the same items, with intervals and cheap baselines.

    Args:
        run: from `dizuo.train`.
        data: the split to score on, as in `data.test`, or the data set: then its test split unless `split` is given.
        against: the untuned model; None is the one that was trained.
        out: the folder for `report.json` and `report.html`; None is `4-evaluate` beside the run's folder.
        force: evaluate again although nothing changed.
        watch: told about progress.
        options: fields of `EvaluateOptions`.

    Raises:
        RecipeError: options that do not exist or have the wrong type.
        EvaluationError: a score that cannot be computed.
    """
    if isinstance(data, Split):
        options = {"split": data.name, **options}
        data = datasets.open(data.path.parent)
    (bound,) = bind_call("evaluate", options, (EvaluateOptions,))
    folder = Path(out) if out is not None else run.folder.parent / "4-evaluate"
    return evaluate_step(against or run.spec, data, run, folder, options=bound, force=force, watch=watch)[0]


def check_evaluation(
    data: Dataset, *, options: EvaluateOptions, method: str, scored: bool, watch: Watcher = ignore
) -> None:
    """Refuse what the evaluation after training could not do, and fetch what it reads, before a model is trained.

    Args:
        data: the data set.
        options: their `metric`, `baselines`, `split` and `embedder`.
        method: the name of the training method.
        scored: an evaluation follows; without one, rows need no right answers, and nothing is fetched.
        watch: told what is fetched.

    Raises:
        EvaluationError: a metric or baseline that the kind of task cannot use, an empty split, a row without a right
            answer, or an encoder that cannot be had.
    """
    wants = options.metric != "auto" or options.baselines != ("auto",)
    if not wants and not scored:
        return
    from dizuo.evaluation import choosing, evaluating

    headed = METHODS.load(method).head is not None
    if wants:
        choosing.check_wanted(data.task, metric=options.metric, baselines=options.baselines, headed=headed)
    if scored:
        choosing.check_rows(data.task, evaluating.rows_of(data, options.split), headed=headed)
        choosing.fetch_models(data.task, options=options, headed=headed, watch=watch)


def evaluate_work(
    model: ModelSpec,
    data: Dataset,
    run: Run,
    folder: Path,
    *,
    options: EvaluateOptions,
    origins: Mapping[str, str] | None = None,
    watch: Watcher = ignore,
) -> Work:
    """Return what an evaluation depends on; the models that cheap baselines read are fetched for it."""
    from dizuo.evaluation import choosing

    tuned = run.adapter or run.weights or run.folder
    headed = METHODS.load(run.plan.use.method).head is not None
    read = choosing.fetch_models(data.task, options=options, headed=headed, watch=watch)
    inputs = {"model": model.digest, "data": data.digest, "tuned": digest_tree(tuned)}
    inputs |= {f"baseline {name}": digest for name, digest in read.items()}
    return Work("evaluate", folder, inputs, to_json(options), seed=getattr(options, "seed", 0), origins=origins or {})


def evaluate_step(
    model: ModelSpec,
    data: Dataset,
    run: Run,
    folder: Path,
    *,
    options: EvaluateOptions,
    origins: Mapping[str, str] | None = None,
    force: bool = False,
    watch: Watcher = ignore,
) -> tuple[Report, str | None]:
    """Return the report in `folder`, and why it was computed anew, if it was: model, data, run or options changed."""
    from dizuo import evaluation

    work = evaluate_work(model, data, run, folder, options=options, origins=origins, watch=watch)
    why = work.why(force=force)
    if why is not None:
        with work.make_folder() as partial:
            evaluation.evaluate(
                model,
                data,
                adapter=run.adapter,
                weights=run.weights,
                options=options,
                out=partial,
                run=folder.absolute().parent.name,
                watch=watch,
            )
    return Report.open(folder), why
