"""`evaluate`: the rows of a report, what they mean, and the two files that hold them.

classification   label likelihood over the token tree, and text through the engine     classification.py
generation       text through the engine                                               generation.py
heads            one pass per item, through the tree and through the engine            heads.py numbers.py rewards.py
preferences      which of two answers is likelier, over the token tree                  preferences.py
then             rows and paired tests (rows.py), the verdict (verdict.py), what a person wants to see (findings.py)
"""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dizuo.errors import EvaluationError
from dizuo.evaluation.answering import heads
from dizuo.evaluation.kinds import classification, generation, preference, regression, reward
from dizuo.evaluation.options import EvaluateOptions
from dizuo.evaluation.reporting import findings
from dizuo.evaluation.reporting.curve import training_curve
from dizuo.evaluation.reporting.report import Report, Row
from dizuo.evaluation.reporting.rows import Entry, make_rows
from dizuo.evaluation.reporting.verdict import verdict
from dizuo.evaluation.setting import TRAINING_ROWS, Setting, items_of
from dizuo.events import Finished, Note, Started, Watcher, ignore
from dizuo.records import Preference

if TYPE_CHECKING:
    from dizuo.data import Dataset, Task
    from dizuo.models import ModelSpec

__all__ = ["evaluate", "setting_of"]


def evaluate(
    model: ModelSpec,
    data: Dataset,
    *,
    split: str | None = None,
    adapter: Path | None = None,
    weights: Path | None = None,
    options: EvaluateOptions | None = None,
    out: Path | None = None,
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
        watch: told about progress.

    Raises:
        EvaluationError: there is nothing to score, or the data holds no questions with right answers.
    """
    began = time.perf_counter()
    watch(Started("evaluate"))
    setting = setting_of(
        model, data, split=split, adapter=adapter, weights=weights, options=options or EvaluateOptions(), watch=watch
    )
    report = _report(setting, split or setting.options.split)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        report.write(out)
    watch(Finished("evaluate", time.perf_counter() - began, report.verdict))
    return report


def setting_of(
    model: ModelSpec,
    data: Dataset,
    *,
    split: str | None = None,
    adapter: Path | None = None,
    weights: Path | None = None,
    options: EvaluateOptions,
    watch: Watcher = ignore,
) -> Setting:
    """Return what an evaluation works on.

    Raises:
        EvaluationError: the split has no rows, or the rows are of a kind that has no right answers.
    """
    name = split or options.split
    splits = data.splits()
    if name not in splits:
        raise EvaluationError(f"there is no split {name!r}", hint=f"choose one of: {', '.join(splits)}")
    if not len(splits[name]):
        raise EvaluationError(
            f"the {name} split has no rows, so there is nothing to score",
            hint="prepare the data with test: 0.1, or choose another split with evaluate.split",
        )
    task = data.task
    if task is not None and task.kind == "preference":
        return Setting(
            spec=model,
            data=data,
            task=task,
            items=reward.items_of_pairs(_pairs(splits[name]), limit=options.max_items),
            train=[],
            options=options,
            watch=watch,
            adapter=adapter,
            weights=weights,
        )
    if task is None or task.kind not in ("classification", "generation"):
        kind = "no task" if task is None else f"the kind {task.kind!r}"
        raise EvaluationError(
            f"the data set has {kind}; classification, generation and preferences can be evaluated",
            hint="train without the evaluate step, or evaluate on labelled, question-and-answer or preference rows",
        )
    return Setting(
        spec=model,
        data=data,
        task=task,
        items=items_of(splits[name], task, limit=options.max_items),
        train=items_of(data.train, task, limit=TRAINING_ROWS) if len(data.train) else [],
        options=options,
        watch=watch,
        adapter=adapter,
        weights=weights,
    )


def _pairs(rows: Sequence[Any]) -> list[Preference]:
    return [row for row in rows if isinstance(row, Preference)]


def is_choice(task: Task) -> bool:
    """Whether answers are chosen from labels, so that labels can be scored."""
    return task.kind == "classification" and not task.multi_label


def _report(setting: Setting, split: str) -> Report:
    absent: dict[str, str] = {}
    head = heads.head_of(setting)
    kind = "" if head is None else head.facts.kind
    choice = is_choice(setting.task) and kind not in ("regression", "reward")
    if head is not None and kind == "regression":
        metric, title = "r2", regression.TITLE
        found = regression.entries(setting, head, absent)
    elif head is not None and kind == "reward":
        metric, title = "pairs", reward.TITLE
        pairs = _pairs(setting.data.splits()[split])[: len(setting.items)]
        found = reward.entries(setting, head, pairs)
    elif setting.task.kind == "preference":
        metric, title = "pairs", preference.TITLE
        pairs = _pairs(setting.data.splits()[split])[: len(setting.items)]
        found = preference.entries(setting, pairs)
    elif choice:
        metric, title = "accuracy", "accuracy"
        found = classification.entries(setting, absent)
    else:
        asked = "exact_match" if kind == "multi_label" else setting.options.metric
        metric, why = generation.choose_metric(setting.items, asked=asked)
        setting.watch(Note(f"metric: {metric} ({why})"))
        title = findings.metric_title(metric)
        found = generation.entries(setting, metric, absent)
    rows = make_rows(found, options=setting.options)
    conclusion = verdict(rows, metric=title)
    if split == "train":
        rows = [_seen(row) for row in rows]
        conclusion += " The scored rows are training rows: this says what was learned by heart, not what to expect."
    report = Report(
        model=setting.spec.id,
        dataset=setting.data.card.name,
        split=split,
        kind=kind if kind in ("regression", "reward") else setting.task.kind,
        metric=title,
        confidence=setting.options.confidence,
        n=len(setting.items),
        rows=tuple(rows),
        verdict=conclusion,
        absent=absent,
        losses=tuple(setting.losses()),
        over_time=tuple(findings.answers_over_time(setting)),
        settings=asdict(setting.options),
        facts=_facts(setting),
    )
    if choice:
        findings.add_label_findings(report, setting, found)
        if setting.options.curve:
            report.curve = training_curve(setting, found)
    findings.add_changes(report, setting, found, binary=choice or metric in ("exact_match", "number", "pairs"))
    if setting.task.kind == "preference" and head is None:
        report.samples = tuple(preference.samples(setting, pairs))
    elif head is None:
        report.samples = tuple(_samples(setting, found, choice=choice))
    return report


def _seen(row: Row) -> Row:
    """Return the row with a note that its figures come from rows it was trained on, where it was trained at all."""
    if row.family == "untuned":
        return row
    return replace(row, note="; ".join(part for part in (row.note, "trained on the scored rows") if part))


def _samples(setting: Setting, found: Sequence[Entry], *, choice: bool) -> list[dict[str, Any]]:
    return findings.samples(setting, found, choice=choice)


def _facts(setting: Setting) -> dict[str, Any]:
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
