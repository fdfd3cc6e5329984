"""The parts of a causal language model that every way to run it needs: decoder, vocabulary projection, dtypes, device.

Shapes: R distinct predicting states, E predicted tokens (several may hang under one state), D hidden, V vocabulary.
"""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dizuo.errors import ModelError
from dizuo.trees.casting import FrozenCast
from dizuo.trees.head import HeadForm, selected_logprobs

__all__ = ["ModelParts"]


class ModelParts:
    """A transformers causal language model, taken apart.

    Args:
        module: the model, plain or wrapped by PEFT.
        compute_dtype: dtype of activations and products; None is the dtype of the weights.

    Raises:
        ModelError: it has no vocabulary projection of its own, or an adapter on it.
    """

    def __init__(self, module: nn.Module, *, compute_dtype: torch.dtype | None = None) -> None:
        self.module = module
        self.base = _without_wrapper(module)
        """transformers' model without PEFT's wrapper; adapters stay in its layers."""
        self.decoder, self.head = _decoder_and_head(self.base)
        self.config: Any = self.base.config.get_text_config()
        self.device: torch.device = self.head.weight.device
        self.weight_dtype = self.head.weight.dtype
        self.dtype = compute_dtype or self.weight_dtype
        self._head_cast = FrozenCast()
        self._head_form = _head_form(self.config)

    def tensor(self, array: NDArray[Any]) -> Tensor:
        """Return an array on the model's device."""
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def casting(self) -> contextlib.AbstractContextManager[Any]:
        """Run transformers' modules in the compute dtype when it is not that of the weights."""
        if self.dtype == self.weight_dtype:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def logprobs(
        self,
        states: Tensor,
        state_R: NDArray[Any],
        row_E: NDArray[Any],
        token_E: NDArray[Any],
        *,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """Return [E] log-probabilities of tokens in nats, differentiable in the states and in the projection.

        Args:
            states: [any number, D] hidden states after the final norm.
            state_R: which of the states predict anything.
            row_E: which entry of `state_R` predicts each token.
            token_E: ids of the predicted tokens.
            dtype: of the products, instead of the compute dtype.
        """
        order_E = np.argsort(row_E, kind="stable")
        back_E = np.empty_like(order_E)
        back_E[order_E] = np.arange(len(order_E))
        hidden_RD, weight_VD = states[self.tensor(state_R)].to(dtype or self.dtype), self.head.weight
        if not weight_VD.requires_grad:
            # To cast a table of 49,152 × 576 takes a tenth of the time of a step's products, so it is done once.
            weight_VD = self._head_cast(weight_VD, hidden_RD.dtype, weight_VD._version)
        ascending_E = selected_logprobs(
            hidden_RD,
            weight_VD,
            getattr(self.head, "bias", None),
            row_E=self.tensor(row_E[order_E]),
            token_E=self.tensor(token_E[order_E]),
            form=self._head_form,
        )
        return ascending_E[self.tensor(back_E)]


def _without_wrapper(module: nn.Module) -> Any:
    unwrap = getattr(module, "get_base_model", None)
    return module if unwrap is None else unwrap()


def _decoder_and_head(base: Any) -> tuple[nn.Module, nn.Linear]:
    """Return the decoder and the vocabulary projection of a causal language model."""
    decoder, head = getattr(base, base.base_model_prefix, None), base.get_output_embeddings()
    if decoder is None or head is None or not hasattr(head, "weight"):
        raise ModelError(f"{type(base).__name__} has no decoder with a vocabulary projection of its own")
    if getattr(head, "lora_A", None):
        raise ModelError(
            "an adapter on the vocabulary projection cannot be trained or scored",
            hint="leave lm_head out of the adapter's targets; all-linear does",
        )
    return decoder, head


def _head_form(config: Any) -> HeadForm:
    scale = getattr(config, "logit_scale", None) or 1.0  # Cohere
    if getattr(config, "logits_scaling", None):  # Granite
        scale = 1.0 / config.logits_scaling
    return HeadForm(scale=float(scale), softcap=getattr(config, "final_logit_softcapping", None))
