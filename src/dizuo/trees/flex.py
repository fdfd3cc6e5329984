"""Attention over a token tree on a GPU: PyTorch's FlexAttention with a block mask made from `end`.

Blocks of 128 × 128 positions in which nothing is visible are skipped, and no [T, T] matrix of scores exists; the mask
of the others is evaluated inside the kernel, from two vectors of length T. A window or a chunk is the model's own rule
on depths, ANDed with the tree's, as everywhere (`hosted.py`).

The kernel is compiled for a shape, so trees are padded to few lengths with dead tokens that see only themselves.

FlexAttention has no backward on CPUs, where `attention.py` is faster anyway; there it computes forward, uncompiled,
which is how its exactness is tested without a GPU.

References: Dong et al. 2024, "Flex Attention" (arXiv:2412.05496).

Shapes: T packed tokens, H query heads, N key heads, D head size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention.flex_attention import AuxRequest, BlockMask, create_block_mask, flex_attention

from dizuo.trees.tree import Packed

__all__ = ["block_mask", "padded", "tree_attention"]

BLOCK = 128
"""Positions of a block; FlexAttention's own default, and the smallest that its backward kernel takes."""


def padded(tree: Packed) -> Packed:
    """Return the tree with dead tokens behind it, up to one of four lengths per power of two (at most a quarter more).

    A dead token has depth 0, sees itself, and is seen by no other; the rows that are wanted stay where they are.
    """
    tokens = len(tree)
    step = max(BLOCK, 1 << max(0, tokens.bit_length() - 3))
    length = -(-tokens // step) * step
    dead = length - tokens
    nothing = np.zeros(dead, np.int64)
    return replace(
        tree,
        ids=np.concatenate([tree.ids, nothing]),
        depth=np.concatenate([tree.depth, nothing]),
        end=np.concatenate([tree.end, np.arange(tokens, length) + 1]),
    )


def block_mask(end: Tensor, depth: Tensor, rule: Callable[..., Tensor] | None = None) -> BlockMask:
    """Return who sees whom in a tree.

    Args:
        end: [T] one past the last packed index whose path runs through a token.
        depth: [T] its position in its own sequence.
        rule: (batch, head, query position, key position) -> the model's own rule on positions in a sequence.
    """
    tokens = len(end)

    def visible(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        seen = (key <= query) & (query < end[key])
        return seen if rule is None else seen & rule(batch, head, depth[query], depth[key])

    return create_block_mask(visible, B=None, H=None, Q_LEN=tokens, KV_LEN=tokens, device=end.device, BLOCK_SIZE=BLOCK)


def tree_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: BlockMask,
    *,
    scale: float,
    softcap: float | None = None,
    sinks: Tensor | None = None,
) -> Tensor:
    """Return attention over a tree, with the variants that some models add.

    Args:
        query: [1, H, T, D].
        key: [1, N, T, D].
        value: [1, N, T, D].
        mask: from `block_mask`.
        scale: what scores are multiplied by.
        softcap: c in c · tanh(score / c) (Gemma 2).
        sinks: [H] one more logit per head that takes probability and gives nothing (gpt-oss).

    Returns:
        [1, H, T, D], differentiable on a GPU.
    """

    def capped(score: Tensor, batch: Tensor, head: Tensor, row: Tensor, column: Tensor) -> Tensor:
        assert softcap is not None
        return softcap * torch.tanh(score / softcap)

    compute: Any = _compiled() if query.device.type == "cuda" else flex_attention
    out, auxiliary = compute(
        query,
        key,
        value,
        score_mod=None if softcap is None else capped,
        block_mask=mask,
        scale=scale,
        enable_gqa=query.shape[1] != key.shape[1],
        return_aux=AuxRequest(lse=sinks is not None),
    )
    if sinks is not None:
        # softmax over the scores and the sink = softmax over the scores · their share of the probability.
        share = torch.sigmoid(auxiliary.lse - sinks.to(auxiliary.lse.dtype)[None, :, None])
        out = out * share[..., None].to(out.dtype)
    result: Tensor = out
    return result


@cache
def _compiled() -> Any:
    return torch.compile(flex_attention)
