"""Models whose layers cannot be isolated are recognised and run as padded batches."""

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from dizuo.errors import ModelError
from dizuo.trees import Runner
from dizuo.trees.hosted import _attention
from models import awkward_batch, tiny

SMALL = {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "pad_token_id": 0}
REFUSED = {
    "bloom": ({"n_layer": 2, "n_head": 4}, "its attention bypasses transformers' attention interface"),
    "mamba": ({"state_size": 4}, "it carries recurrent state from token to token"),
    "lfm2": (
        {
            "intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2,
            "layer_types": ["conv", "full_attention"], "max_position_embeddings": 128,
        },
        "it has layers of type conv, which mix neighbouring tokens",
    ),
    "llama": (
        {
            "intermediate_size": 48, "num_attention_heads": 4, "max_position_embeddings": 16,
            "rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0},
        },
        "its rotary embedding (dynamic) depends on the longest position of the batch",
    ),
}  # fmt: skip


def refused_model(kind):
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(CONFIG_MAPPING[kind](**{**SMALL, **REFUSED[kind][0]})).eval()


@pytest.mark.parametrize("kind", REFUSED)
def test_a_model_that_cannot_isolate_runs_padded_and_says_why(kind):
    runner = Runner(refused_model(kind))
    assert runner.choice.layout == "padded"
    assert REFUSED[kind][1] in runner.choice.reason
    if kind != "llama":
        assert torch.isfinite(runner.forward(awkward_batch()).logprobs).all()


def test_asking_for_a_tree_where_there_can_be_none_is_an_error():
    with pytest.raises(ModelError, match="bloom cannot run as a token tree: its attention bypasses"):
        Runner(refused_model("bloom"), layout="tree")


def test_the_choice_is_measured_and_carries_its_error():
    choice = Runner(tiny("llama")).choice
    assert (choice.layout, choice.backend) == ("tree", "native")
    assert choice.error is not None
    assert 0 < choice.error < 1e-3


def test_an_earlier_choice_is_followed_without_measuring():
    model = tiny("llama")
    choice = Runner(model, backend="hosted").choice
    assert Runner(model, choice=choice).choice is choice


def test_a_model_without_native_forward_runs_hosted_and_says_why():
    choice = Runner(tiny("gpt2")).choice
    assert choice.backend == "hosted"
    assert "native: no native forward for gpt2" in choice.reason


HEADS = {
    "recurrent_gemma": {
        "num_attention_heads": 4, "num_key_value_heads": 1, "intermediate_size": 48, "lru_width": 32,
        "attention_window_size": 8, "logits_soft_cap": 0.7,
    },
    "bert": {"num_attention_heads": 4, "intermediate_size": 48, "is_decoder": True, "hidden_dropout_prob": 0.0},
}  # fmt: skip


@pytest.mark.parametrize("kind", HEADS)
def test_logits_changed_in_an_unknown_way_are_the_models_own(kind):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[kind](**{**SMALL, **HEADS[kind]})).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.2)
    batch = awkward_batch()
    runner = Runner(model)
    assert runner.choice.layout == "padded"
    outputs = runner.forward(batch, need_last=True)
    expected = []
    for ids, weights in zip(batch.ids, batch.weights, strict=True):
        logits = torch.log_softmax(model(input_ids=torch.from_numpy(ids).long()[None], use_cache=False).logits[0], -1)
        where = weights.nonzero()[0]
        expected.append(logits[where - 1, ids[where]])
    assert (outputs.logprobs - torch.cat(expected)).abs().max() < 1e-4
    assert outputs.last.shape == (len(batch), 32)


def test_an_unknown_attention_keyword_is_an_error_and_never_swallowed():
    x = torch.zeros(1, 2, 3, 4)
    with pytest.raises(ModelError, match="asks its attention for new_rule, which is not known here"):
        _attention(torch.nn.Identity(), x, x, x, torch.ones(1, 1, 3, 3, dtype=torch.bool), new_rule=1)


def test_attention_dropout_is_refused_inside_a_tree():
    model = tiny("llama", attention_dropout=0.5).train()
    runner = Runner(model, backend="hosted")
    model.train()
    with pytest.raises(ModelError, match="drops out attention"):
        runner.forward(awkward_batch())
