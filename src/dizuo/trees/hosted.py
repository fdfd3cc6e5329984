"""Running a token tree inside transformers' own modules, through its two public hooks.

A mask function registered with `AttentionMaskInterface` evaluates the model's own rule (causal, window, chunk) on
depths and ANDs it with the tree's visibility; an attention function registered with `AttentionInterface` computes
what is left (`attention/`): in row blocks on a CPU, by FlexAttention on a GPU. Everything else of the model (norms,
rotary embedding, routing) runs unchanged.

Our attention function names what it handles; any other keyword with a value that would change the result is an
error, and so is a layer that never called it.

Shapes: T packed tokens, Q wanted states, H query heads, N key heads, D head size, C hidden size; 1 for the batch, which
is one tree.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface

from dizuo.errors import ModelError
from dizuo.trees.attention.blocks import blocks_from_mask
from dizuo.trees.attention.dense import dense_attention
from dizuo.trees.attention.flex import block_mask, pad_tree, tree_attention
from dizuo.trees.attention.row_blocks import BlockPlan, block_attention
from dizuo.trees.capability import refuse_unknown_keywords
from dizuo.trees.model_parts import ModelParts
from dizuo.trees.recomputing import Recompute
from dizuo.trees.tree import Packed

__all__ = ["NAME", "Hosted", "hidden_states", "resume"]

NAME = "dizuo_tree"


class Hosted:
    """A transformers model that runs trees: it is lent our attention for a pass and has its own between passes.

    Args:
        parts: the model.
        recompute: whether its layers are computed again in the backward pass.
    """

    def __init__(self, parts: ModelParts, *, recompute: Recompute) -> None:
        self._parts, self._recompute = parts, recompute
        own = str(parts.base.config._attn_implementation)
        self._plain_attention = "sdpa" if own == NAME else own

    def hidden_states(self, tree: Packed) -> Tensor:
        """Run the decoder over a tree.

        Args:
            tree: T packed tokens and the Q rows whose states are needed.

        Returns:
            [Q, C] states after the final norm.
        """
        parts = self._parts
        with self._tree_attention(), parts.casting(), self._recompute.layers(self._layer_contexts):
            states_TC = hidden_states(parts.decoder, tree, expected_layers=parts.config.num_hidden_layers)
        return states_TC[parts.tensor(tree.rows)]

    @contextlib.contextmanager
    def _tree_attention(self) -> Iterator[None]:
        """Lend the model our attention for one pass; whoever calls it between passes finds its own."""
        self._parts.base.set_attn_implementation(NAME)
        try:
            yield
        finally:
            self._parts.base.set_attn_implementation(self._plain_attention)

    def _layer_contexts(self) -> tuple[contextlib.AbstractContextManager[Any], contextlib.AbstractContextManager[Any]]:
        """Return the context of a layer in the pass that runs now, and that of its second computation."""
        return contextlib.nullcontext(), self._back_in(resume())

    @contextlib.contextmanager
    def _back_in(self, now: contextlib.AbstractContextManager[None]) -> Iterator[None]:
        with self._tree_attention(), now:
            yield


@dataclass(slots=True)
class _Pass:
    """One forward pass: its tree on the model's device, and the layers that asked for attention."""

    end_T: Tensor
    depth_T: Tensor
    flex: bool = False
    """Whether masks are FlexAttention's."""
    plans: dict[int, tuple[Tensor, BlockPlan]] = field(default_factory=dict)
    called: set[int] = field(default_factory=set)


_current: contextvars.ContextVar[_Pass] = contextvars.ContextVar("dizuo_tree_pass")


def hidden_states(decoder: nn.Module, tree: Packed, *, expected_layers: int, flex: bool | None = None) -> Tensor:
    """Run a transformers decoder over the tree.

    Args:
        decoder: the base model without its vocabulary projection; its attention implementation is set to `NAME`.
        tree: T packed tokens.
        expected_layers: how many layers must have called our attention.
        flex: attend by FlexAttention; None does so on GPUs. On a CPU it has no backward.

    Returns:
        [T or more, C] states after the final norm, of the tree's tokens first.

    Raises:
        ModelError: a layer did not go through the attention interface, so it could not be isolated.
    """
    device = next(decoder.parameters()).device
    if flex is None:
        flex = device.type == "cuda"
    if flex:
        tree = pad_tree(tree)
    ids_T = torch.from_numpy(tree.ids).to(device)
    depth_T = torch.from_numpy(tree.depth).to(device)
    now = _Pass(end_T=torch.from_numpy(tree.end).to(device), depth_T=depth_T, flex=flex)
    with _running(now):
        # The all-ones 2-D mask keeps transformers from reading restarting positions as packed sequences.
        out = decoder(
            input_ids=ids_T[None],
            position_ids=depth_T[None],
            attention_mask=torch.ones(1, len(tree), dtype=torch.long, device=device),
            use_cache=False,
        )
    if len(now.called) != expected_layers:
        raise ModelError(
            f"{len(now.called)} of {expected_layers} layers went through the attention interface; "
            "the others would mix sequences",
            hint="set train.layout to padded",
        )
    states_TC: Tensor = out.last_hidden_state[0]
    return states_TC


def resume() -> contextlib.AbstractContextManager[None]:
    """Return a context that puts the pass that runs now in place again later, when a layer of it is computed again."""
    return _running(_current.get())


@contextlib.contextmanager
def _running(now: _Pass) -> Iterator[None]:
    token = _current.set(now)
    try:
        yield
    finally:
        _current.reset(token)


def _mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    q_offset: int = 0,
    kv_offset: int = 0,
    mask_function: Callable[..., Any] | None = None,
    **rest: Any,
) -> Any:
    """Build the [1, 1, T, T] visibility of one rule of the model."""
    now = _current.get()
    end_T, depth_T = now.end_T, now.depth_T
    tokens = len(end_T)
    assert batch_size == 1, "one tree at a time"
    assert q_length == kv_length == tokens, "a tree runs whole, without a cache"
    assert mask_function is not None
    if now.flex:
        return block_mask(end_T, depth_T, mask_function)
    index_T = torch.arange(tokens, device=end_T.device)
    seen_TT = (index_T[None, :] <= index_T[:, None]) & (index_T[:, None] < end_T[None, :])
    zero = torch.zeros((), dtype=torch.long, device=end_T.device)
    # The model's own rule, on positions in the sequence instead of packed positions.
    seen_TT &= mask_function(zero, zero, depth_T[:, None], depth_T[None, :])
    return seen_TT[None, None]


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any,
    scaling: float | None = None,
    dropout: float = 0.0,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    position_bias: Tensor | None = None,
    **rest: Any,
) -> tuple[Tensor, None]:
    """Return [1, T, H, D] for query [1, H, T, D], key and value [1, N, T, D]; the names are transformers'."""
    refuse_unknown_keywords(module, rest)
    if dropout:
        raise ModelError(f"{type(module).__name__} drops out attention; sharing tokens is exact only without dropout")
    assert attention_mask is not None
    assert attention_mask.shape[-2:] == (query.shape[2], key.shape[2])
    now = _current.get()
    now.called.add(id(module))
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    # Under autocast the rotated queries and keys are wider than the values.
    query, key = query.to(value.dtype), key.to(value.dtype)
    plain = softcap is None and s_aux is None and position_bias is None and value.shape[-1] == query.shape[-1]
    with torch.autocast(query.device.type, enabled=False):
        if now.flex:
            if position_bias is not None:
                raise ModelError(f"{type(module).__name__} adds a position bias, which FlexAttention is not given here")
            out_1HTD = tree_attention(query, key, value, attention_mask, scale=scale, softcap=softcap, sinks_H=s_aux)
            return out_1HTD.transpose(1, 2).contiguous(), None
        if plain and query.device.type == "cpu":
            query_THD, key_TND, value_TND = (heads[0].transpose(0, 1) for heads in (query, key, value))
            plan = _plan_for(now, attention_mask)
            return block_attention(query_THD, key_TND, value_TND, plan=plan, scale=scale)[None], None
        out_1HTD = dense_attention(
            query,
            key,
            value,
            attention_mask,
            scale=scale,
            softcap=softcap,
            sinks_H=s_aux,
            position_bias=position_bias,
        )
    return out_1HTD.transpose(1, 2).contiguous(), None


def _plan_for(now: _Pass, mask_11TT: Tensor) -> BlockPlan:
    """Plan row blocks from a dense mask, once per distinct mask of this pass."""
    kept = now.plans.get(id(mask_11TT))
    if kept is None:
        kept = (mask_11TT, BlockPlan(blocks_from_mask(mask_11TT[0, 0])))  # with the mask, so that its id stays its own
        now.plans[id(mask_11TT)] = kept
    return kept[1]


AttentionMaskInterface.register(NAME, _mask)
AttentionInterface.register(NAME, _attention)
