"""Answers that a language model writes through the engine, and how likely it finds the right ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dizuo.data.rendering.conversations import Rendered
from dizuo.data.rendering.tokenizer import Tokenizer
from dizuo.errors import DataError
from dizuo.evaluation.answering import models
from dizuo.evaluation.answering.answers import Absent, Answers, Likelihood
from dizuo.evaluation.answering.asking import render_answered
from dizuo.evaluation.answering.likelihood import score_sequences
from dizuo.evaluation.answering.shots import Shots
from dizuo.evaluation.baselines import untuned
from dizuo.evaluation.metrics import METRICS
from dizuo.evaluation.reporting.rows import Entry
from dizuo.evaluation.scoring import Score
from dizuo.evaluation.setting import Question, Setting

__all__ = ["max_tokens", "show_metrics", "untuned_entries", "with_likelihood", "write_answers"]

LONGEST, LONGEST_THOUGHT = 256, 2048
"""Most tokens of an answer, and of one with thoughts before it, unless `evaluate.max_tokens` says otherwise."""
SHOWN = ("exact_match", "token_f1", "rouge_l", "chrf")
"""Metrics that every row of written answers shows besides its score."""


def write_answers(
    setting: Setting,
    speaker: models.Speaker,
    questions: Sequence[Question],
    *,
    longest: int,
    tuned: bool,
    work: str,
) -> Answers:
    """Return what a model writes to each question.

    Args:
        setting: what is evaluated.
        speaker: the engine.
        questions: what the model is shown.
        longest: most tokens of an answer.
        tuned: ask the tuned model.
        work: name of the work in progress events.
    """
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


def untuned_entries(
    setting: Setting, score: Score, speaker: models.Speaker, absent: dict[str, str], *, longest: int
) -> list[Entry]:
    """Return the rows of the untuned model, without and with examples in its prompt."""
    options = setting.options
    questions = [item.question for item in setting.items]
    answers = write_answers(setting, speaker, questions, longest=longest, tuned=False, work="untuned")
    entries = [score.entry("untuned", untuned.BASELINE.title, "untuned", setting.items, answers)]
    shots, few = Shots(setting, ()), questions[: options.five_shot_items or None]
    try:
        context = speaker.engine.context_length
        ask = shots.prompts(speaker.tokenizer, few, room=longest, context_length=context)
        few = [ask(question) for question in few]
        answers = write_answers(setting, speaker, few, longest=longest, tuned=False, work=shots.title)
        entries.append(score.entry("five_shot", shots.title, "untuned", setting.items, answers))
    except Absent as reason:
        absent[shots.title] = str(reason)
    return entries


def max_tokens(setting: Setting) -> int:
    """Return how long an answer may become, in tokens."""
    if setting.options.max_tokens:
        return setting.options.max_tokens
    from dizuo.models import load_tokenizer

    tokenizer: Tokenizer = load_tokenizer(setting.spec)
    # The JSON of a call is about as long as what a template makes of it, marks around it not included.
    answers = [f"{item.thoughts}{item.answer}" for item in setting.train[:2000]] or [""]
    marks = 16 * any(item.turn is not None and item.turn.tool_calls for item in setting.train[:2000])
    longest = marks + max(len(ids) for ids in tokenizer(answers, add_special_tokens=False)["input_ids"])
    return min(LONGEST_THOUGHT if setting.task.thinking else LONGEST, max(8, longest + longest // 4))


def show_metrics(setting: Setting, entries: Sequence[Entry]) -> None:
    """Add the metrics that are shown beside the score to every entry's figures."""
    for entry in entries:
        texts = entry.answers.texts
        references = [item.references for item in setting.items[: len(texts)]]
        for metric in map(METRICS.load, SHOWN):
            entry.answers.metrics[metric.title] = float(metric.items(texts, references).mean())


def with_likelihood(setting: Setting, entry: Entry, *, tuned: bool) -> Entry:
    """Return an entry with how likely its model finds the right answers."""
    rendered: list[Rendered] = []
    texts: list[str] = []
    with models.open_runner(setting, tuned=tuned) as (runner, tokenizer):
        for item in setting.items:
            try:
                sequence = render_answered(tokenizer, item)
            except DataError:
                continue  # an answer that the template cannot write has no likelihood; what was written is scored
            if len(sequence.ids) <= setting.spec.context_length:
                rendered.append(sequence)
                texts.append(
                    item.answer if item.turn is None or not item.turn.tool_calls else _target(tokenizer, sequence)
                )
        budget = setting.options.tokens_per_block
        values = score_sequences(runner, rendered, tokens_per_block=budget, work="right answers", watch=setting.watch)
    if not values:
        return entry
    return replace(entry, answers=replace(entry.answers, likelihood=Likelihood(values, texts)))


def _target(tokenizer: Tokenizer, sequence: Rendered) -> str:
    """Return the text of a sequence's trained tokens: a call is as long as its template makes it."""
    return tokenizer.decode([int(token) for token in sequence.ids[sequence.weights > 0]])
