"""FlexAttention sees what a tree sees. Forward on CPUs, where it has no backward; gradients need a GPU."""

import copy

import numpy as np
import pytest
import torch

from dizuo.trees import Runner, build, hosted
from dizuo.trees.attention.dense import dense_attention
from dizuo.trees.attention.flex import BLOCK, block_mask, pad_tree, tree_attention
from models import ARCHITECTURES, awkward_batch, tiny

# On a CPU it runs uncompiled, which is what these tests want.
pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")


def packed(batch):
    tree = build(batch)
    return tree, tree.needed(np.arange(len(tree)))


def tensors(tree):
    return torch.from_numpy(tree.end), torch.from_numpy(tree.depth)


@pytest.mark.parametrize("long", [3, 70, 400])
def test_the_block_mask_is_the_trees_visibility(long):
    tree, whole = packed(awkward_batch(long=max(long, 30)))
    larger = pad_tree(whole)
    assert len(larger) % BLOCK == 0
    assert len(whole) <= len(larger) < max(1.25 * len(whole), len(whole) + BLOCK)
    end, depth = tensors(larger)
    mask = block_mask(end, depth)
    index = torch.arange(len(larger))
    seen = mask.mask_mod(torch.tensor(0), torch.tensor(0), index[:, None], index[None, :])
    assert torch.equal(seen[: len(whole), : len(whole)], torch.from_numpy(tree.visible()))
    dead = seen[len(whole) :]
    assert torch.equal(dead, torch.eye(len(larger), dtype=torch.bool)[len(whole) :]), "a dead token sees itself"
    assert not seen[: len(whole), len(whole) :].any(), "and is seen by no other"
    # What the kernel skips is what nobody sees.
    count = len(larger) // BLOCK
    blocks = seen.view(count, BLOCK, count, BLOCK).any(3).any(1)
    assert torch.equal(mask.to_dense()[0, 0].bool(), blocks)


def test_lengths_fall_into_few_buckets():
    _, whole = packed(awkward_batch())
    sizes = set()
    for tokens in range(1, 4097, 7):
        ids = np.zeros(tokens, np.int64)
        whole = type(whole)(ids=ids, depth=ids, end=np.full(tokens, tokens), rows=ids[:1])
        sizes.add(len(pad_tree(whole)))
    assert len(sizes) <= 4 * 5 + 4


@pytest.mark.parametrize("variant", [{}, {"softcap": 2.0}, {"sinks": True}, {"window": 5}])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_attends_as_the_dense_mask_does(variant, dtype):
    _, whole = packed(awkward_batch())
    whole = pad_tree(whole)
    end, depth = tensors(whole)
    draw = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(1, heads, len(whole), 16, generator=draw, dtype=dtype) for heads in (6, 2, 2))
    rule = None
    if "window" in variant:
        rule = lambda b, h, q, k: k > q - variant["window"]  # noqa: E731
    sinks = torch.randn(6, generator=draw, dtype=dtype) if "sinks" in variant else None
    softcap = variant.get("softcap")
    mask = block_mask(end, depth, rule)
    out = tree_attention(query, key, value, mask, scale=0.3, softcap=softcap, sinks_H=sinks)
    index = torch.arange(len(whole))
    visible = (index[None, :] <= index[:, None]) & (index[:, None] < end[None, :])
    if rule is not None:
        visible &= depth[None, :] > depth[:, None] - variant["window"]
        assert not torch.equal(visible, (index[None, :] <= index[:, None]) & (index[:, None] < end[None, :]))
    expected = dense_attention(query, key, value, visible[None, None], scale=0.3, softcap=softcap, sinks_H=sinks)
    assert float((out - expected).abs().max()) < (1e-5 if dtype == torch.float32 else 1e-9)


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_whole_models_give_the_same_states_by_flex_and_by_row_blocks(name):
    """Every architecture's own rule (windows, chunks) and variants (softcap, sinks) go through FlexAttention."""
    model = tiny(name)
    tree = build(awkward_batch())
    whole = tree.needed(np.arange(len(tree)))
    decoder = getattr(model, model.base_model_prefix)
    model.set_attn_implementation(hosted.NAME)
    layers = model.config.get_text_config().num_hidden_layers
    plain = hosted.hidden_states(decoder, whole, expected_layers=layers, flex=False)
    flex = hosted.hidden_states(decoder, whole, expected_layers=layers, flex=True)[: len(whole)]
    assert float((flex - plain).abs().max() / plain.abs().max()) < 1e-5


gpu = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")]


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("name", [pytest.param(name, marks=gpu) for name in ARCHITECTURES])
def test_on_a_gpu_a_tree_gives_the_gradients_that_a_cpu_gives(name, recompute):
    torch.backends.cuda.matmul.allow_tf32 = False
    batch = awkward_batch()
    model = tiny(name)
    model.requires_grad_(True)
    there = copy.deepcopy(model).cuda()
    results = []
    for module in (model, there):
        again = recompute and module is there
        runner = Runner(module, layout="tree", backend="hosted", recompute=again)
        outputs = runner.forward(batch, need_last=True)
        (-(outputs.weights * outputs.logprobs).sum() + 0.01 * outputs.last.square().sum()).backward()
        results.append((outputs.logprobs.detach().cpu(), {n: p.grad.cpu() for n, p in module.named_parameters()}))
    (logprobs, expected), (theirs, grads) = results
    assert float((logprobs - theirs).abs().max()) < 1e-4
    largest = max(float(gradient.norm()) for gradient in expected.values())
    for gradient_name in expected:
        assert float((grads[gradient_name] - expected[gradient_name]).norm()) < 1e-4 * largest


@pytest.mark.parametrize("layout", [pytest.param(layout, marks=gpu) for layout in ("tree", "padded")])
def test_on_a_gpu_bfloat16_stays_near_float32(layout):
    model = tiny("llama").cuda()
    batch = awkward_batch()
    with torch.no_grad():
        exact = Runner(model, layout=layout).forward(batch).logprobs
        near = Runner(model, layout=layout, compute_dtype=torch.bfloat16).forward(batch).logprobs
    assert float((exact - near).abs().mean()) < 0.1
