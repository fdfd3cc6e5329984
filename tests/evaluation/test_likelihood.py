"""Label likelihood against one sequence at a time through transformers, and what must hold for any labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from dizuo import models
from dizuo.data.rendering.conversations import render_completions
from dizuo.errors import EvaluationError
from dizuo.evaluation.answering.likelihood import contextual_bias, question_sequences, score_labels, softmax
from dizuo.records import Message
from dizuo.trees import Runner, Sequences, common_prefix, count_packed

LABELS = ("sport", "sports news", "sport and music", "政治", "music")


@pytest.fixture(scope="module")
def model(spec: Any) -> models.Model:
    return models.load(spec)


@pytest.fixture(scope="module")
def runner(model: models.Model) -> Runner:
    return Runner(model.module)


def ask(*texts: str) -> list[tuple[Message, ...]]:
    return [(Message("user", f"Which section is this?\n\n{text}"),) for text in texts]


QUESTIONS = ask("the match", "the bank said", "a song of the season 今天", "the match of the year", "x")


def brute_force(spec: Any, questions: list[tuple[Message, ...]], labels: tuple[str, ...]) -> np.ndarray:
    """Score every question and label on its own, with transformers' logits."""
    model = models.load(spec)
    out = np.zeros((len(questions), len(labels)))
    for q, question in enumerate(questions):
        for k, rendered in enumerate(render_completions(model.tokenizer, question, labels)):
            ids = torch.from_numpy(rendered.ids.astype(np.int64))[None]
            with torch.no_grad():
                logs = torch.log_softmax(model.module(input_ids=ids).logits[0].double(), -1)
            places = np.flatnonzero(rendered.weights)
            out[q, k] = sum(float(logs[p - 1, rendered.ids[p]]) for p in places)
    return out


@pytest.mark.parametrize("budget", [1, 60, 100_000])
def test_label_scores_equal_one_sequence_at_a_time(spec: Any, model: models.Model, runner: Runner, budget: int) -> None:
    scores = score_labels(runner, model.tokenizer, QUESTIONS, LABELS, tokens_per_block=budget)
    assert np.abs(scores.sums - brute_force(spec, QUESTIONS, LABELS)).max() < 1e-5 * np.abs(scores.sums).max()
    assert np.isfinite(scores.sums).all()


def test_questions_share_their_prompt_and_more_so_in_larger_passes(model: models.Model, runner: Runner) -> None:
    small = score_labels(runner, model.tokenizer, QUESTIONS, LABELS, tokens_per_block=1)
    large = score_labels(runner, model.tokenizer, QUESTIONS, LABELS, tokens_per_block=100_000)
    assert small.sum_lengths == large.sum_lengths > 2 * small.packed_tokens
    assert large.packed_tokens < small.packed_tokens


@pytest.mark.parametrize("budget", [1, 40, 90, 200, 100_000])
def test_tokens_are_counted_as_the_runner_reads_them_and_passes_are_filled(
    model: models.Model, runner: Runner, monkeypatch: pytest.MonkeyPatch, budget: int
) -> None:
    labels = (
        "sport",
        "business",
        "a song",
        "a story",
        "sports",
        "a",
    )  # not sorted: neighbours share less than the tree
    passes: list[tuple[int, int]] = []
    forward = runner.forward

    def recorded(sequences: Sequences, **options: Any) -> Any:
        outputs = forward(sequences, **options)
        passes.append((len(sequences) // len(labels), outputs.num_tokens))
        return outputs

    monkeypatch.setattr(runner, "forward", recorded)
    found = score_labels(runner, model.tokenizer, QUESTIONS, labels, tokens_per_block=budget)
    assert found.packed_tokens == sum(size for _, size in passes)
    assert all(size <= budget or questions == 1 for questions, size in passes)
    read = [
        [sequence.ids[:-1] for sequence in sequences]
        for sequences in question_sequences(model.tokenizer, QUESTIONS, labels)
    ]
    for end, (_, size) in zip(np.cumsum([questions for questions, _ in passes])[:-1], passes, strict=False):
        # A pass ends where the next question, less what it shares with the one before, would not have fitted.
        assert size + count_packed(read[end]) - common_prefix(read[end - 1][0], read[end][0]) > budget
    every = question_sequences(model.tokenizer, QUESTIONS, labels)
    # The end of turn is predicted and never read.
    assert found.sum_lengths == sum(len(sequence.ids) - 1 for sequences in every for sequence in sequences)


def test_the_end_of_turn_is_scored_so_that_a_label_is_not_its_own_beginning(model: models.Model) -> None:
    (sequences,) = question_sequences(model.tokenizer, QUESTIONS[:1], LABELS)
    (end,) = models.end_of_turn_ids(model.tokenizer)[:1]
    for sequence in sequences:
        assert sequence.ids[-1] == end
        assert sequence.weights[-1] == 1
        assert not sequence.weights[: sequence.num_prompt].any()
        assert sequence.weights[sequence.num_prompt :].all()


def test_a_label_that_begins_another_can_win_and_lose(spec: Any, model: models.Model, runner: Runner) -> None:
    labels = ("a", "a b")
    scores = score_labels(runner, model.tokenizer, QUESTIONS, labels)
    # Without the end of turn "a" would beat "a b" always, since its tokens are a part of the other's.
    (sequences,) = question_sequences(model.tokenizer, QUESTIONS[:1], labels)
    first, second = (sequence.ids[sequence.num_prompt : -1] for sequence in sequences)
    assert second[: len(first)].tolist() == first.tolist()
    without = score_sums_without_end(spec, labels)
    assert (without[:, 0] >= without[:, 1]).all()
    assert np.allclose(scores.sums, brute_force(spec, QUESTIONS, labels), atol=1e-4)


def score_sums_without_end(spec: Any, labels: tuple[str, ...]) -> np.ndarray:
    """The mistake: the same sums, with the end of turn left out."""
    model = models.load(spec)
    out = np.zeros((len(QUESTIONS), len(labels)))
    for q, question in enumerate(QUESTIONS):
        for k, rendered in enumerate(render_completions(model.tokenizer, question, labels)):
            ids = torch.from_numpy(rendered.ids.astype(np.int64))[None]
            with torch.no_grad():
                logs = torch.log_softmax(model.module(input_ids=ids).logits[0].double(), -1)
            places = np.flatnonzero(rendered.weights)[:-1]
            out[q, k] = sum(float(logs[p - 1, rendered.ids[p]]) for p in places)
    return out


def test_labels_taken_over_from_another_question_are_what_rendering_gives(model: models.Model) -> None:
    several = [*QUESTIONS, (Message("user", "hi"), Message("assistant", "yes"), Message("user", "and now?"))]
    for question, sequences in zip(several, question_sequences(model.tokenizer, several, LABELS), strict=True):
        for ours, theirs in zip(sequences, render_completions(model.tokenizer, question, LABELS), strict=True):
            assert ours.ids.tolist() == theirs.ids.tolist()
            assert ours.weights.tolist() == theirs.weights.tolist()


def test_normalisations_differ_where_labels_differ_in_length(model: models.Model, runner: Runner) -> None:
    labels = ("政治", "music", "a very long label of many words")
    scores = score_labels(runner, model.tokenizer, QUESTIONS, labels)
    assert scores.num_bytes.tolist() == [6, 5, 31]
    assert scores.num_tokens[2] > scores.num_tokens[1]
    assert np.allclose(scores.normalised("token") * scores.num_tokens, scores.sums)
    assert np.allclose(scores.normalised("byte") * scores.num_bytes, scores.sums)
    winners = {how: tuple(scores.normalised(how).argmax(1)) for how in ("sum", "token", "byte")}  # type: ignore[arg-type]
    assert len(set(winners.values())) > 1
    assert np.allclose(scores.probabilities().sum(1), 1)


def test_the_bias_takes_out_what_the_model_prefers_without_reading(model: models.Model, runner: Runner) -> None:
    empty = score_labels(runner, model.tokenizer, ask("", "N/A"), LABELS)
    bias = contextual_bias(empty)
    assert np.allclose(np.exp(bias), empty.probabilities().mean(0))
    # Asked the empty question itself, the calibrated model knows nothing.
    one = score_labels(runner, model.tokenizer, ask(""), LABELS)
    assert np.allclose(one.probabilities(bias=contextual_bias(one)), 1 / len(LABELS))
    for how in ("token", "byte"):
        again = one.probabilities(how, bias=contextual_bias(one, how))  # type: ignore[arg-type]
        assert np.allclose(again, 1 / len(LABELS))


def test_one_label_and_repeated_labels_are_refused(model: models.Model, runner: Runner) -> None:
    for labels in (("a",), ("a", "a")):
        with pytest.raises(EvaluationError, match="at least two"):
            score_labels(runner, model.tokenizer, QUESTIONS, labels)


def test_a_label_without_text_is_refused(model: models.Model, runner: Runner) -> None:
    with pytest.raises(EvaluationError, match="no tokens of its own"):
        score_labels(runner, model.tokenizer, QUESTIONS, ("a", ""))


def test_labels_that_are_the_same_tokens_to_the_model_are_refused_by_their_names(spec: Any) -> None:
    from tokenizers import normalizers

    tokenizer = models.load(spec).tokenizer
    assert len(list(question_sequences(tokenizer, QUESTIONS[:1], ("sport", "music", "Sport")))) == 1
    tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    tokenizer = type(tokenizer)(
        tokenizer_object=tokenizer.backend_tokenizer, bos_token=tokenizer.bos_token, eos_token=tokenizer.eos_token,
        chat_template=tokenizer.chat_template,
    )  # fmt: skip
    with pytest.raises(EvaluationError) as caught:
        list(question_sequences(tokenizer, QUESTIONS[:1], ("sport", "music", "Sport")))
    assert str(caught.value) == (
        "the labels 'sport' and 'Sport' are the same tokens to this model\n\nhint: rename one of them"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("asked", [QUESTIONS[:3], QUESTIONS[2:3]], ids=["of some questions", "of all questions"])
def test_scores_that_are_no_numbers_are_refused(spec: Any, asked: list[tuple[Message, ...]], value: float) -> None:
    broken = models.load(spec)
    module: Any = broken.module
    runner = Runner(module, layout="padded")
    module.lm_head.weight = torch.nn.Parameter(module.lm_head.weight.detach().clone())  # tied until here
    with torch.no_grad():
        module.model.embed_tokens.weight[broken.tokenizer("今").input_ids[0]] = value
    assert np.isfinite(score_labels(runner, broken.tokenizer, QUESTIONS[:2], LABELS).sums).all()
    with pytest.raises(EvaluationError) as caught:
        score_labels(runner, broken.tokenizer, asked, LABELS)
    assert str(caught.value) == (
        "the model gives label scores that are not finite\n\nhint: check its weights: dizuo doctor"
    )


def test_a_question_fits_until_its_longest_label_is_longer_than_the_context(
    model: models.Model, runner: Runner
) -> None:
    longest = [
        max(len(sequence.ids) for sequence in sequences)
        for sequences in question_sequences(model.tokenizer, QUESTIONS, LABELS)
    ]
    limit = sorted(longest)[2]
    assert max(longest) > limit > min(longest)
    for context_length in (limit, limit - 1):
        found = score_labels(runner, model.tokenizer, QUESTIONS, LABELS, context_length=context_length)
        assert found.too_long.tolist() == [length > context_length for length in longest]
    assert not score_labels(runner, model.tokenizer, QUESTIONS, LABELS).too_long.any()


@pytest.mark.parametrize("budget", [1, 100_000])
def test_the_tokens_of_a_label_are_counted_with_its_end_of_turn_and_without_the_question(
    model: models.Model, runner: Runner, budget: int
) -> None:
    (sequences,) = question_sequences(model.tokenizer, QUESTIONS[:1], LABELS)
    expected = [len(sequence.ids) - sequence.num_prompt for sequence in sequences]
    assert len(set(expected)) > 1
    found = score_labels(runner, model.tokenizer, QUESTIONS, LABELS, tokens_per_block=budget)
    assert found.num_tokens.tolist() == expected


def test_softmax_survives_large_scores() -> None:
    assert softmax(np.array([[-1e4, -1e4 - 1]]))[0].sum() == pytest.approx(1)
