"""Cross-encoders: query and text read together by a sequence classifier of transformers with one label.

Pairs are sorted by length and run in batches of so many tokens. The score is the raw logit.
Nogueira & Cho 2019, "Passage Re-ranking with BERT" (arXiv:1901.04085).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dizuo.artifacts import resolve
from dizuo.errors import VectorError
from dizuo.events import Watcher
from dizuo.vectors.knowledge.text_models import batch_by_tokens, check_texts
from dizuo.vectors.rerankers import RerankerKind
from dizuo.vectors.writing.choices import check_list

__all__ = ["RERANKER", "CrossEncoder"]

BUDGET = 4096
"""Tokens of one batch."""


@dataclass(frozen=True, slots=True)
class Options:
    """What `open_reranker` takes for a cross-encoder."""

    max_tokens: int | None = None
    """Cut pairs earlier than the model must."""


class CrossEncoder:
    """A classifier with its tokenizer; see `dizuo.vectors.rerankers.Reranker`."""

    def __init__(self, name: str, model: Any, tokenizer: Any, max_tokens: int) -> None:
        self.name, self.max_tokens = name, max_tokens
        self._model, self._tokenizer = model, tokenizer

    def __call__(self, query: str, texts: Sequence[str], /) -> list[float]:
        """Return one logit per text; of a pair that is too long, the text's end is not read."""
        import torch

        check_list(texts, noun="texts")
        check_texts([query, *texts])
        if not texts:
            return []
        pairs = self._tokenizer(
            [query] * len(texts), list(texts), truncation="only_second", max_length=self.max_tokens, padding=False
        )
        rows = [{key: pairs[key][row] for key in pairs} for row in range(len(texts))]
        scores = [0.0] * len(texts)
        with torch.inference_mode():
            for batch in batch_by_tokens([len(row["input_ids"]) for row in rows], BUDGET):
                padded = self._tokenizer.pad([rows[index] for index in batch], return_tensors="pt")
                logits_B1 = self._model(**padded).logits.float()
                for index, score in zip(batch, logits_B1[:, 0].tolist(), strict=True):
                    scores[index] = score
        return scores


def open_cross_encoder(address: str, options: Options, watch: Watcher) -> CrossEncoder:
    """Return the cross-encoder at an artifact's address or a path.

    Raises:
        VectorError: it is no classifier with exactly one label, or cannot be loaded.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    artifact = resolve(address, watch=watch)
    folders = sorted(path.parent for path in Path(artifact.path).rglob("config.json"))
    if len(folders) != 1:
        raise VectorError(f"{address} holds {len(folders)} models instead of one", hint="name the model's own folder")
    try:
        model: Any = AutoModelForSequenceClassification.from_pretrained(
            folders[0], dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        )
        tokenizer: Any = AutoTokenizer.from_pretrained(folders[0], trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise VectorError(
            f"{address} cannot be loaded as a classifier: {error}", hint="is it a cross-encoder?"
        ) from error
    if model.config.num_labels != 1:
        raise VectorError(
            f"{address} has {model.config.num_labels} labels, and a reranker has one",
            hint="name a cross-encoder for ranking, such as hf:cross-encoder/ms-marco-MiniLM-L6-v2",
        )
    limit = min(int(model.config.max_position_embeddings), int(tokenizer.model_max_length))
    return CrossEncoder(artifact.address, model.eval(), tokenizer, min(options.max_tokens or limit, limit))


RERANKER = RerankerKind(options=Options, open=open_cross_encoder)
