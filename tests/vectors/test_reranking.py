"""Rerankers: a tiny cross-encoder scores pairs as transformers does, one at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from dizuo.errors import VectorError
from dizuo.vectors.rerankers import open_reranker, reorder

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefgh"]
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}


def write_model(folder: Path, *, labels: int = 1) -> Any:
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    torch.manual_seed(2)
    config = BertConfig(vocab_size=len(WORDS), **SIZES, max_position_embeddings=24, num_labels=labels)
    module: Any = BertForSequenceClassification(config).eval()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    module.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(vocab={word: n for n, word in enumerate(WORDS)}, model_max_length=24).save_pretrained(folder)
    return module


def test_scores_are_those_of_the_classifier_one_pair_at_a_time(tmp_path: Path) -> None:
    module = write_model(tmp_path)
    reranker = open_reranker(str(tmp_path))
    texts = ["a b c", "", "d " * 40, "e", "f g h a b"]
    wanted = []
    for text in texts:
        query, body = [4, 5], [WORDS.index(word) for word in text.split()][: 24 - 5]
        ids = torch.tensor([[2, *query, 3, *body, 3]])
        types = torch.tensor([[0] * 4 + [1] * (len(body) + 1)])
        with torch.inference_mode():
            wanted.append(module(input_ids=ids, token_type_ids=types).logits.item())
    assert reranker("a b", texts) == pytest.approx(wanted, abs=1e-4)
    assert len({round(score, 3) for score in wanted}) > 3
    assert reranker("a b", []) == []


def test_what_is_no_reranker_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path, labels=3)
    with pytest.raises(VectorError, match="has 3 labels, and a reranker has one"):
        open_reranker(f"cross-encoder:{tmp_path}")


def test_reordering_keeps_ties_and_checks_the_scores() -> None:
    found = reorder(lambda query, texts: [len(text) for text in texts], "q", "xyz", ["b", "ccc", "a"], 3)
    assert found == [("y", 3.0), ("x", 1.0), ("z", 1.0)]
    with pytest.raises(VectorError, match="not finite"):
        reorder(lambda query, texts: [float("nan")], "q", "x", ["a"], 1)
