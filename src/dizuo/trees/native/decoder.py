"""Our own forward of the dense decoder family over a token tree, on the weights of a transformers model.

Covers decoders of RMSNorm, half-split rotary embedding, grouped-query attention and a gated MLP: Llama (SmolLM2,
TinyLlama, …), Mistral, Qwen 2, Qwen 3, Phi-3 and Gemma 3. It reads the modules' own parameters, PEFT LoRA layers
included, and every other step of life (saving, merging, generating) stays with transformers and PEFT.

What makes it fast: one product per group of projections, attention over row blocks, no gradient for what is frozen,
nothing computed below the first trained layer's input, and in the last layer only the rows that predict something.

Left out on purpose: key–value caches, dropout, images.

Shapes: T packed tokens, Q wanted rows, D hidden, H query heads, N key heads, I intermediate.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from dizuo.models.capability import NATIVE
from dizuo.trees.attention.blocks import plan_blocks
from dizuo.trees.attention.row_blocks import BlockPlan, packed_attention
from dizuo.trees.native.elementwise import Activation, add_norm, gated, head_norm
from dizuo.trees.native.linear import LinearGroup, adapter_fault
from dizuo.trees.recomputing import compute_again
from dizuo.trees.tree import Packed

__all__ = ["Native", "unsupported"]

ACTIVATIONS: dict[str, Activation] = {"silu": "silu", "swish": "silu", "gelu_pytorch_tanh": "gelu_tanh"}
FEW_ROWS = 16
"""Queries of a block in the last layer, where the wanted rows lie scattered over the tree."""


def unsupported(base: Any) -> str | None:
    """Return why a transformers causal language model has no native forward, or None."""
    config = base.config.get_text_config()
    if config.model_type not in NATIVE:
        return f"no native forward for {config.model_type}"
    if next(base.parameters()).device.type != "cpu":
        return "the native forward is for CPUs"
    if _activation_name(config) not in ACTIVATIONS:
        return f"no native activation {_activation_name(config)}"
    if getattr(config, "attn_logit_softcapping", None):
        return "attention softcapping runs hosted"
    if getattr(config, "partial_rotary_factor", None) not in (None, 1.0):
        return "partial rotary embedding runs hosted"
    if getattr(config, "attention_dropout", 0.0):
        return "attention dropout is not exact over shared tokens"
    for layer in _decoder(base).layers:
        for group in _groups(layer):
            for module in group:
                fault = adapter_fault(module)
                if fault is not None:
                    return fault
    return None


def _decoder(base: Any) -> Any:
    return getattr(base, base.base_model_prefix)


def _activation_name(config: Any) -> str:
    return str(getattr(config, "hidden_activation", None) or getattr(config, "hidden_act", None))


def _groups(layer: Any) -> tuple[list[nn.Module], list[nn.Module], list[nn.Module], list[nn.Module]]:
    """Return the layer's projections as (q k v, o, gate up, down)."""
    attention, mlp = layer.self_attn, layer.mlp
    if hasattr(attention, "qkv_proj"):  # Phi-3 fuses them itself
        return [attention.qkv_proj], [attention.o_proj], [mlp.gate_up_proj], [mlp.down_proj]
    return (
        [attention.q_proj, attention.k_proj, attention.v_proj],
        [attention.o_proj],
        [mlp.gate_proj, mlp.up_proj],
        [mlp.down_proj],
    )


@dataclass(slots=True)
class _Layer:
    qkv: LinearGroup
    out: LinearGroup
    gate_up: LinearGroup
    down: LinearGroup
    before_attention: nn.Module
    after_attention: nn.Module | None
    """Norm of the attention's output before it joins the residual stream (Gemma 3)."""
    before_mlp: nn.Module
    after_mlp: nn.Module | None
    q_norm: nn.Module | None
    k_norm: nn.Module | None
    window: int | None
    kind: str
    """Layer type, for models whose rotary embedding differs by it."""
    scale: float


class Native:
    """A native forward bound to one transformers model.

    Args:
        base: a causal language model for which `unsupported` returns None.
        dtype: dtype of activations and products.
        recompute: keep only what goes into a layer, and compute the rest again in the backward pass.
        offload: with `recompute`, keep that in the CPU's memory.
    """

    def __init__(self, base: Any, *, dtype: torch.dtype, recompute: bool = False, offload: bool = False) -> None:
        self.recompute, self.offload = recompute, offload
        self.decoder = _decoder(base)
        self.dtype = dtype
        config = base.config.get_text_config()
        self.num_heads = config.num_attention_heads
        self.num_key_heads = config.num_key_value_heads
        self.head_size = getattr(config, "head_dim", None) or config.hidden_size // self.num_heads
        self.activation = ACTIVATIONS[_activation_name(config)]
        self.gemma = config.model_type.startswith("gemma")
        kinds = getattr(config, "layer_types", None) or ["full_attention"] * config.num_hidden_layers
        self.layers = [self._layer(layer, kind, config) for layer, kind in zip(self.decoder.layers, kinds, strict=True)]

    def _layer(self, layer: Any, kind: str, config: Any) -> _Layer:
        qkv, out, gate_up, down = (LinearGroup(group, dtype=self.dtype) for group in _groups(layer))
        attention = layer.self_attn
        sandwich = hasattr(layer, "pre_feedforward_layernorm")
        return _Layer(
            qkv=qkv,
            out=out,
            gate_up=gate_up,
            down=down,
            before_attention=layer.input_layernorm,
            after_attention=layer.post_attention_layernorm if sandwich else None,
            before_mlp=layer.pre_feedforward_layernorm if sandwich else layer.post_attention_layernorm,
            after_mlp=layer.post_feedforward_layernorm if sandwich else None,
            q_norm=getattr(attention, "q_norm", None),
            k_norm=getattr(attention, "k_norm", None),
            window=_window(config, attention),
            kind=kind,
            scale=float(attention.scaling),
        )

    def hidden_states(self, tree: Packed) -> Tensor:
        """Run the decoder over a tree.

        Args:
            tree: T packed tokens and the Q rows whose states are needed.

        Returns:
            [Q, D] states after the final norm.
        """
        rows = torch.from_numpy(tree.rows)
        longest = int(tree.depth.max()) + 1
        windows = {layer.window if layer.window and layer.window < longest else None for layer in self.layers}
        plans = {window: BlockPlan(plan_blocks(tree, window=window)) for window in windows}
        final = self.layers[-1]
        final_window = final.window if final.window and final.window < longest else None
        final_plan = BlockPlan(plan_blocks(tree, window=final_window, queries=tree.rows, rows=FEW_ROWS))

        residual = self.decoder.embed_tokens(torch.from_numpy(tree.ids)).to(self.dtype)
        rotary = self._rotary(residual, torch.from_numpy(tree.depth))
        residual, normed = self._norm_first(residual, self.layers[0].before_attention)
        for number, layer in enumerate(self.layers):
            last = number == len(self.layers) - 1
            plan = final_plan if last else plans[layer.window if layer.window and layer.window < longest else None]
            following = self.decoder.norm if last else self.layers[number + 1].before_attention
            pass_through = partial(
                self._pass_through,
                layer=layer,
                plan=plan,
                rotary=rotary[layer.kind],
                rows=rows if last else None,
                following=following,
            )
            if self.recompute and torch.is_grad_enabled():
                residual, normed = compute_again(pass_through, residual, normed, offload=self.offload)
            else:
                residual, normed = pass_through(residual, normed)
        return normed

    def _pass_through(
        self,
        residual: Tensor,
        normed: Tensor,
        *,
        layer: _Layer,
        plan: BlockPlan,
        rotary: tuple[Tensor, Tensor],
        rows: Tensor | None,
        following: nn.Module,
    ) -> tuple[Tensor, Tensor]:
        """Take the residual stream [T, D] and its norm through a layer; of the last one only `rows` come out."""
        attended = self._attention(layer, normed, plan, rotary)
        if rows is not None:
            residual = residual.index_select(0, rows)
        residual, normed = self._join(residual, attended, layer.after_attention, layer.before_mlp)
        hidden = layer.down(gated(layer.gate_up(normed), self.activation))
        return self._join(residual, hidden, layer.after_mlp, following)

    def _attention(self, layer: _Layer, normed: Tensor, plan: BlockPlan, rotary: tuple[Tensor, Tensor]) -> Tensor:
        qkv = layer.qkv(normed).view(len(normed), self.num_heads + 2 * self.num_key_heads, self.head_size)
        if layer.q_norm is not None and layer.k_norm is not None:
            q, k, v = torch.split(qkv, [self.num_heads, self.num_key_heads, self.num_key_heads], 1)
            q = head_norm(q, self._weight(layer.q_norm), _epsilon(layer.q_norm))
            k = head_norm(k, self._weight(layer.k_norm), _epsilon(layer.k_norm))
            qkv = torch.cat([q, k, v], 1)
        out = packed_attention(qkv, *rotary, key_heads=self.num_key_heads, plan=plan, scale=layer.scale)
        return layer.out(out.flatten(1))

    def _join(
        self, residual: Tensor, update: Tensor, norm_of_update: nn.Module | None, next_norm: nn.Module
    ) -> tuple[Tensor, Tensor]:
        """Add an update to the residual stream and norm the sum for what reads it next."""
        if norm_of_update is not None:
            update = head_norm(update, self._weight(norm_of_update), _epsilon(norm_of_update))
        return add_norm(residual, update, self._weight(next_norm), _epsilon(next_norm))

    def _norm_first(self, residual: Tensor, norm: nn.Module) -> tuple[Tensor, Tensor]:
        return residual, head_norm(residual, self._weight(norm), _epsilon(norm))

    def _weight(self, norm: Any) -> Tensor:
        """[D] what the normalised input is multiplied by; Gemma stores it minus one."""
        weight: Tensor = norm.weight
        return (1.0 + weight if self.gemma else weight).to(self.dtype)

    def _rotary(self, like: Tensor, depth: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Return cos and sin [T, head size / 2] by layer type."""
        half = self.head_size // 2
        found = {}
        for kind in {layer.kind for layer in self.layers}:
            extra = (kind,) if self.gemma else ()
            cos, sin = self.decoder.rotary_emb(like, depth[None], *extra)
            found[kind] = (cos[0, :, :half].contiguous(), sin[0, :, :half].contiguous())
        return found


def _window(config: Any, attention: Any) -> int | None:
    """Return how many tokens a layer sees, where its architecture really has windows (a Llama config may name one)."""
    if config.model_type in {"mistral", "phi3"}:
        return getattr(config, "sliding_window", None)
    if config.model_type in {"qwen2", "qwen3", "gemma3_text"}:
        return getattr(attention, "sliding_window", None)
    return None


def _epsilon(norm: Any) -> float:
    return float(norm.variance_epsilon if hasattr(norm, "variance_epsilon") else norm.eps)
