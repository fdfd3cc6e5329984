"""Activation checkpointing: a layer keeps what goes into it, and computes the rest again in the backward pass.

Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost" (arXiv:1604.06174), section 4.1, one segment per
layer: about a third more products, and memory for activations of one layer instead of all.

transformers' layers bring it (`GradientCheckpointingLayer`), but only where they are in training mode, which would
also turn on their dropout. A pass lends the flag to the layers alone, not to what is in them; a layer whose own forward
reads the flag is refused. What a layer sees of the pass it belongs to (the token tree, the attention function) is put
in place again when it is computed again.

What goes into the layers can wait in the CPU's memory (`offload`): a GPU then keeps activations of one layer, whatever
their number. Only inputs move: what a layer keeps while it is computed again stays where it is.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.autograd.graph import save_on_cpu
from torch.utils.checkpoint import checkpoint

from dizuo.errors import ModelError

__all__ = ["Contexts", "Recompute", "compute_again", "layers_of", "recomputing"]

Contexts = Callable[[], tuple[contextlib.AbstractContextManager[Any], contextlib.AbstractContextManager[Any]]]
"""Called by a layer's forward: a context for it, and one for its second computation."""


def compute_again(function: Callable[..., Any], *arguments: Any, offload: bool = False) -> Any:
    """Call a function of tensors and compute it again in the backward pass; it must draw nothing at random."""
    with _waiting(offload):
        return checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=False)


def _waiting(offload: bool) -> contextlib.AbstractContextManager[Any]:
    """Return a context in which a checkpoint's arguments are kept in the CPU's memory, pinned where there is a GPU."""
    return save_on_cpu(pin_memory=torch.cuda.is_available()) if offload else contextlib.nullcontext()


def layers_of(base: nn.Module) -> list[nn.Module]:
    """Return the layers of a transformers model that can be computed again.

    Raises:
        ModelError: there are none, or they behave otherwise while training.
    """
    from transformers.modeling_layers import GradientCheckpointingLayer

    layers = [part for part in base.modules() if isinstance(part, GradientCheckpointingLayer)]
    hint = "set checkpoint_activations: false, and a smaller tokens_per_block"
    if not layers:
        raise ModelError(f"{type(base).__name__} has no layers that can be computed again", hint=hint)
    for kind in {type(layer) for layer in layers}:
        if "self.training" in inspect.getsource(inspect.unwrap(kind.forward)):
            raise ModelError(f"{kind.__name__} drops out while training, so it cannot be computed again", hint=hint)
    return layers


@contextlib.contextmanager
def recomputing(layers: list[nn.Module], contexts: Contexts | None = None, *, offload: bool = False) -> Iterator[None]:
    """Make layers compute themselves again in the backward of what they compute in this context."""
    options: dict[str, Any] = {} if contexts is None else {"context_fn": contexts}

    def function(forward: Callable[..., Any], *arguments: Any) -> Any:
        with _waiting(offload):
            return checkpoint(forward, *arguments, use_reentrant=False, **options)

    before = [(layer, layer.training) for layer in layers]
    try:
        for layer in layers:
            vars(layer).update(training=True, gradient_checkpointing=True, _gradient_checkpointing_func=function)
        yield
    finally:
        for layer, training in before:
            vars(layer).update(training=training, gradient_checkpointing=False)
            del layer._gradient_checkpointing_func


class Recompute:
    """What a runner was asked for: whether transformers' layers compute themselves again, and where inputs wait.

    Args:
        base: the transformers model.
        wanted: whether its layers are computed again.
        offload: keep what goes into them in the CPU's memory.
    """

    def __init__(self, base: nn.Module, *, wanted: bool, offload: bool) -> None:
        self.wanted, self.offload = wanted, wanted and offload
        self._base = base
        self._layers: list[nn.Module] | None = None

    def find_layers(self) -> None:
        """Find the layers before the first pass.

        Raises:
            ModelError: there are none that can be computed again.
        """
        if self.wanted and self._layers is None:
            self._layers = layers_of(self._base)

    def layers(self, contexts: Contexts | None = None) -> contextlib.AbstractContextManager[None]:
        """Return a context in which the layers compute themselves again in the backward pass, where that is wanted."""
        if not self.wanted or not torch.is_grad_enabled():
            return contextlib.nullcontext()
        assert self._layers is not None
        return recomputing(self._layers, contexts, offload=self.offload)
