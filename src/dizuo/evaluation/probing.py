"""An untrained model on a sample of the user's own data: the figures by which to choose one, or to choose none.

    cheap_rows    what cheap baselines reach on the sample
    probe         what one untrained model shows
    recommend     which of the probed models to tune, and why

The sample comes from the training rows, so that the test rows stay unseen by the choice; cheap baselines are fitted on
the other training rows and scored on the same sample.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dizuo.data.rendering.conversations import Rendered
from dizuo.data.rendering.tokenizer import Tokenizer
from dizuo.errors import EvaluationError
from dizuo.evaluation.answering import models
from dizuo.evaluation.answering.likelihood import score_sequences
from dizuo.evaluation.choosing import choose_kind, choose_score
from dizuo.evaluation.figures.bits_per_byte import bits_per_byte
from dizuo.evaluation.kinds import TaskKind
from dizuo.evaluation.options import EvaluateOptions
from dizuo.evaluation.reporting.report import Row
from dizuo.evaluation.reporting.rows import compare, make_rows
from dizuo.evaluation.scoring import Score
from dizuo.evaluation.setting import TRAINING_ROWS, Setting
from dizuo.events import Finished, Warned, Watcher, ignore

if TYPE_CHECKING:
    from dizuo.data import Dataset
    from dizuo.models import ModelSpec
    from dizuo.trees import Runner

__all__ = ["Probe", "Recommendation", "cheap_rows", "probe", "recommend"]

LEVEL = 0.05
WRITTEN = 20
"""Items that a model, or a cheap baseline beside it, answers with text in a probe, where there are no labels."""
MONOTONE = 0.9
"""Share of the same answer from which on a model is said to give one answer."""
TEXT_BYTES = 1536
"""UTF-8 bytes of a text that are read: the same ones by every model, whatever its tokens are."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What one untrained model showed."""

    model: str
    """Name of the model."""
    address: str
    parameters: int
    licence: str | None
    licence_files: tuple[str, ...]
    """Texts of the licence on this machine."""
    notes: tuple[str, ...]
    """What a person should know of the model, and of its answers here."""
    row: Row
    """Its score on the sample, with its interval."""
    values: tuple[float, ...]
    """Per item of the sample, for paired tests."""
    metric: str
    bits_per_byte: float
    """Of the sample's texts: how well the model knows such text; comparable between models."""
    tokens_per_second: float
    """Tokens read per second on this machine."""
    memory_bytes: int
    """Estimated memory of answering, 512 tokens per pass. (What this process grows by says little: it reuses what an
    earlier candidate freed.)"""
    training_bytes: int
    """Estimated memory of LoRA training, 512 tokens per pass."""
    num_training: int
    """Rows outside of the sample: what the cheap baselines beside it are trained on."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One model, and why."""

    model: str
    address: str
    reason: str


def probe(
    spec: ModelSpec,
    data: Dataset,
    *,
    sample: int = 100,
    options: EvaluateOptions | None = None,
    watch: Watcher = ignore,
) -> Probe:
    """Return how an untrained model does on a sample of the training rows.

    Args:
        spec: the model.
        data: the user's data set.
        sample: items, at most a third of the training rows.
        options: see `EvaluateOptions`.
        watch: told about progress.

    Raises:
        EvaluationError: the data holds nothing that could be scored.
    """
    from dizuo.models import memory

    began = time.perf_counter()
    kind, score, setting = _sample(spec, data, sample, options or EvaluateOptions(), watch)
    assert kind.probe is not None
    with models.open_runner(setting, tuned=False) as (runner, tokenizer):
        bits, speed = _read_texts(setting, runner, tokenizer)
        entry = kind.probe(_answered(kind, setting), score, runner, tokenizer)
    (row,) = make_rows([entry], options=setting.options)
    answering = memory.estimate(spec, method="inference", tokens=512, sequence_length=256, trained_tokens=0)
    training = memory.estimate(spec, method="lora", tokens=512, sequence_length=256, trained_tokens=128)
    seconds = time.perf_counter() - began
    watch(Finished(f"probe {spec.id}", seconds, f"{score.name} {100 * row.score:.1f} %"))
    return Probe(
        model=spec.id,
        address=spec.source,
        parameters=spec.parameters,
        licence=spec.licence,
        licence_files=spec.licence_files,
        notes=(*spec.notes, *_monotone(entry.answers.texts)),
        row=row,
        values=tuple(float(value) for value in entry.values),
        metric=score.name,
        bits_per_byte=bits,
        tokens_per_second=speed,
        memory_bytes=answering.total,
        training_bytes=training.total,
        num_training=len(setting.train),
        seconds=seconds,
    )


def cheap_rows(
    data: Dataset, *, sample: int = 100, options: EvaluateOptions | None = None, watch: Watcher = ignore
) -> tuple[list[Row], dict[str, str]]:
    """Return the rows of the cheap baselines on the sample that `probe` uses, and which are absent, and why.

    They are fitted on the training rows outside of the sample.
    """
    kind, score, setting = _sample(None, data, sample, options or EvaluateOptions(), watch)
    assert kind.cheap is not None
    absent: dict[str, str] = {}
    entries = kind.cheap(_answered(kind, setting), score, absent)
    return make_rows(entries, options=setting.options), absent


def recommend(probes: Sequence[Probe], *, cheap: Sequence[Row] = ()) -> Recommendation:
    """Return the model to tune, and why.

    A model that is significantly better without training than every other wins. Before training, many models guess;
    then the one that knows the user's texts best wins (bits per byte, 2 % counts), then the faster one.

    Raises:
        EvaluationError: nothing was probed.
    """
    if not probes:
        raise EvaluationError("no model was probed", hint="give at least one model")
    best = max(probes, key=lambda candidate: candidate.row.score)
    others = [candidate for candidate in probes if candidate is not best]
    if not others:
        reason = f"the only candidate; {_percent(best)} untrained"
    elif all(_better(best, other) for other in others):
        runner_up = max(others, key=lambda candidate: candidate.row.score)
        reason = f"{_percent(best)} untrained, significantly more than {runner_up.model} ({_percent(runner_up)})"
    else:
        rivals = [candidate for candidate in probes if candidate is best or not _better(best, candidate)]
        knows = min(rivals, key=lambda candidate: candidate.bits_per_byte)
        near = [candidate for candidate in rivals if candidate.bits_per_byte <= 1.02 * knows.bits_per_byte]
        best = max(near, key=lambda candidate: candidate.tokens_per_second)
        scores = "their untrained scores cannot be told apart"
        if len(near) == 1:
            second = min((rival for rival in rivals if rival is not best), key=lambda rival: rival.bits_per_byte)
            reason = f"{scores}, and it knows your texts best: {best.bits_per_byte:.2f} bits per byte, "
            reason += f"{second.model} {second.bits_per_byte:.2f}"
        else:
            reason = f"{scores}, nor how well they know your texts, and it is the fastest"
            reason += f" ({best.tokens_per_second:,.0f} tokens/s)"
        reason += _price(best, rivals)
    top = max(cheap, key=lambda row: row.score, default=None)
    if top is not None and top.score > best.row.score:
        reason += (
            f". Without any language model, {top.title} gets {100 * top.score:.1f} % of the same items right: tune one "
            "if you need more than that"
        )
    return Recommendation(best.model, best.address, reason)


def _price(best: Probe, rivals: Sequence[Probe]) -> str:
    """Say what the choice costs where a rival reads twice as fast."""
    fastest = max(rivals, key=lambda candidate: candidate.tokens_per_second)
    ratio = fastest.tokens_per_second / best.tokens_per_second
    return f". It reads {ratio:.1f} times slower than {fastest.model}" if ratio >= 2 else ""


def _sample(
    spec: ModelSpec | None, data: Dataset, sample: int, options: EvaluateOptions, watch: Watcher
) -> tuple[TaskKind, Score, Setting]:
    """Return the kind of task, its score, and a sample of the training rows.

    Models are compared item by item, so a figure of the whole set is not their score: then it is the kind's own choice.
    """
    kind = None
    with contextlib.suppress(EvaluationError):
        kind = choose_kind(data.task)
    if data.task is None or kind is None or kind.probe is None or len(data.train) < 3:
        raise EvaluationError(
            "there are no questions with right answers to probe a model with",
            hint="give labelled rows, or questions with answers; at least three of them",
        )
    rows = kind.items(data.train, data.task, TRAINING_ROWS)
    count = max(1, min(sample, len(rows) // 3))
    score = choose_score(kind, rows[:count], asked=options.metric)
    if score.figure is not None:
        asked, score = score.title, choose_score(kind, rows[:count])
        watch(Warned(f"{asked} is a figure of the whole set; models are compared item by item, so by {score.title}"))
    setting = Setting(
        spec=spec,  # type: ignore[arg-type]  # cheap rows need no model
        data=data,
        task=data.task,
        items=rows[:count],
        train=rows[count:],
        options=replace(options, five_shot_items=0, curve=False),
        watch=watch,
    )
    return kind, score, setting


def _answered(kind: TaskKind, setting: Setting) -> Setting:
    """Return the setting with the items that are answered: the first ones, where answers are written."""
    return replace(setting, items=setting.items[:WRITTEN]) if kind.written else setting


def _monotone(answers: Sequence[str]) -> list[str]:
    """Say so where a model answers nearly everything with the same: its score is then that answer's share."""
    common, count = Counter(answers).most_common(1)[0]
    if len(answers) < 10 or count < MONOTONE * len(answers) or not common:
        return []
    return [f"untrained it answers {count:,} of {len(answers):,} with {common!r}"]


def _read_texts(setting: Setting, runner: Runner, tokenizer: Tokenizer) -> tuple[float, float]:
    """Return (bits per byte of the sample's texts, tokens read per second)."""
    rendered, texts = running_text(
        [item.text for item in setting.items], tokenizer, context_length=setting.spec.context_length
    )
    score_sequences(runner, rendered[:1])  # the first pass lays weights out and starts threads
    began = time.perf_counter()
    values = score_sequences(
        runner,
        rendered,
        tokens_per_block=setting.options.tokens_per_block,
        work=f"read with {setting.spec.id}",
        watch=setting.watch,
    )
    speed = sum(len(sequence.ids) for sequence in rendered) / (time.perf_counter() - began)
    return bits_per_byte(values, texts), speed


def running_text(
    texts: Sequence[str], tokenizer: Tokenizer, *, context_length: int
) -> tuple[list[Rendered], list[str]]:
    """Return texts as sequences of which exactly the texts are predicted, and the texts.

    A BOS stands in front (or the eos, where there is none), so that the first token is predicted, too; without either
    the sequence's first token has nothing before it, and its text is left out of what is returned. No eos follows: it
    is no byte of the text, and models differ in what it is to them. Texts are cut to `TEXT_BYTES`, and to what the
    model reads.

    Raises:
        EvaluationError: the texts are empty.
    """
    rendered, kept = [], []
    front = [token for token in (tokenizer.bos_token_id, tokenizer.eos_token_id) if token is not None][:1]
    for whole in texts:
        text = whole.encode("utf-8")[:TEXT_BYTES].decode("utf-8", "ignore")
        ids = _ids(tokenizer, text)
        while len(ids) > context_length - len(front):
            text = text[: len(text) * (context_length - len(front)) // len(ids)]
            ids = _ids(tokenizer, text)
        if not text.strip() or len(front) + len(ids) < 2:
            continue
        weights = np.ones(len(front) + len(ids), np.float32)
        weights[0] = 0.0
        rendered.append(Rendered(np.array([*front, *ids], np.int32), weights, 1))
        kept.append(text if front else tokenizer.decode(ids[1:]))
    if not rendered:
        raise EvaluationError("the sample has no text", hint="check the text column")
    return rendered, kept


def _ids(tokenizer: Tokenizer, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _better(candidate: Probe, other: Probe) -> bool:
    found = compare(np.array(candidate.values), np.array(other.values), options=EvaluateOptions(), bounded=False)
    return found.p < LEVEL and found.difference > 0


def _percent(candidate: Probe) -> str:
    return f"{100 * candidate.row.score:.1f} %"
