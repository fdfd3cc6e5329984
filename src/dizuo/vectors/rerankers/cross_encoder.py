"""Cross-encoders: query and text read together by a sequence classifier of transformers with one label.

Pairs are sorted by length and run in batches of so many tokens. The score is the raw logit.
Nogueira & Cho 2019, "Passage Re-ranking with BERT" (arXiv:1901.04085).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dizuo.artifacts import resolve
from dizuo.errors import VectorError
from dizuo.events import Watcher, ignore
from dizuo.vectors.embedders import refuse_half_characters, token_batches

__all__ = ["CrossEncoder", "open_reranker"]

BUDGET = 4096
"""Tokens of one batch."""


class CrossEncoder:
    """A classifier with its tokenizer; see `dizuo.vectors.rerankers.Reranker`."""

    def __init__(self, name: str, model: Any, tokenizer: Any, max_tokens: int) -> None:
        self.name, self.max_tokens = name, max_tokens
        self._model, self._tokenizer = model, tokenizer

    def __call__(self, query: str, texts: Sequence[str], /) -> list[float]:
        """Return one logit per text; of a pair that is too long, the text's end is not read."""
        import torch

        refuse_half_characters([query, *texts])
        if not texts:
            return []
        pairs = self._tokenizer(
            [query] * len(texts), list(texts), truncation="only_second", max_length=self.max_tokens, padding=False
        )
        rows = [{key: pairs[key][place] for key in pairs} for place in range(len(texts))]
        scores = [0.0] * len(texts)
        with torch.inference_mode():
            for batch in token_batches([len(row["input_ids"]) for row in rows], BUDGET):
                padded = self._tokenizer.pad([rows[place] for place in batch], return_tensors="pt")
                logits_B1 = self._model(**padded).logits.float()
                for place, score in zip(batch, logits_B1[:, 0].tolist(), strict=True):
                    scores[place] = score
        return scores


def open_reranker(rest: str, *, watch: Watcher = ignore, max_tokens: int | None = None) -> CrossEncoder:
    """Return the cross-encoder at an artifact's address or a path.

    Args:
        rest: the address.
        watch: hears of downloads.
        max_tokens: cut pairs earlier than the model must.

    Raises:
        VectorError: it is no classifier with exactly one label, or cannot be loaded.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    artifact = resolve(rest, watch=watch)
    folders = sorted(path.parent for path in Path(artifact.path).rglob("config.json"))
    if len(folders) != 1:
        raise VectorError(f"{rest} holds {len(folders)} models instead of one", hint="name the model's own folder")
    try:
        model: Any = AutoModelForSequenceClassification.from_pretrained(
            folders[0], dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        )
        tokenizer: Any = AutoTokenizer.from_pretrained(folders[0], trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise VectorError(f"{rest} cannot be loaded as a classifier: {error}", hint="is it a cross-encoder?") from error
    if model.config.num_labels != 1:
        raise VectorError(
            f"{rest} has {model.config.num_labels} labels, and a reranker has one",
            hint="name a cross-encoder for ranking, such as hf:cross-encoder/ms-marco-MiniLM-L6-v2",
        )
    limit = min(int(model.config.max_position_embeddings), int(tokenizer.model_max_length))
    return CrossEncoder(artifact.address, model.eval(), tokenizer, min(max_tokens or limit, limit))
