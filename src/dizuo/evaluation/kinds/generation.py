"""The rows of a task whose answers are written: nearest training answer, the untuned model, the tuned one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dizuo import plugins
from dizuo.data.rendering.conversations import Rendered, render_completion
from dizuo.errors import DataError
from dizuo.evaluation.answering import heads, models
from dizuo.evaluation.answering.answers import Absent, Answers
from dizuo.evaluation.answering.likelihood import score_sequences
from dizuo.evaluation.answering.shots import Shots
from dizuo.evaluation.baselines import untuned
from dizuo.evaluation.figures import perplexity
from dizuo.evaluation.kinds.classification import baseline, chosen_baselines
from dizuo.evaluation.reporting.rows import Entry
from dizuo.evaluation.setting import Item, Question, Setting
from dizuo.trees import Runner

__all__ = ["METRICS", "choose_metric", "entries", "item_values"]

METRICS = "dizuo.evaluation.metrics"
SHOWN = ("exact_match", "token_f1", "rouge_l", "chrf")
"""Metrics that every row of written answers shows besides its score."""


def choose_metric(items: Sequence[Item], *, asked: str) -> tuple[str, str]:
    """Return (the metric's name, why): what was asked for, or what the right answers look like.

    Raises:
        DizuoError: there is no such metric.
    """
    if asked != "auto":
        plugins.load(METRICS, asked, noun="metric")
        return asked, "asked for"
    answers = [item.answer for item in items]
    if answers and all(re.search(r"####\s*[-−]?[\d,.]+\s*$", answer) for answer in answers):
        return "number", "every answer ends in #### and a number"
    if answers and np.median([len(answer.split()) for answer in answers]) <= 3 and max(map(len, answers)) <= 60:
        return "exact_match", "answers are short"
    return "chrf", "answers are texts"


def item_values(metric: str, answers: Sequence[str], items: Sequence[Item]) -> NDArray[np.float64]:
    """Return what each of the first answers is worth, 0 to 1."""
    module = plugins.load(METRICS, metric, noun="metric")
    values: NDArray[np.float64] = module.items(answers, [item.references for item in items[: len(answers)]])
    return values


def entries(setting: Setting, metric: str, absent: dict[str, str]) -> list[Entry]:
    """Return every row's answers; what cannot be made here goes to `absent` with its reason."""
    options = setting.options
    setting.items = setting.items[: options.generation_items or None]
    questions = [item.question for item in setting.items]
    longest = max_tokens(setting)
    found: list[Entry] = []

    def add(name: str, title: str, family: str, answers: Answers) -> None:
        values = item_values(metric, answers.texts, setting.items)
        for other in SHOWN:
            shown = item_values(other, answers.texts, setting.items)
            answers.metrics[plugins.load(METRICS, other).TITLE] = float(shown.mean())
        found.append(Entry(name, title, family, answers, values))

    for name in chosen_baselines(setting):
        module = baseline(name)
        try:
            answer = module.fit(setting.training_rows, labels=(), options=options, watch=setting.watch)
            add(name, module.TITLE, "cheap", answer([item.text for item in setting.items]))
        except Absent as reason:
            absent[module.TITLE] = str(reason)

    head = heads.head_of(setting)
    with models.speaker(setting, tuned=setting.weights is not None and not options.untuned) as speaker:
        if options.untuned or not setting.tuned:
            answers = _written(setting, speaker, questions, longest, tuned=False, work="untuned")
            add("untuned", untuned.TITLE, "untuned", answers)
            shown, few = Shots(setting, ()), questions[: options.five_shot_items or None]
            try:
                context = speaker.engine.context_length
                ask = shown.prompts(speaker.tokenizer, few, room=longest, context_length=context)
                few = [ask(question) for question in few]
                answers = _written(setting, speaker, few, longest, tuned=False, work=shown.title)
                add("five_shot", shown.title, "untuned", answers)
            except Absent as reason:
                absent[shown.title] = str(reason)
        if setting.adapter is not None and head is None:
            answers = _written(setting, speaker, questions, longest, tuned=True, work="tuned")
            add("tuned", "tuned", "tuned", answers)
    if head is not None:
        found += heads.entries(setting, head, head.facts.labels)
    elif setting.weights is not None:
        with models.speaker(setting, tuned=True) as speaker:
            answers = _written(setting, speaker, questions, longest, tuned=True, work="tuned")
            add("tuned", "tuned", "tuned", answers)
    for entry in found:
        if entry.name == "untuned" or (entry.name == "tuned" and head is None):
            entry.answers.metrics.update(_surprise(setting, tuned=entry.name == "tuned"))
    return found


def max_tokens(setting: Setting) -> int:
    """Return how long an answer may become, in tokens."""
    if setting.options.max_tokens:
        return setting.options.max_tokens
    from dizuo.models import load_tokenizer

    tokenizer: Any = load_tokenizer(setting.spec)
    answers = [item.answer for item in setting.train[:2000]] or [""]
    longest = max(len(ids) for ids in tokenizer(answers, add_special_tokens=False)["input_ids"])
    return min(256, max(8, longest + longest // 4))


def _written(
    setting: Setting,
    speaker: models.Speaker,
    questions: Sequence[Question],
    longest: int,
    *,
    tuned: bool,
    work: str,
) -> Answers:
    texts, seconds = speaker.answer(questions, max_tokens=longest, tuned=tuned, work=work)
    notes = speaker.faults(len(texts))
    empty = sum(not text for text in texts) - speaker.too_long - speaker.failed
    if empty:
        notes.append(f"{empty:,} of {len(texts):,} answers are empty")
    return Answers(
        texts=texts,
        seconds_train=setting.training_seconds() if tuned else 0.0,
        ms_per_item=1000 * seconds / max(1, len(questions)),
        mb_on_disk=setting.megabytes(tuned=tuned),
        note="; ".join(notes),
    )


def _surprise(setting: Setting, *, tuned: bool) -> dict[str, float]:
    """Return perplexity and bits per byte of the right answers, token-weighted over the set."""
    with models.runner(setting, tuned=tuned) as (runner, tokenizer):
        values, texts = reference_logprobs(setting, runner, tokenizer)
    if not values:
        return {}
    return {
        "perplexity of the right answers": perplexity.value(values),
        "bits per byte of the right answers": perplexity.bits_per_byte(values, texts),
    }


def reference_logprobs(
    setting: Setting, runner: Runner, tokenizer: Any, *, work: str = "right answers"
) -> tuple[list[NDArray[np.float32]], list[str]]:
    """Return the log-probabilities of the right answers' tokens, end of turn included, and the answers."""
    rendered: list[Rendered] = []
    texts: list[str] = []
    for item in setting.items:
        try:
            sequence = render_completion(tokenizer, item.question, item.answer)
        except DataError:
            continue  # an answer that the template cannot write has no likelihood; its generation is scored above
        if len(sequence.ids) <= setting.spec.context_length:
            rendered.append(sequence)
            texts.append(item.answer)
    budget = setting.options.tokens_per_block
    return score_sequences(runner, rendered, tokens_per_block=budget, work=work, watch=setting.watch), texts
