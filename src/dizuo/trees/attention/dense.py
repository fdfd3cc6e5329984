"""Attention over a dense mask, with the variants that some models add to their scores.

Shapes: B batch, T tokens, H query heads, N key heads, D head size; 1 where a dimension is broadcast.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["dense_attention"]


def dense_attention(
    query_BHTD: Tensor,
    key_BNTD: Tensor,
    value_BNTD: Tensor,
    visible_B1TT: Tensor,
    *,
    scale: float,
    softcap: float | None = None,
    sinks_H: Tensor | None = None,
    position_bias: Tensor | None = None,
) -> Tensor:
    """Return attention over a dense mask, with the variants that some models add.

    Args:
        query_BHTD: queries.
        key_BNTD: keys.
        value_BNTD: values.
        visible_B1TT: bool, whether a row sees a column; B may be 1.
        scale: what scores are multiplied by.
        softcap: c in c · tanh(score / c) (Gemma 2).
        sinks_H: one more logit per head that takes probability and gives nothing (gpt-oss).
        position_bias: added to the scores before the mask (T5-like decoders).

    Returns:
        [B, H, T, D].
    """
    fold = query_BHTD.shape[1] // key_BNTD.shape[1]
    key_BHTD, value_BHTD = key_BNTD, value_BNTD
    if fold > 1:
        key_BHTD, value_BHTD = key_BNTD.repeat_interleave(fold, 1), value_BNTD.repeat_interleave(fold, 1)
    if softcap is None and sinks_H is None and position_bias is None:
        return torch.nn.functional.scaled_dot_product_attention(
            query_BHTD, key_BHTD, value_BHTD, attn_mask=visible_B1TT, scale=scale
        )
    scores_BHTT = query_BHTD @ key_BHTD.transpose(-1, -2) * scale
    if softcap is not None:
        scores_BHTT = softcap * torch.tanh(scores_BHTT / softcap)
    if position_bias is not None:
        scores_BHTT = scores_BHTT + position_bias
    scores_BHTT = scores_BHTT.masked_fill(~visible_B1TT, torch.finfo(scores_BHTT.dtype).min)
    if sinks_H is not None:
        sinks_BHT1 = sinks_H.reshape(1, -1, 1, 1).expand(scores_BHTT.shape[0], -1, scores_BHTT.shape[2], 1)
        with_sinks = torch.cat([scores_BHTT, sinks_BHT1.to(scores_BHTT.dtype)], -1)
        return torch.softmax(with_sinks, -1)[..., :-1] @ value_BHTD
    return torch.softmax(scores_BHTT, -1) @ value_BHTD
