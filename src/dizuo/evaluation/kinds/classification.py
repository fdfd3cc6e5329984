"""The rows of a classification: cheap models, the untuned one without and with examples, the tuned one twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from dizuo import plugins
from dizuo.data import prompt_messages
from dizuo.errors import EvaluationError
from dizuo.evaluation.answering import heads, models
from dizuo.evaluation.answering.answers import Absent, Answers
from dizuo.evaluation.answering.likelihood import LabelScores, Normalisation, contextual_bias, score_labels
from dizuo.evaluation.answering.shots import Shots
from dizuo.evaluation.baselines import untuned
from dizuo.evaluation.metrics import accuracy
from dizuo.evaluation.reporting.rows import Entry
from dizuo.evaluation.setting import Item, Question, Setting
from dizuo.events import Note
from dizuo.trees import Runner

__all__ = ["baseline", "cheap_entries", "chosen_baselines", "entries", "label_answers", "labels_of"]

BASELINES = "dizuo.evaluation.baselines"
EMPTY_TEXTS = ("", "N/A", "[MASK]")
"""What Zhao et al. (2021) ask a model that should answer nothing in particular."""


def labels_of(setting: Setting) -> tuple[str, ...]:
    """Return the answers to choose from."""
    labels = setting.task.labels or tuple(sorted({item.answer for item in setting.train}))
    if len(labels) < 2:
        raise EvaluationError(f"the task has {len(labels)} labels, and a choice needs two", hint="check the data set")
    return labels


def entries(setting: Setting, absent: dict[str, str]) -> list[Entry]:
    """Return every row's answers; what cannot be made here goes to `absent` with its reason."""
    labels = labels_of(setting)
    found = cheap_entries(setting, labels, absent)
    options = setting.options
    questions = [item.question for item in setting.items]
    if options.untuned or not setting.tuned:
        with models.runner(setting, tuned=False) as (runner, tokenizer):
            setting.watch(Note(f"untuned model runs as {runner.choice.layout} ({runner.choice.reason})"))
            answers = label_answers(setting, runner, tokenizer, questions, labels, work="untuned")
            found.append(_entry("untuned", untuned.TITLE, "untuned", setting.items, answers))
            few = questions[: options.five_shot_items or None]
            shown = Shots(setting, labels)
            try:
                longest = max(len(tokenizer(label, add_special_tokens=False)["input_ids"]) for label in labels)
                ask = shown.prompts(tokenizer, few, room=longest + 1, context_length=setting.spec.context_length)
                answers = label_answers(setting, runner, tokenizer, few, labels, work=shown.title, ask=ask)
                found.append(_entry("five_shot", shown.title, "untuned", setting.items, answers))
            except Absent as reason:
                absent[shown.title] = str(reason)
    head = heads.head_of(setting)
    if head is not None:
        found += heads.entries(setting, head, labels)
    elif setting.tuned:
        with models.runner(setting, tuned=True) as (runner, tokenizer):
            answers = label_answers(setting, runner, tokenizer, questions, labels, work="tuned, as scored", tuned=True)
        found.append(_entry("tuned", "tuned, as scored", "tuned", setting.items, answers))
        with models.speaker(setting, tuned=True) as speaker:
            answers = _served(setting, speaker, questions[: options.served_items or None], labels)
        found.append(_entry("served", "tuned, as served", "tuned", setting.items, answers))
    return found


def cheap_entries(setting: Setting, labels: Sequence[str], absent: dict[str, str]) -> list[Entry]:
    """Return the answers of the cheap baselines, in the order of their scores."""
    found = []
    texts = [item.text for item in setting.items]
    for name in chosen_baselines(setting):
        module = baseline(name)
        try:
            answer = module.fit(setting.training_rows, labels=labels, options=setting.options, watch=setting.watch)
            found.append(_entry(name, module.TITLE, "cheap", setting.items, answer(texts)))
        except Absent as reason:
            absent[module.TITLE] = str(reason)
    return sorted(found, key=lambda entry: entry.score)


def baseline(name: str) -> ModuleType:
    """Return a baseline's module.

    Raises:
        DizuoError: there is no such baseline.
    """
    return plugins.load(BASELINES, name, noun="baseline")


def chosen_baselines(setting: Setting) -> list[str]:
    """Return the names of the cheap baselines that the options ask for and the kind of task allows."""
    kind = "classification" if setting.task.kind == "classification" and not setting.task.multi_label else "generation"
    asked = list(setting.options.baselines)
    if asked != ["auto"]:
        return asked
    modules = {name: baseline(name) for name in plugins.names(BASELINES)}
    return [name for name, module in modules.items() if hasattr(module, "fit") and kind in module.KINDS]


def label_answers(
    setting: Setting,
    runner: Runner,
    tokenizer: Any,
    questions: Sequence[Question],
    labels: Sequence[str],
    *,
    work: str,
    tuned: bool = False,
    ask: Callable[[Question], Question] = lambda question: question,
) -> Answers:
    """Return the likeliest label of every question, with probabilities."""
    options = setting.options

    def scored(rows: Sequence[Question], name: str) -> LabelScores:
        shown = [ask(question) for question in rows]
        return score_labels(
            runner,
            tokenizer,
            shown,
            labels,
            context_length=setting.spec.context_length,
            tokens_per_block=options.tokens_per_block,
            work=name,
            watch=setting.watch,
        )

    neutral = _neutral(setting, scored)
    scores = scored(questions, work)
    references = [item.references for item in setting.items[: len(questions)]]
    metrics: dict[str, float] = {}
    probabilities: dict[str, NDArray[np.float64]] = {}
    texts: dict[str, list[str]] = {}
    for name, title in _NORMALISATIONS.items():
        this = _normalisation(name)
        bias = None if neutral is None else contextual_bias(neutral, this)
        probabilities[name] = scores.probabilities(this, bias=bias)
        best = scores.normalised(this, bias=bias).argmax(axis=1)
        texts[name] = ["" if long else labels[i] for i, long in zip(best, scores.too_long)]
        metrics[f"accuracy, {title}"] = float(accuracy.items(texts[name], references).mean())
    metrics["tokens shared"] = scores.sum_lengths / max(1, scores.packed_tokens)
    notes = [] if neutral is None else [f"calibrated: {options.calibration}"]
    if scores.too_long.any():
        notes.append(
            f"{int(scores.too_long.sum()):,} of {len(questions):,} questions are more than the "
            f"{setting.spec.context_length:,} tokens that the model reads and count as wrong"
        )
    return Answers(
        texts=texts[options.normalisation],
        probabilities=probabilities[options.normalisation],
        seconds_train=setting.training_seconds() if tuned else 0.0,
        ms_per_item=1000 * scores.seconds / max(1, len(questions)),
        mb_on_disk=setting.megabytes(tuned=tuned),
        note="; ".join(notes),
        metrics=metrics,
    )


_NORMALISATIONS = {"sum": "sum over the label", "token": "per token", "byte": "per UTF-8 byte"}


def _normalisation(name: str) -> Normalisation:
    assert name in _NORMALISATIONS, name
    return cast(Normalisation, name)


def _neutral(setting: Setting, scored: Callable[[Sequence[Question], str], LabelScores]) -> LabelScores | None:
    """Return the scores from which the bias of each normalisation is taken."""
    kind = setting.options.calibration
    if kind == "none":
        return None
    if kind == "contextual":
        return scored([prompt_messages(text, setting.task) for text in EMPTY_TEXTS], "calibrate")
    return scored([item.question for item in setting.train[:64]], "calibrate")


def _served(setting: Setting, speaker: models.Speaker, questions: Sequence[Question], labels: Sequence[str]) -> Answers:
    longest = max(len(speaker.tokenizer(label, add_special_tokens=False)["input_ids"]) for label in labels)
    texts, seconds = speaker.answer(questions, max_tokens=longest + 4, tuned=True, work="tuned, as served")
    readable = {label.strip() for label in labels}
    notes = speaker.faults(len(texts))
    unreadable = sum(text.strip() not in readable for text in texts) - speaker.too_long - speaker.failed
    if unreadable:
        notes.append(f"{unreadable:,} of {len(texts):,} answers are no label and count as wrong")
    return Answers(
        texts=texts,
        seconds_train=setting.training_seconds(),
        ms_per_item=1000 * seconds / max(1, len(questions)),
        mb_on_disk=setting.megabytes(tuned=True),
        note="; ".join(notes),
    )


def _entry(name: str, title: str, family: str, items: Sequence[Item], answers: Answers) -> Entry:
    values = accuracy.items(answers.texts, [item.references for item in items[: len(answers.texts)]])
    return Entry(name, title, family, answers, values)
