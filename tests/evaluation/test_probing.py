"""Bits per byte count the text's bytes and nothing else; cheap rows answer what the model answers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from evaluation_samples import questions, write_data

from dizuo import models
from dizuo.data import Task
from dizuo.errors import EvaluationError
from dizuo.evaluation import EvaluateOptions, cheap_rows, probe
from dizuo.evaluation.answering.likelihood import score_sequences
from dizuo.evaluation.figures.bits_per_byte import bits_per_byte
from dizuo.evaluation.probing import TEXT_BYTES, running_text
from dizuo.trees import Runner

TEXTS = ["the bank said", "今天天气很好", "x", "a new song of the year"]


@pytest.fixture(scope="module")
def model(spec: Any) -> models.Model:
    return models.load(spec)


def test_bits_per_byte_are_those_of_the_text_after_a_bos_and_without_an_eos(model: models.Model) -> None:
    rendered, texts = running_text(TEXTS, model.tokenizer, context_length=512)
    assert texts == TEXTS
    bits = bits_per_byte(score_sequences(Runner(model.module), rendered), texts)
    nats, size = 0.0, 0
    for text in TEXTS:
        ids = [model.tokenizer.bos_token_id, *model.tokenizer(text, add_special_tokens=False)["input_ids"]]
        with torch.no_grad():
            logs = torch.log_softmax(model.module(input_ids=torch.tensor([ids])).logits[0].double(), -1)
        nats -= sum(float(logs[i - 1, ids[i]]) for i in range(1, len(ids)))
        size += len(text.encode("utf-8"))
    assert bits == pytest.approx(nats / math.log(2) / size, rel=1e-5)


def test_a_model_that_knows_only_the_letters_needs_their_entropy(model: models.Model) -> None:
    # The byte-level tokenizer has one token per byte of this text; uniform over the vocabulary means log2 of its size.
    with torch.no_grad():
        flat = models.load(model.spec)
        flat.module.lm_head.weight.zero_()
    rendered, texts = running_text(["qzqz"], model.tokenizer, context_length=512)
    (ids,) = (one.ids.tolist() for one in rendered)
    assert len(ids) == 5
    bits = bits_per_byte(score_sequences(Runner(flat.module), rendered), texts)
    assert bits == pytest.approx(math.log2(len(model.tokenizer)), rel=1e-5)


def test_a_model_that_gives_one_answer_is_said_to(spec: Any, tmp_path: Path) -> None:
    from dizuo.evaluation.probing import _monotone

    assert _monotone(["a"] * 9 + ["b"]) == ["untrained it answers 9 of 10 with 'a'"]
    assert _monotone(["a"] * 8 + ["b", "c"]) == []
    assert _monotone([""] * 10) == []  # no answer is something else, and is said elsewhere
    assert _monotone(["a"] * 3) == []


class Bare:
    """A tokenizer of bytes with neither BOS nor eos."""

    bos_token_id = eos_token_id = None

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": list(text.encode("utf-8"))}

    def decode(self, ids: list[int]) -> str:
        return bytes(ids).decode("utf-8")


def test_without_bos_and_eos_the_first_token_is_in_neither_the_bits_nor_the_bytes() -> None:
    rendered, texts = running_text(["abc", "x", ""], Bare(), context_length=512)
    assert texts == ["bc"]
    assert rendered[0].weights.tolist() == [0, 1, 1]


def test_long_texts_are_cut_at_the_same_byte_for_every_model_and_never_inside_a_character(model: models.Model) -> None:
    whole = "x" + "天" * 2000
    ((one, text),) = zip(*running_text([whole], model.tokenizer, context_length=100_000))
    assert whole.startswith(text)
    assert TEXT_BYTES - 3 < len(text.encode("utf-8")) <= TEXT_BYTES
    short, texts = running_text([whole], model.tokenizer, context_length=512)
    assert 400 < len(short[0].ids) <= 512
    assert whole.startswith(texts[0])
    assert np.count_nonzero(one.weights) == len(one.ids) - 1


def test_texts_that_are_empty_are_said_to_be(model: models.Model) -> None:
    with pytest.raises(EvaluationError, match="the sample has no text"):
        running_text(["", " "], model.tokenizer, context_length=512)


def test_cheap_rows_answer_the_items_that_the_model_answers_in_writing(spec: Any, tmp_path: Path) -> None:
    data = write_data(tmp_path, train=questions(90), test=questions(3), task=Task("generation"))
    options = EvaluateOptions(max_tokens=8)
    one = probe(spec, data, sample=30, options=options)
    cheap, _ = cheap_rows(data, sample=30, options=options)
    assert [row.n for row in (one.row, *cheap)] == [20, 20]
