"""Classification by label likelihood: every label of a question is scored in one pass over the token tree.

A question's tree has the prompt once and one branch per label; many questions share the instruction. A label's score
is the sum of the log-probabilities of its tokens and of the end of turn, so that a label that is the beginning of
another one is scored as itself. Only label tokens reach the vocabulary projection.

Shapes: n questions, L labels.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from dizuo.data.rendering.conversations import Rendered, render_completions, render_prompt
from dizuo.data.rendering.tokenizer import Tokenizer
from dizuo.errors import EvaluationError
from dizuo.events import Finished, Progress, Started, Watcher, ignore
from dizuo.records import Message
from dizuo.trees import Runner, Sequences, common_prefix, count_packed, predicting_ids

__all__ = ["LabelScores", "Normalisation", "contextual_bias", "question_sequences", "score_labels", "score_sequences"]

Normalisation: TypeAlias = Literal["sum", "token", "byte"]
Floats: TypeAlias = NDArray[np.float64]
_TAIL = 8
"""Last tokens of a prompt that must agree before a label's ids are taken over from another question: the boundary
between prompt and label is the tokenizer's, and depends on what stands before it."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelScores:
    """Log-likelihoods of every label as the answer to every question."""

    sums: Floats
    """[n, L] Σ log p over the label's tokens and the end of turn, in nats; 0 for a question that is too long."""
    too_long: NDArray[np.bool_]
    """[n] questions that, with their longest label, are more than the model reads. They were not scored."""
    num_tokens: NDArray[np.int64]
    """[L] tokens of a label, the end of turn included."""
    num_bytes: NDArray[np.int64]
    """[L] UTF-8 bytes of a label's text, the end of turn not included."""
    seconds: float
    packed_tokens: int
    """Tokens that went through the model, each distinct prefix of a pass once."""
    sum_lengths: int
    """The same without sharing: every label with its own copy of the prompt."""

    def normalised(self, how: Normalisation = "sum", *, bias: Floats | None = None) -> Floats:
        """Return [n, L] scores to compare: the sum, per token, or per UTF-8 byte; minus `bias` [L] where given."""
        sums = self.sums if bias is None else self.sums - bias
        if how == "sum":
            return sums
        return sums / (self.num_tokens if how == "token" else self.num_bytes)

    def probabilities(self, how: Normalisation = "sum", *, bias: Floats | None = None) -> Floats:
        """Return [n, L] the softmax of the scores over the labels; uniform where the question is too long."""
        values = softmax(self.normalised(how, bias=bias))
        values[self.too_long] = 1 / values.shape[1]
        return values


def score_labels(
    runner: Runner,
    tokenizer: Tokenizer,
    questions: Sequence[Sequence[Message]],
    labels: Sequence[str],
    *,
    context_length: int | None = None,
    tokens_per_block: int = 2048,
    work: str = "score labels",
    watch: Watcher = ignore,
) -> LabelScores:
    """Return the log-likelihood of every label as the answer to every question.

    Past its context length a model's figures mean nothing, though it gives some: such questions are not scored but
    counted, and it is the caller who has to take them for wrong.

    Args:
        runner: the model.
        tokenizer: its tokenizer, with a chat template.
        questions: per item the messages up to the answer.
        labels: the possible answers; at least two, all different.
        context_length: most tokens of a question with a label and the end of turn; None is no limit.
        tokens_per_block: packed tokens of one forward pass; a question is never split.
        work: name of the work in progress events.
        watch: told about progress.

    Raises:
        EvaluationError: labels that cannot be told apart.
    """
    if len(labels) < 2 or len(set(labels)) != len(labels):
        raise EvaluationError(
            f"there are {len(set(labels))} different labels, and a choice needs at least two",
            hint="check the label column",
        )
    began = time.perf_counter()
    watch(Started(work, len(questions), "questions"))
    sums: list[Floats] = []
    lengths: NDArray[np.int64] | None = None
    packed = total = 0
    fitting: list[bool] = []

    def fit() -> Iterator[list[Rendered]]:
        for sequences in question_sequences(tokenizer, questions, labels):
            longest = max(len(sequence.ids) for sequence in sequences)
            fitting.append(context_length is None or longest <= context_length)
            if fitting[-1]:
                yield sequences

    for block in _blocks(fit(), tokens_per_block):
        flat = [sequence for question in block for sequence in question]
        if lengths is None:
            lengths = np.array([np.count_nonzero(sequence.weights) for sequence in flat[: len(labels)]])
        values, size = _forward(runner, flat)
        packed += size
        total += sum(len(_read(sequence)) for sequence in flat)
        sums.append(np.array([value.sum(dtype=np.float64) for value in values]).reshape(len(block), len(labels)))
        done = sum(len(part) for part in sums)
        passed = time.perf_counter() - began
        rate = done / passed
        watch(Progress(work, done, len(questions), "questions", rate, (len(questions) - done) / rate))
    seconds = time.perf_counter() - began
    kept = np.array(fitting, bool)
    table = np.zeros((len(kept), len(labels)))
    if sums:
        table[kept] = np.concatenate(sums)
    if not np.isfinite(table).all():
        raise EvaluationError(
            "the model gives label scores that are not finite", hint="check its weights: dizuo doctor"
        )
    watch(Finished(work, seconds, f"{len(questions):,} questions × {len(labels)} labels"))
    return LabelScores(
        sums=table,
        too_long=~kept,
        num_tokens=np.ones(len(labels), np.int64) if lengths is None else lengths,
        num_bytes=np.array([max(1, len(label.encode("utf-8"))) for label in labels]),
        seconds=seconds,
        packed_tokens=packed,
        sum_lengths=total,
    )


def score_sequences(
    runner: Runner,
    sequences: Sequence[Rendered],
    *,
    tokens_per_block: int = 2048,
    work: str = "score",
    watch: Watcher = ignore,
) -> list[NDArray[np.float32]]:
    """Return the log-probabilities of every sequence's weighted tokens, in their order, in nats."""
    began = time.perf_counter()
    watch(Started(work, len(sequences), "sequences"))
    values: list[NDArray[np.float32]] = []
    for block in _blocks(([sequence] for sequence in sequences), tokens_per_block):
        values += _forward(runner, [question[0] for question in block])[0]
        passed = time.perf_counter() - began
        rate = len(values) / passed
        watch(Progress(work, len(values), len(sequences), "sequences", rate, (len(sequences) - len(values)) / rate))
    watch(Finished(work, time.perf_counter() - began))
    return values


def question_sequences(
    tokenizer: Tokenizer, questions: Iterable[Sequence[Message]], labels: Sequence[str]
) -> Iterator[list[Rendered]]:
    """Yield, per question, one sequence per label.

    Labels are encoded after the prompt they follow; their ids are taken over for later questions whose prompt ends
    in the same tokens (the generation prompt of the template), which saves a rendering per label and question.

    Raises:
        EvaluationError: two labels have the same tokens, or one has none.
    """
    tail: list[int] = []
    ends: list[NDArray[np.int32]] = []
    for messages in questions:
        prompt = render_prompt(tokenizer, messages)
        if not ends or prompt[-_TAIL:] != tail or len(prompt) < _TAIL:
            first = render_completions(tokenizer, messages, labels)
            tail, ends = prompt[-_TAIL:], [sequence.ids[len(prompt) :] for sequence in first]
            _must_differ(labels, ends)
        head = np.asarray(prompt, np.int32)
        nothing = np.zeros(len(prompt), np.float32)
        yield [
            Rendered(
                ids=np.concatenate((head, end)),
                weights=np.concatenate((nothing, np.ones(len(end), np.float32))),
                num_prompt=len(prompt),
            )
            for end in ends
        ]


def contextual_bias(scores: LabelScores, how: Normalisation = "sum") -> Floats:
    """Return [L] the log of the mean probability of each label over questions that say nothing.

    Zhao et al., 2021 (arXiv:2102.09690): dividing by it takes out what the model prefers without reading. It is in
    the units of `normalised`'s sums, and belongs to the normalisation that it was made for. Questions that are too long
    do not count.
    """
    if scores.too_long.all():
        raise EvaluationError(
            "there are no questions to calibrate with", hint="set evaluate.calibration to none, or add training rows"
        )
    mean = scores.probabilities(how)[~scores.too_long].mean(axis=0)
    logs: Floats = np.log(np.maximum(mean, 1e-30))
    if how == "sum":
        return logs
    sizes = scores.num_tokens if how == "token" else scores.num_bytes
    return logs * sizes.astype(np.float64)


def softmax(values: Floats) -> Floats:
    """Return the softmax over the last axis."""
    shifted = np.exp(values - values.max(axis=-1, keepdims=True))
    result: Floats = shifted / shifted.sum(axis=-1, keepdims=True)
    return result


@torch.no_grad()
def _forward(runner: Runner, sequences: Sequence[Rendered]) -> tuple[list[NDArray[np.float32]], int]:
    """Return the log-probabilities of every sequence's weighted tokens, and how many tokens went through the model."""
    outputs = runner.forward(Sequences(tuple(s.ids for s in sequences), tuple(s.weights for s in sequences)))
    counts = [int(np.count_nonzero(sequence.weights)) for sequence in sequences]
    return np.split(outputs.logprobs.float().cpu().numpy(), np.cumsum(counts)[:-1]), outputs.num_tokens


def _blocks(questions: Iterable[list[Rendered]], budget: int) -> Iterator[list[list[Rendered]]]:
    """Group whole questions into passes of at most `budget` packed tokens; one that is larger runs alone.

    What a question shares with the one before it is taken from their first sequences; a pass may share more.
    """
    block: list[list[Rendered]] = []
    size, before = 0, np.empty(0, np.int32)
    for question in questions:
        read = [_read(sequence) for sequence in question]
        alone = count_packed(read)
        added = alone - common_prefix(before, read[0])
        if block and size + added > budget:
            yield block
            block, size, added = [], 0, alone
        block.append(question)
        size, before = size + added, read[0]
    if block:
        yield block


def _read(sequence: Rendered) -> NDArray[np.int32]:
    return predicting_ids(sequence.ids, sequence.weights)


def _must_differ(labels: Sequence[str], ends: Sequence[NDArray[np.int32]]) -> None:
    seen: dict[bytes, str] = {}
    for label, end in zip(labels, ends, strict=True):
        if len(end) < 2:
            raise EvaluationError(f"the label {label!r} has no tokens of its own", hint="rename it")
        if end.tobytes() in seen:
            raise EvaluationError(
                f"the labels {seen[end.tobytes()]!r} and {label!r} are the same tokens to this model",
                hint="rename one of them",
            )
        seen[end.tobytes()] = label
