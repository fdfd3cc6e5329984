"""A tree gives what the same batch gives one sequence at a time: log-probabilities, states, gradients, isolation.

The reference is transformers itself on single, unpadded sequences. Gradients are compared against the largest
gradient norm of the model, because some biases have none of their own. The mutants at the end change one rule each
and must be caught by the same comparison.
"""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model

from dizuo.errors import ModelError
from dizuo.trees import Runner, Sequences, build, head, last_states, score
from dizuo.trees import runner as runner_module
from dizuo.trees.native.linear import LinearGroup
from models import ARCHITECTURES, NATIVE, VOCABULARY, awkward_batch, tiny

BOUND = {torch.float32: 1e-5, torch.float64: 1e-9}
CASES = [
    (name, backend)
    for name in ARCHITECTURES
    for backend in ("native", "hosted")
    if backend == "hosted" or name in NATIVE
]


def single_reference(model, batch):
    """Loss, log-probabilities and last states from transformers, one sequence at a time."""
    loss, logprobs, last = 0.0, [], []
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    before = base.config._attn_implementation
    base.set_attn_implementation("eager")
    for ids, weights in zip(batch.ids, batch.weights, strict=True):
        row = torch.from_numpy(ids.astype(np.int64))[None]
        decoder = getattr(base, base.base_model_prefix)
        last.append(decoder(input_ids=row, use_cache=False).last_hidden_state[0, -1])
        logits = model(input_ids=row, use_cache=False).logits[0]
        where = np.flatnonzero(weights)
        picked = torch.log_softmax(logits, -1)[where - 1, ids[where]]
        logprobs.append(picked)
        loss = loss - (picked * torch.from_numpy(weights[where]).to(picked.dtype)).sum()
    base.set_attn_implementation(before)
    return loss / batch.total_weight, torch.cat(logprobs), torch.stack(last)


def gradients(model, loss):
    model.zero_grad(set_to_none=True)
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad and p.grad is not None}


def compare(model, runner, batch, bound):
    """Return the largest difference of log-probabilities, last states and gradients, each relative."""
    loss, logprobs, last = single_reference(model, batch)
    reference = gradients(model, loss + 0.01 * last.square().sum())
    outputs = runner.forward(batch, need_last=True)
    own_loss = -(outputs.weights * outputs.logprobs).sum() / batch.total_weight
    own = gradients(model, own_loss + 0.01 * outputs.last.square().sum())
    assert own.keys() == reference.keys()
    largest = max(grad.norm() for grad in reference.values())
    loss, own_loss, logprobs, last = (value.detach() for value in (loss, own_loss, logprobs, last))
    outputs.logprobs, outputs.last = outputs.logprobs.detach(), outputs.last.detach()
    return {
        "logprobs": float((outputs.logprobs - logprobs).abs().max() / logprobs.abs().max()),
        "loss": abs(float(own_loss) - float(loss)) / abs(float(loss)),
        "last": float((outputs.last - last).abs().max() / last.abs().max()),
        "gradients": max(float((own[name] - reference[name]).norm() / largest) for name in reference),
    }


@pytest.mark.parametrize(("name", "backend"), CASES)
def test_a_tree_equals_single_sequences(name, backend):
    model = tiny(name)
    runner = Runner(model, layout="tree", backend=backend)
    assert runner.choice.backend == backend
    differences = compare(model, runner, awkward_batch(), BOUND[torch.float32])
    assert max(differences.values()) <= BOUND[torch.float32], differences


@pytest.mark.parametrize("name", NATIVE)
def test_a_tree_equals_its_own_single_sequences_to_nine_digits_in_float64(name):
    """transformers itself norms and takes softmax in float32, so here the reference is our own forward, one by one."""
    model = tiny(name, dtype=torch.float64)
    runner = Runner(model, layout="tree", backend="native")
    batch = awkward_batch()

    def loss_of(outputs):
        return -(outputs.weights * outputs.logprobs).sum() / batch.total_weight

    singles = [Sequences((i,), (w,)) for i, w in zip(batch.ids, batch.weights, strict=True)]
    reference = gradients(model, sum(loss_of(runner.forward(single)) for single in singles))
    own = gradients(model, loss_of(runner.forward(batch)))
    largest = max(grad.norm() for grad in reference.values())
    assert max(float((own[key] - reference[key]).norm() / largest) for key in reference) <= BOUND[torch.float64]
    with torch.no_grad():
        apart = torch.cat([runner.forward(single).logprobs for single in singles])
        assert (runner.forward(batch).logprobs - apart).abs().max() <= BOUND[torch.float64]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_padded_batches_equal_single_sequences(name):
    model = tiny(name)
    differences = compare(model, Runner(model, layout="padded"), awkward_batch(), 1e-5)
    assert max(differences.values()) <= 1e-5, differences


@pytest.mark.parametrize("backend", ["native", "hosted"])
@pytest.mark.parametrize("name", ["llama", "qwen2", "phi3", "gemma3_text"])
def test_a_tree_with_lora_equals_single_sequences_and_trains_only_the_adapter(name, backend):
    torch.manual_seed(0)
    model = get_peft_model(tiny(name), LoraConfig(r=4, lora_alpha=8, target_modules="all-linear"))
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "lora_B" in key:
                parameter.normal_(0, 0.2)
    runner = Runner(model, layout="tree", backend=backend)
    differences = compare(model, runner, awkward_batch(), 1e-5)
    assert max(differences.values()) <= 1e-5, differences
    with model.disable_adapter():
        off = runner.forward(awkward_batch()).logprobs
    model.unload()
    base = Runner(model.get_base_model(), layout="padded").forward(awkward_batch()).logprobs
    assert (off - base).abs().max() < 1e-4


@pytest.mark.parametrize("name", ["llama", "qwen3", "gemma3_text"])
def test_bfloat16_products_keep_float32_gradients_close_to_float32s_own(name):
    torch.manual_seed(0)
    model = get_peft_model(tiny(name), LoraConfig(r=4, lora_alpha=8, target_modules="all-linear"))
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "lora_B" in key:
                parameter.normal_(0, 0.2)
    batch = awkward_batch()
    flat = {}
    for dtype in (torch.float32, torch.bfloat16):
        runner = Runner(model, layout="tree", backend="native", compute_dtype=dtype)
        outputs = runner.forward(batch)
        own = gradients(model, -(outputs.weights * outputs.logprobs).sum() / batch.total_weight)
        assert {grad.dtype for grad in own.values()} == {torch.float32}
        flat[dtype] = torch.cat([grad.flatten() for grad in own.values()])
        assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert torch.cosine_similarity(*flat.values(), dim=0) > 0.99


@pytest.mark.parametrize("backend", ["native", "hosted"])
@pytest.mark.parametrize(
    "targets",
    [["q_proj", "v_proj"], ["q_proj", "o_proj"], ["gate_proj", "down_proj"], ["k_proj"], ["up_proj", "embed_tokens"]],
)
def test_lora_on_some_projections_of_a_group_is_applied_and_trained(targets, backend):
    torch.manual_seed(0)
    model = get_peft_model(tiny("llama"), LoraConfig(r=4, lora_alpha=8, target_modules=targets, use_rslora=True))
    runner = Runner(model, layout="tree", backend=backend)
    for key, parameter in model.named_parameters():
        if "lora_B" in key or "lora_embedding_B" in key:
            assert "embedding" in key or not parameter.detach().any(), "the probe leaves adapters as they were"
            torch.nn.init.normal_(parameter, 0, 0.2)
    differences = compare(model, runner, awkward_batch(), 1e-5)
    assert max(differences.values()) <= 1e-5, differences


def test_the_probe_notices_an_adapter_that_is_not_applied(monkeypatch):
    model = get_peft_model(tiny("llama"), LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"]))
    monkeypatch.setattr(LinearGroup, "_adapters", lambda group: [None] * len(group.linears))
    choice = Runner(model).choice
    assert choice.backend == "hosted"
    assert "native: the tree differs by" in choice.reason


def test_adapters_of_other_projections_may_take_turns():
    torch.manual_seed(0)
    model = get_peft_model(tiny("llama"), LoraConfig(r=4, target_modules=["q_proj", "v_proj"]), adapter_name="one")
    model.add_adapter("two", LoraConfig(r=2, target_modules=["k_proj", "up_proj"]))
    for key, parameter in model.named_parameters():
        if "lora_B" in key:
            torch.nn.init.normal_(parameter, 0, 0.2)
    runner = Runner(model, layout="tree", backend="native")
    for name in ("two", "one"):
        model.set_adapter(name)
        differences = compare(model, runner, awkward_batch(), 1e-5)
        assert max(differences.values()) <= 1e-5, (name, differences)


def test_an_adapter_on_the_vocabulary_projection_is_refused():
    model = get_peft_model(tiny("llama"), LoraConfig(r=4, target_modules=["o_proj", "lm_head"]))
    with pytest.raises(ModelError, match="an adapter on the vocabulary projection cannot be trained or scored"):
        Runner(model)


def test_a_llama_that_names_a_window_has_none_here_either():
    model = tiny("llama", sliding_window=12)
    runner = Runner(model, layout="tree", backend="native")
    differences = compare(model, runner, awkward_batch(), 1e-5)
    assert max(differences.values()) <= 1e-5, differences


def test_a_window_longer_than_the_short_probe_is_probed_too(monkeypatch):
    from dizuo.trees.native import decoder as native

    model = tiny("mistral", sliding_window=64)
    assert Runner(model).choice.backend == "native"
    monkeypatch.setattr(native, "_window", lambda config, attention: None)
    assert Runner(model).choice.backend == "hosted"


def test_a_cast_of_frozen_weights_follows_a_merge():
    torch.manual_seed(0)
    model = get_peft_model(tiny("llama"), LoraConfig(r=4, lora_alpha=8, target_modules="all-linear"))
    for key, parameter in model.named_parameters():
        if "lora_B" in key:
            torch.nn.init.normal_(parameter, 0, 0.3)
    runner = Runner(model, layout="tree", backend="native", compute_dtype=torch.bfloat16)
    with torch.no_grad():
        before = runner.forward(awkward_batch()).logprobs
        model.merge_adapter()
        after = runner.forward(awkward_batch()).logprobs
    assert (after - before).abs().mean() < 0.1


@pytest.mark.parametrize("name", ["granite", "llama", "gpt2", "gemma2"])
def test_bfloat16_runs_hosted_and_a_leak_is_still_found(name, monkeypatch):
    from dizuo.trees import hosted

    model = tiny(name)
    runner = Runner(model, layout="tree", backend="hosted", compute_dtype=torch.bfloat16)
    outputs = runner.forward(awkward_batch())
    outputs.logprobs.sum().backward()
    exact = Runner(model, layout="padded").forward(awkward_batch()).logprobs
    assert (outputs.logprobs - exact).abs().mean() < 0.2
    original = hosted._mask

    def leaky(*args, **options):
        return torch.ones_like(original(*args, **options)).tril()

    hosted.AttentionMaskInterface.register(hosted.NAME, leaky)
    try:
        assert Runner(model, backend="auto", compute_dtype=torch.bfloat16).choice.backend != "hosted"
    finally:
        hosted.AttentionMaskInterface.register(hosted.NAME, original)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_the_module_is_as_it_was_after_a_pass(name):
    model = tiny(name)
    ids = torch.arange(3, 20)[None]
    before = model(input_ids=ids).logits
    Runner(model, layout="tree", backend="hosted").forward(awkward_batch())
    assert torch.equal(model(input_ids=ids).logits, before)


def test_an_untrained_adapter_costs_nothing_until_its_gradient_is_asked_for():
    model = get_peft_model(tiny("llama"), LoraConfig(r=4, target_modules="all-linear"))
    runner = Runner(model, layout="tree", backend="native")
    with torch.no_grad(), model.disable_adapter():
        plain = runner.forward(awkward_batch()).logprobs
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_A" in name:
                parameter.fill_(float("nan"))  # whoever multiplies by it finds out
        assert torch.equal(runner.forward(awkward_batch()).logprobs, plain)
    assert runner.forward(awkward_batch()).logprobs.isnan().all()


def test_weights_shared_in_one_storage_still_save_and_train():
    model = tiny("llama")
    runner = Runner(model, layout="tree", backend="native")
    before = runner.forward(awkward_batch()).logprobs.detach()
    attention = model.model.layers[0].self_attn
    assert attention.q_proj.weight.untyped_storage().data_ptr() == attention.k_proj.weight.untyped_storage().data_ptr()
    with torch.no_grad():
        attention.k_proj.weight.mul_(2)
    assert (runner.forward(awkward_batch()).logprobs - before).abs().max() > 1e-3
    model.load_state_dict({key: value.clone() for key, value in tiny("llama").state_dict().items()})
    assert torch.equal(runner.forward(awkward_batch()).logprobs, before)
    attention.q_proj.weight.data = attention.q_proj.weight.data.clone()  # somebody moves one away: adopted again
    assert torch.equal(runner.forward(awkward_batch()).logprobs, before)


@pytest.mark.parametrize(("name", "backend"), [*CASES, *((name, "padded") for name in ARCHITECTURES)])
def test_editing_one_sequence_moves_another_by_exactly_nothing(name, backend):
    model = tiny(name)
    runner = Runner(model, layout="padded") if backend == "padded" else Runner(model, layout="tree", backend=backend)
    assert runner.choice.backend == backend
    batch = awkward_batch()
    edited_ids = [ids.copy() for ids in batch.ids]
    edited_ids[1][75:] = (edited_ids[1][75:] + 7) % VOCABULARY
    edited = Sequences(tuple(edited_ids), batch.weights)
    one, two = runner.forward(batch), runner.forward(edited)
    others = one.sequence != 1
    # Products of other sizes may round differently, so isolation shows as the absence of any change beyond rounding;
    # with the batch's shape unchanged it is exactly zero.
    assert len(build(batch)) == len(build(edited))
    assert torch.equal(one.logprobs[others], two.logprobs[others])
    assert not torch.equal(one.logprobs[~others], two.logprobs[~others])


rows = st.lists(st.lists(st.integers(3, 6), min_size=1, max_size=9), min_size=1, max_size=6)


@pytest.mark.parametrize("name", ["llama", "gemma3_text", "gpt2"])
@given(lists=rows, seed=st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_any_batch_gives_the_log_probabilities_of_its_sequences(name, lists, seed):
    rng = np.random.default_rng(seed)
    batch = Sequences.of((row, [0.0, *rng.integers(0, 3, len(row) - 1).tolist()]) for row in lists)
    model, runner = cached(name)
    with torch.no_grad():
        if batch.total_weight == 0:
            assert len(runner.forward(batch).logprobs) == 0
            return
        outputs = runner.forward(batch, need_last=True)
        _, logprobs, last = single_reference(model, batch)
    assert (outputs.logprobs - logprobs).abs().max() < 2e-5
    assert (outputs.last - last).abs().max() < 2e-5


_models: dict = {}


def cached(name):
    if name not in _models:
        model = tiny(name)
        _models[name] = (model, Runner(model, layout="tree"))
    return _models[name]


@pytest.mark.parametrize("keep_bytes", [0, 1 << 30])
@pytest.mark.parametrize("name", ["llama", "gemma2", "cohere", "llama, tied"])
def test_the_chunks_of_the_vocabulary_projection_do_not_show(name, keep_bytes, monkeypatch):
    model = tiny(name)
    monkeypatch.setattr(head, "CHUNK_ROWS", 7)
    monkeypatch.setattr(head, "KEEP_BYTES", keep_bytes)
    differences = compare(model, Runner(model, layout="tree"), awkward_batch(), 1e-5)
    assert max(differences.values()) <= 1e-5, differences


def test_scores_do_not_depend_on_the_token_budget():
    model = tiny("llama")
    runner = Runner(model)
    batch = awkward_batch()
    whole = score(runner, batch)
    pieces = score(runner, batch, max_tokens=60)
    assert [len(row) for row in whole] == [int((w != 0).sum()) for w in batch.weights]
    for one, two in zip(whole, pieces, strict=True):
        np.testing.assert_allclose(one, two, atol=2e-5)


def test_an_empty_batch_scores_to_nothing():
    assert score(Runner(tiny("llama")), Sequences((), ())) == []


def test_keys_keep_tokens_apart_and_change_no_number_and_survive_being_cut_into_parts():
    runner = Runner(tiny("llama"), layout="tree")
    batch = awkward_batch()
    keyed = dataclasses.replace(batch, keys=tuple(np.full(len(ids), s % 2) for s, ids in enumerate(batch.ids)))
    with torch.no_grad():
        one, two = runner.forward(batch), runner.forward(keyed)
    assert two.num_tokens > one.num_tokens
    assert (two.logprobs - one.logprobs).abs().max() < 1e-5
    parts = np.concatenate(score(runner, keyed, max_tokens=60))
    np.testing.assert_allclose(parts, one.logprobs.numpy(), atol=2e-5)
    np.testing.assert_allclose(last_states(runner, keyed), last_states(runner, batch), atol=2e-5)


MUTANTS = {
    "causal mask only": lambda tree: dataclasses.replace(tree, end=np.full_like(tree.end, len(tree))),
    "packed index as position": lambda tree: dataclasses.replace(tree, depth=np.arange(len(tree))),
    "weight 1 instead of the given one": lambda tree: dataclasses.replace(
        tree, path_weight=np.ones_like(tree.path_weight)
    ),
}


@pytest.mark.parametrize("backend", ["native", "hosted"])
@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_comparison_catches_a_mutant(mutant, backend, monkeypatch):
    model = tiny("llama")
    runner = Runner(model, layout="tree", backend=backend)
    monkeypatch.setattr(runner_module, "build", lambda batch: MUTANTS[mutant](build(batch)))
    differences = compare(model, runner, awkward_batch(), 1e-5)
    assert max(differences.values()) > 1e-3, f"{mutant} went unnoticed: {differences}"


@pytest.mark.parametrize("backend", ["native", "hosted"])
def test_the_comparison_catches_a_window_on_packed_distance(backend, monkeypatch):
    from dizuo.trees import hosted
    from dizuo.trees.native import decoder as native

    model = tiny("mistral, window")
    runner = Runner(model, layout="tree", backend=backend)
    if backend == "native":
        plan = native.plan_blocks

        def packed_distance(tree, **options):
            return plan(dataclasses.replace(tree, depth=np.arange(len(tree))), **options)

        monkeypatch.setattr(native, "plan_blocks", packed_distance)
    else:
        original = hosted._mask

        def packed_mask(*args, mask_function=None, **rest):
            def rule(batch, head, q, kv):
                index = torch.arange(q.shape[0])
                return mask_function(batch, head, index[:, None], index[None, :])

            return original(*args, mask_function=rule, **rest)

        hosted.AttentionMaskInterface.register(hosted.NAME, packed_mask)
    try:
        differences = compare(model, runner, awkward_batch(), 1e-5)
    finally:
        if backend == "hosted":
            hosted.AttentionMaskInterface.register(hosted.NAME, original)
    assert max(differences.values()) > 1e-3, differences
