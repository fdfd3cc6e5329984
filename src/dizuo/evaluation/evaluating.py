"""`evaluate`: from a model and a data set to a report, and the two files that hold it.

choosing      the kind of task, and the score: what cannot be scored is refused before a model is loaded
setting       the items and training rows
kinds         the answers of every row: cheap baselines, the untuned model, the tuned one
reporting     rows with intervals and paired tests, the verdict, what a person wants to see behind them
"""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from dizuo.errors import EvaluationError
from dizuo.evaluation.answering.cheap import choose_baselines
from dizuo.evaluation.choosing import choose_kind, choose_score
from dizuo.evaluation.figures import FIGURES
from dizuo.evaluation.kinds import TaskKind
from dizuo.evaluation.options import EvaluateOptions
from dizuo.evaluation.reporting import findings
from dizuo.evaluation.reporting.report import Report, Row
from dizuo.evaluation.reporting.rows import Entry, make_rows
from dizuo.evaluation.reporting.verdict import verdict
from dizuo.evaluation.scoring import Score, answered_set
from dizuo.evaluation.setting import TRAINING_ROWS, Setting
from dizuo.events import Finished, Note, Started, Watcher, ignore
from dizuo.models.heads import read as read_head
from dizuo.records import Json

if TYPE_CHECKING:
    from dizuo.data import Dataset, Split
    from dizuo.models import ModelSpec

__all__ = ["evaluate", "rows_of"]


def evaluate(
    model: ModelSpec,
    data: Dataset,
    *,
    split: str | None = None,
    adapter: Path | None = None,
    weights: Path | None = None,
    options: EvaluateOptions | None = None,
    out: Path | None = None,
    run: str = "",
    watch: Watcher = ignore,
) -> Report:
    """Return how well a model does a task, beside cheap baselines and the untuned model, on the same items.

    Args:
        model: the untuned model.
        data: the data set; cheap baselines and examples in prompts use its training rows, and nothing else does.
        split: the rows to score, instead of the options'. With `train`, rows of models that were trained on what is
            scored say so, and the verdict does; no question stands among the examples in its own prompt.
        adapter: PEFT folder of the tuned model.
        weights: folder of a fully trained model, instead of an adapter.
        options: see `EvaluateOptions`.
        out: folder for `report.json` and `report.html`; None writes nothing.
        run: name of the run, which the report's page has as its title.
        watch: told about progress.

    Raises:
        EvaluationError: there is nothing to score, the data holds no questions with right answers, or the kind of task
            cannot use the metric that was asked for.
    """
    began = time.perf_counter()
    watch(Started("evaluate"))
    options = options or EvaluateOptions()
    name = split or options.split
    rows = rows_of(data, name)
    tuned = adapter or weights
    head = None if tuned is None else read_head(tuned)
    kind = choose_kind(data.task, None if head is None else head.facts)
    assert data.task is not None, "a kind was found for it"
    items = kind.items(rows, data.task, options.max_items)
    score = choose_score(kind, items, asked=options.metric)
    choose_baselines(options.baselines, answers=kind.answers)  # a name that does not suit is refused at once
    setting = Setting(
        spec=model,
        data=data,
        task=data.task,
        items=items[: options.generation_items or None] if kind.written else items,
        train=kind.items(data.train, data.task, TRAINING_ROWS) if kind.fits_cheap_models and len(data.train) else [],
        options=options,
        watch=watch,
        adapter=adapter,
        weights=weights,
        head=head,
    )
    report = _report(kind, score, setting, name)
    if run:
        report = replace(report, facts={**report.facts, "run": run})
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        report.write(out)
    watch(Finished("evaluate", time.perf_counter() - began, report.verdict))
    return report


def rows_of(data: Dataset, name: str) -> Split:
    """Return the rows to score.

    Raises:
        EvaluationError: there is no such split, or it has no rows.
    """
    splits = data.splits()
    if name not in splits:
        raise EvaluationError(f"there is no split {name!r}", hint=f"choose one of: {', '.join(splits)}")
    if not len(splits[name]):
        raise EvaluationError(
            f"the {name} split has no rows, so there is nothing to score",
            hint="prepare the data with test: 0.1, or choose another split with evaluate.split",
        )
    return splits[name]


def _report(kind: TaskKind, score: Score, setting: Setting, split: str) -> Report:
    """Return the report on everything that the kind of task answers."""
    if kind.written or setting.options.metric != "auto":
        setting.watch(Note(f"metric: {score.name} ({score.why})"))
    absent: dict[str, str] = {}
    entries = kind.entries(setting, score, absent)
    _add_figures(kind, score, setting, entries)
    rows = make_rows(entries, options=setting.options)
    conclusion = verdict(rows, metric=score.title)
    if split == "train":
        rows = [_mark_seen(row) for row in rows]
        conclusion += " The scored rows are training rows: this says what was learned by heart, not what to expect."
    report = Report(
        model=setting.spec.id,
        dataset=setting.data.card.name,
        split=split,
        kind=kind.reported or setting.task.kind,
        metric=score.title,
        confidence=setting.options.confidence,
        n=len(setting.items),
        rows=tuple(rows),
        verdict=conclusion,
        changes=findings.find_changes(setting, entries, binary=score.binary),
        absent=absent,
        losses=tuple(setting.losses()),
        over_time=tuple(findings.answers_over_time(setting)),
        settings=asdict(setting.options),
        facts=_facts(setting),
    )
    if kind.findings is not None:
        kind.findings(report, setting, score, entries)
    if kind.samples is not None:
        report.samples = tuple(kind.samples(setting, entries))
    return report


def _add_figures(kind: TaskKind, score: Score, setting: Setting, entries: Sequence[Entry]) -> None:
    """Add the figures of the whole set to every row that has what they need."""
    others = [name for name, figure in FIGURES.all().items() if kind.answers in figure.answers]
    figures = [FIGURES.load(name) for name in dict.fromkeys((*kind.figures, *others))]
    for entry in entries:
        answered = answered_set(entry, setting.items, labels=setting.labels)
        if score.figure is not None and score.metric is not None:
            entry.answers.metrics[score.metric.title] = float(entry.values.mean())
        for figure in figures:
            if all(getattr(answered, need) is not None for need in figure.needs):
                entry.answers.metrics[figure.title] = figure.value(answered)


def _mark_seen(row: Row) -> Row:
    """Return the row with a note that its figures come from rows it was trained on, where it was trained at all."""
    if row.family == "untuned":
        return row
    return replace(row, note="; ".join(part for part in (row.note, "trained on the scored rows") if part))


def _facts(setting: Setting) -> dict[str, Json]:
    """Return what a reader needs to repeat the evaluation: digests, the machine, versions."""
    import torch

    return {
        "model": setting.spec.source,
        "model_digest": setting.spec.digest,
        "data_digest": setting.data.digest,
        "training_rows": len(setting.data.train),
        "adapter": setting.adapter.name if setting.adapter else None,
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("dizuo", "torch", "transformers", "peft", "scikit-learn")},
    }
