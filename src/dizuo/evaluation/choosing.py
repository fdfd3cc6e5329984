"""Which kind of task is evaluated and by which score; a metric that the kind cannot use is refused here.

choose_kind     the kind of a task and the tuned model's head
choose_score    what the score column shows: `evaluate.metric`, or the kind's own choice
check_wanted    the same before anything was trained, as far as it can be told, and the baselines
check_rows      whether there is anything to compare an answer with, before anything was trained
fetch_models    the models that cheap baselines read, fetched before anything was trained
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dizuo.errors import EvaluationError, PluginError, did_you_mean
from dizuo.evaluation.answering.cheap import choose_baselines
from dizuo.evaluation.baselines import CheapModel
from dizuo.evaluation.figures import FIGURES
from dizuo.evaluation.kinds import KINDS, TaskKind
from dizuo.evaluation.metrics import METRICS
from dizuo.evaluation.options import EvaluateOptions
from dizuo.evaluation.scoring import Score
from dizuo.events import Watcher, ignore
from dizuo.models.heads import KINDS as HEAD_KINDS
from dizuo.models.heads import HeadFacts

if TYPE_CHECKING:
    from dizuo.data import Task
    from dizuo.evaluation.setting import Item
    from dizuo.records import Example

__all__ = ["check_rows", "check_wanted", "choose_kind", "choose_score", "fetch_models", "usable_metrics"]


_WITHOUT = "dizuo train, and dizuo plan --until train, go without a report"


def choose_kind(task: Task | None, head: HeadFacts | None = None) -> TaskKind:
    """Return the kind that evaluates a task.

    Args:
        task: of the data set.
        head: of the tuned model, where it was trained with one.

    Raises:
        EvaluationError: no kind does.
        PluginError: several kinds do.
    """
    every = KINDS.all().values()
    kinds = [kind for kind in every if kind.applies(task, head)] if task is not None else []
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        raise PluginError(
            f"several kinds of tasks want to evaluate one: {', '.join(kind.name for kind in kinds)}",
            hint="remove one of the packages that bring them",
        )
    if task is not None and head is not None and any(kind.applies(task, None) for kind in every):
        raise EvaluationError(
            f"the model was trained with a {head.kind} head, and the data set's task is {task.kind}",
            hint="evaluate on the data set that it was trained on",
        )
    raise EvaluationError(
        f"the data set has {'no task' if task is None else f'the kind {task.kind!r}'}; "
        "classification, generation and preferences can be evaluated",
        hint="evaluate on labelled, question-and-answer or preference rows",
    )


def usable_metrics(kind: TaskKind) -> tuple[str, ...]:
    """Return what `evaluate.metric` may name for a kind of task, besides `auto`."""
    if kind.own_score:
        return ()
    metrics = [name for name, metric in METRICS.all().items() if kind.answers in metric.answers]
    figures = [name for name, figure in FIGURES.all().items() if figure.is_score and kind.answers in figure.answers]
    return (*metrics, *figures)


def choose_score(kind: TaskKind, items: Sequence[Item], *, asked: str = "auto") -> Score:
    """Return what the score column shows.

    Args:
        kind: of the task.
        items: what is scored; `auto` looks at their right answers.
        asked: `evaluate.metric`.

    Raises:
        EvaluationError: there is no such metric, or the kind of task cannot use it.
    """
    if asked != "auto":
        _check_usable(kind, asked)
    if kind.default_metric is None:
        return Score("", kind.own_score, "the kind of task has no other")
    default, why = kind.default_metric(items)
    name, why = (default, why) if asked == "auto" else (asked, "asked for")
    if name in METRICS.names():
        metric = METRICS.load(name)
        return Score(name, metric.title, why, metric)
    figure = FIGURES.load(name)
    # Single answers are still right or wrong: what changed, confusions and charts are made of them.
    return Score(name, figure.title, why, METRICS.load(default), figure)


def check_wanted(task: Task | None, *, metric: str, baselines: Sequence[str], headed: bool) -> None:
    """Refuse a metric and baselines that no model of a task could be evaluated with.

    Args:
        task: of the data set.
        metric: `evaluate.metric`.
        baselines: `evaluate.baselines`.
        headed: whether a head is going to be trained; which one is not known yet.

    Raises:
        EvaluationError: naming the kind of task, and the metrics or baselines that it can use.
    """
    if task is None:
        return
    kinds = _possible_kinds(task, headed)
    if not kinds:
        return
    if metric != "auto" and not any(metric in usable_metrics(kind) for kind in kinds):
        _check_usable(kinds[0], metric)
    refused = [_refusal(kind, baselines) for kind in kinds]
    if all(refused):
        raise next(error for error in refused if error is not None)


def check_rows(task: Task | None, rows: Sequence[Example], *, headed: bool) -> None:
    """Refuse rows that no model could be evaluated on, before one is trained for it.

    Args:
        task: of the data set.
        rows: of the split that will be scored; the first 1,000 are looked at.
        headed: whether a head is going to be trained; which one is not known yet.

    Raises:
        EvaluationError: the kind of task cannot be evaluated, or a row has no question with a right answer.
    """
    kinds = [] if task is None else _possible_kinds(task, headed)
    if task is None or not kinds:
        try:
            choose_kind(task)
        except EvaluationError as error:
            raise EvaluationError(error.message, hint=f"{error.hint}; {_WITHOUT}") from None
        return
    faults = []
    for kind in kinds:
        try:
            kind.items(rows, task, 1000)
        except EvaluationError as error:
            faults.append(error)
    if len(faults) == len(kinds):
        raise EvaluationError(faults[0].message, hint=f"{faults[0].hint}; {_WITHOUT}")


def fetch_models(
    task: Task | None, *, options: EvaluateOptions, headed: bool, watch: Watcher = ignore
) -> dict[str, str]:
    """Return the digest of the model that each cheap baseline of a task reads, by the baseline's name.

    Args:
        task: of the data set.
        options: their `baselines`, and what these read, such as `embedder`.
        headed: whether a head was trained, or is going to be.
        watch: told what is fetched.

    Raises:
        EvaluationError: one that the options name cannot be had.
    """
    digests: dict[str, str] = {}
    for kind in [] if task is None else _possible_kinds(task, headed):
        if not kind.fits_cheap_models or _refusal(kind, options.baselines):
            continue
        for baseline in choose_baselines(options.baselines, answers=kind.answers):
            if isinstance(baseline.how, CheapModel) and baseline.how.fetch and baseline.name not in digests:
                digest = baseline.how.fetch(options, watch=watch)
                digests |= {} if digest is None else {baseline.name: digest}
    return digests


def _possible_kinds(task: Task, headed: bool) -> list[TaskKind]:
    """Return the kinds that may evaluate a task: of a head that is going to be trained, which one is not known yet."""
    heads = [HeadFacts(kind) for kind in HEAD_KINDS] if headed else [None]
    return [kind for kind in KINDS.all().values() if any(kind.applies(task, head) for head in heads)]


def _refusal(kind: TaskKind, baselines: Sequence[str]) -> EvaluationError | None:
    try:
        choose_baselines(baselines, answers=kind.answers)
    except EvaluationError as error:
        return error
    return None


def _check_usable(kind: TaskKind, asked: str) -> None:
    usable = usable_metrics(kind)
    if asked in usable:
        return
    if usable:
        hint = f"{kind.title} can use: auto, {', '.join(usable)}"
    else:
        hint = f"leave evaluate.metric at auto; the score of {kind.title} is always {kind.own_score}"
    if asked in METRICS.names() or asked in FIGURES.names():
        raise EvaluationError(f"the metric {asked!r} cannot be used for {kind.title}", hint=hint)
    known = ("auto", *METRICS.names(), *FIGURES.names())
    raise EvaluationError(f"no metric is called {asked!r}{did_you_mean(asked, known)}", hint=hint)
