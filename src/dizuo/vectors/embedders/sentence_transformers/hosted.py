"""The forward pass of any other encoder, in transformers' own module: padded, but to nearly equal lengths."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dizuo.errors import VectorError

__all__ = ["HostedEncoder"]


class HostedEncoder:
    """An encoder of transformers.

    Args:
        folder: config.json and safetensors.
        dtype: of products, by torch's autocast; weights and what is returned are float32.

    Raises:
        VectorError: transformers cannot load it, or it would need code of its own.
    """

    def __init__(self, folder: Path, *, dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype
        from transformers import AutoConfig, AutoModel

        try:
            config: Any = AutoConfig.from_pretrained(folder, trust_remote_code=False)
            self.module: Any = AutoModel.from_pretrained(
                folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
            ).eval()
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise VectorError(f"{folder} cannot be loaded: {error}", hint="is it a model of transformers?") from error
        if getattr(config, "is_encoder_decoder", False):
            self.module = self.module.encoder
        self.dim = int(config.hidden_size)
        self.pad = int(config.pad_token_id or 0)

    @torch.inference_mode()
    def states(self, ids_T: NDArray[np.int64], lengths: Sequence[int]) -> NDArray[np.float32]:
        """Return [T, D], the last layer's states of sequences laid end to end."""
        rows = torch.split(torch.from_numpy(ids_T), list(lengths))
        ids_BL = torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=self.pad)
        sizes_B = torch.tensor(list(lengths))
        mask_BL = torch.arange(ids_BL.shape[1])[None] < sizes_B[:, None]
        with torch.autocast("cpu", torch.bfloat16, enabled=self.dtype != torch.float32):
            hidden_BLD = self.module(input_ids=ids_BL, attention_mask=mask_BL.long()).last_hidden_state
        states_TD: NDArray[np.float32] = hidden_BLD[mask_BL].float().numpy()
        return states_TD
