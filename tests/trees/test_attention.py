"""Attention by itself: what its variants add to a score, and how gradients of a shared key are summed."""

import itertools

import pytest
import torch

from dizuo.errors import ModelError
from dizuo.trees import Sequences, build
from dizuo.trees.attention.blocks import plan_blocks
from dizuo.trees.attention.dense import dense_attention
from dizuo.trees.attention.row_blocks import BlockPlan, block_attention, packed_attention
from dizuo.trees.hosted import _attention, _Pass, _running

HEADS, KEY_HEADS, TOKENS, SIZE = 4, 2, 6, 3
VARIANTS = ("softcap", "sinks_H", "position_bias")
SOME = [some for number in range(4) for some in itertools.combinations(VARIANTS, number)]


def drawn(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def arguments(variants):
    given = {
        "softcap": 2.0,
        "sinks_H": drawn(HEADS, seed=4).requires_grad_(),
        "position_bias": drawn(1, HEADS, TOKENS, TOKENS, seed=5).requires_grad_(),
    }
    return {name: given[name] for name in variants}


def one_by_one(query, key, value, visible, *, scale, softcap=None, sinks_H=None, position_bias=None):
    """Every head and every row by itself, with no mask: written without our code on purpose."""
    rows = []
    for head, row in itertools.product(range(HEADS), range(TOKENS)):
        seen = visible[0, 0, row].nonzero()[:, 0]
        scores = key[0, head // (HEADS // KEY_HEADS), seen] @ query[0, head, row] * scale
        if softcap is not None:
            scores = softcap * torch.tanh(scores / softcap)
        if position_bias is not None:
            scores = scores + position_bias[0, head, row, seen]
        weights = scores.exp()
        nothing = 0.0 if sinks_H is None else sinks_H[head].exp()
        rows.append(weights / (weights.sum() + nothing) @ value[0, head // (HEADS // KEY_HEADS), seen])
    return torch.stack(rows).view(1, HEADS, TOKENS, SIZE)


@pytest.mark.parametrize("variants", SOME, ids="+".join)
def test_every_variant_gives_the_values_and_gradients_of_its_formula(variants):
    visible = torch.ones(TOKENS, TOKENS, dtype=torch.bool).tril()[None, None].clone()
    visible[0, 0, 4, 1:3] = False
    inputs = [drawn(1, heads, TOKENS, SIZE, seed=heads + n) for n, heads in enumerate((HEADS, KEY_HEADS, KEY_HEADS))]
    found = []
    for function in (dense_attention, one_by_one):
        leaves, more = [leaf.clone().requires_grad_() for leaf in inputs], arguments(variants)
        out = function(*leaves, visible, scale=0.7, **more)
        leaves += [value for value in more.values() if isinstance(value, torch.Tensor)]
        found.append([out, *torch.autograd.grad((out * drawn(*out.shape, seed=9)).sum(), leaves)])
    for mine, theirs in zip(*found, strict=True):
        assert (mine - theirs).abs().max() < 1e-12


def chain(tokens):
    return build(Sequences.of([(range(3, 3 + tokens), [0.0] + [1.0] * (tokens - 1))]))


def in_a_pass(tokens, *, flex=False):
    tree = chain(tokens)
    return _running(_Pass(torch.from_numpy(tree.end), torch.from_numpy(tree.depth), flex=flex))


@pytest.mark.parametrize("variants", SOME, ids="+".join)
def test_a_model_that_runs_hosted_is_given_every_variant_that_it_asks_for(variants):
    """The names are transformers': what a model adds to its scores must reach the computation, whichever it takes."""
    visible = torch.ones(1, 1, TOKENS, TOKENS, dtype=torch.bool).tril()
    query, key, value = (drawn(1, heads, TOKENS, SIZE, seed=heads) for heads in (HEADS, KEY_HEADS, KEY_HEADS))
    more = arguments(variants)
    named = {{"sinks_H": "s_aux"}.get(name, name): value for name, value in more.items()}
    with in_a_pass(TOKENS), torch.no_grad():
        found, _ = _attention(torch.nn.Identity(), query, key, value, visible, scaling=0.7, **named)
        expected = one_by_one(query, key, value, visible, scale=0.7, **more)
    assert (found - expected.transpose(1, 2)).abs().max() < 1e-12


def test_a_position_bias_that_flex_attention_is_not_given_is_an_error():
    x = torch.zeros(1, 2, 3, 4)
    mask = torch.ones(1, 1, 3, 3, dtype=torch.bool)
    with in_a_pass(3, flex=True), pytest.raises(ModelError, match="adds a position bias, which FlexAttention"):
        _attention(torch.nn.Identity(), x, x, x, mask, position_bias=torch.zeros(1, 2, 3, 3))


@pytest.mark.parametrize("function", ["block", "packed"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_the_gradients_of_a_key_that_many_blocks_read_are_summed_in_float32(dtype, function):
    """One bucket of blocks gives 512 and the others so little each that the dtype could not add it to 512."""
    tokens = 64
    plan = BlockPlan(plan_blocks(chain(tokens), rows=2))
    assert len(plan.buckets) == 3
    # All rows look at the first token only: its key is far ahead of the others.
    query, key, value = (torch.zeros(tokens, 1, 4) for _ in range(3))
    query[:, :, 0], key[0, :, 0] = 100.0, 2.0
    spacing = 512 * torch.finfo(dtype).eps
    upstream = torch.zeros(tokens, 1, 4)
    for bucket, size in zip(plan.buckets, (512.0, 0.4375 * spacing, 0.4375 * spacing), strict=True):
        upstream[bucket.out_rows[0, 0]] = size
    leaves = [leaf.to(dtype).requires_grad_() for leaf in (query, key, value)]
    if function == "block":
        out = block_attention(*leaves, plan=plan, scale=1.0)
    else:
        out = packed_attention(torch.cat(leaves, 1), None, None, key_heads=1, plan=plan, scale=1.0)
    (d_value,) = torch.autograd.grad(out, leaves[2], upstream.to(dtype))
    assert d_value.dtype == dtype
    assert (d_value[0].double() - (512 + 0.875 * spacing)).abs().max() <= spacing / 2
    assert not d_value[1:].any()
