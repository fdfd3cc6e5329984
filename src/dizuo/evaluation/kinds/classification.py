"""One label of several: cheap models, the untuned model without and with examples, the tuned one as scored and served.

A language model without a head is scored by the likelihood of every label over the token tree; with a head, by what
the head says. `tuned, as served` is what a user gets: text that the engine writes, or the head as the gateway asks it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from numpy.typing import NDArray

from dizuo.data import prompt_messages
from dizuo.data.rendering.tokenizer import Tokenizer
from dizuo.evaluation.answering import heads, models
from dizuo.evaluation.answering.answers import Absent, Answers
from dizuo.evaluation.answering.cheap import cheap_answers, choose_baselines
from dizuo.evaluation.answering.likelihood import LabelScores, Normalisation, contextual_bias, score_labels
from dizuo.evaluation.answering.shots import Shots
from dizuo.evaluation.baselines import untuned
from dizuo.evaluation.kinds import TaskKind
from dizuo.evaluation.metrics.accuracy import accuracy
from dizuo.evaluation.reporting import findings
from dizuo.evaluation.reporting.learning_curve import learning_curve
from dizuo.evaluation.reporting.parts import Sample
from dizuo.evaluation.reporting.report import Report
from dizuo.evaluation.reporting.rows import Entry
from dizuo.evaluation.scoring import Score
from dizuo.evaluation.setting import ChatPrompt, Question, Setting, items_of, labels_of
from dizuo.events import Note
from dizuo.trees import Runner

if TYPE_CHECKING:
    import numpy as np

    from dizuo.data import Task
    from dizuo.models.heads import HeadFacts

__all__ = ["EMPTY_TEXTS", "KIND"]

EMPTY_TEXTS = ("", "N/A", "[MASK]")
"""What Zhao et al. (2021) ask a model that should answer nothing in particular."""
_NORMALISATIONS = {"sum": "sum over the label", "token": "per token", "byte": "per UTF-8 byte"}


def _applies(task: Task, head: HeadFacts | None) -> bool:
    labelled = head is None or head.kind in ("classification", "multi_label")
    return task.kind == "classification" and not task.multi_label and labelled


def _entries(setting: Setting, score: Score, absent: dict[str, str]) -> list[Entry]:
    labels = labels_of(setting)
    entries = _cheap(setting, score, absent)
    options = setting.options
    questions = [item.question for item in setting.items]

    def add(name: str, title: str, family: str, answers: Answers) -> None:
        entries.append(score.entry(name, title, family, setting.items, answers, labels=labels))

    if options.untuned or not setting.tuned:
        with models.open_runner(setting, tuned=False) as (runner, tokenizer):
            setting.watch(Note(f"untuned model runs as {runner.choice.layout} ({runner.choice.reason})"))
            answers = _choose_labels(setting, runner, tokenizer, questions, labels, work="untuned")
            add("untuned", untuned.BASELINE.title, "untuned", answers)
            few = questions[: options.five_shot_items or None]
            shots = Shots(setting, labels)
            try:
                longest = max(len(tokenizer(label, add_special_tokens=False)["input_ids"]) for label in labels)
                ask = shots.prompts(tokenizer, few, room=longest + 1, context_length=setting.spec.context_length)
                answers = _choose_labels(setting, runner, tokenizer, few, labels, work=shots.title, ask=ask)
                add("five_shot", shots.title, "untuned", answers)
            except Absent as reason:
                absent[shots.title] = str(reason)
    if setting.head is not None:
        scored, served = heads.answer_with_head(setting, setting.head, labels)
        add("tuned", "tuned, as scored", "tuned", scored)
        add("served", "tuned, as served", "tuned", served)
    elif setting.tuned:
        with models.open_runner(setting, tuned=True) as (runner, tokenizer):
            answers = _choose_labels(setting, runner, tokenizer, questions, labels, work="tuned, as scored", tuned=True)
        add("tuned", "tuned, as scored", "tuned", answers)
        with models.open_speaker(setting, tuned=True) as speaker:
            answers = _write_labels(setting, speaker, questions[: options.served_items or None], labels)
        add("served", "tuned, as served", "tuned", answers)
    return entries


def _cheap(setting: Setting, score: Score, absent: dict[str, str]) -> list[Entry]:
    """Return the rows of the cheap baselines, in the order of their scores."""
    labels = labels_of(setting)
    baselines = choose_baselines(setting.options.baselines, answers=KIND.answers)
    entries = [
        score.entry(baseline.name, baseline.title, "cheap", setting.items, answers, labels=labels)
        for baseline, answers in cheap_answers(setting, baselines, absent, labels=labels)
    ]
    return sorted(entries, key=lambda entry: entry.score)


def _probe(setting: Setting, score: Score, runner: Runner, tokenizer: Tokenizer) -> Entry:
    labels, questions = labels_of(setting), [item.question for item in setting.items]
    work = f"label with {setting.spec.id}"
    answers = _choose_labels(setting, runner, tokenizer, questions, labels, work=work)
    return score.entry("untuned", setting.spec.id, "untuned", setting.items, answers, labels=labels)


def _findings(report: Report, setting: Setting, score: Score, entries: Sequence[Entry]) -> None:
    findings.add_label_findings(report, setting, entries)
    if setting.options.curve:
        report.curve = learning_curve(setting, score, entries)


def _samples(setting: Setting, entries: Sequence[Entry]) -> Sequence[Sample]:
    """Return a few items with what the untuned model writes and what the tuned one is served to say."""
    count = min(setting.options.samples, len(setting.items))
    if not count or setting.head is not None:
        return []
    written: dict[str, Sequence[str]] = {}
    if setting.options.untuned or not setting.tuned:
        with models.open_speaker(setting, tuned=False) as speaker:
            questions = [item.question for item in setting.items[:count]]
            written["untuned"], _ = speaker.answer(
                questions, max_tokens=findings.SAMPLE_TOKENS, tuned=False, work="untuned, a few answers"
            )
    for entry in entries:
        if entry.name == "served":
            written["tuned"] = entry.answers.texts[:count]
    return findings.side_by_side(setting, written, count=count, graded=False)


def _choose_labels(
    setting: Setting,
    runner: Runner,
    tokenizer: Tokenizer,
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
        shown = [question.messages for question in map(ask, rows) if not isinstance(question, str)]
        assert len(shown) == len(rows), "a label is an answer in a conversation"
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

    neutral = _neutral_scores(setting, scored)
    scores = scored(questions, work)
    references = [item.references for item in setting.items[: len(questions)]]
    metrics: dict[str, float] = {}
    probabilities: dict[str, NDArray[np.float64]] = {}
    texts: dict[str, list[str]] = {}
    for name, title in _NORMALISATIONS.items():
        how = cast(Normalisation, name)
        bias = None if neutral is None else contextual_bias(neutral, how)
        probabilities[name] = scores.probabilities(how, bias=bias)
        best = scores.normalised(how, bias=bias).argmax(axis=1)
        texts[name] = ["" if long else labels[i] for i, long in zip(best, scores.too_long)]
        metrics[f"accuracy, {title}"] = float(accuracy(texts[name], references).mean())
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


def _neutral_scores(setting: Setting, scored: Callable[[Sequence[Question], str], LabelScores]) -> LabelScores | None:
    """Return the scores from which the bias of each normalisation is taken."""
    how = setting.options.calibration
    if how == "none":
        return None
    if how == "contextual":
        return scored([ChatPrompt(prompt_messages(text, setting.task)) for text in EMPTY_TEXTS], "calibrate")
    return scored([item.question for item in setting.train[:64]], "calibrate")


def _write_labels(
    setting: Setting, speaker: models.Speaker, questions: Sequence[Question], labels: Sequence[str]
) -> Answers:
    """Return what the tuned model writes; text that is no label is wrong."""
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


KIND = TaskKind(
    title="classification",
    answers="label",
    applies=_applies,
    items=items_of,
    entries=_entries,
    default_metric=lambda items: ("accuracy", "answers are labels"),
    figures=("macro_f1", "brier", "calibration"),
    findings=_findings,
    samples=_samples,
    cheap=_cheap,
    probe=_probe,
)
