"""The static verdict on a configuration, and that it is the one that a module gets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dizuo.models.capability import BYPASSES, RECURRENT, config_refusal, tree_refusal
from dizuo.trees.capability import refusal


def module(config: Any, *, free: bool = True, stateful: bool = False) -> Any:
    """A stand-in for a transformers model: what `refusal` asks it, and nothing else."""
    return SimpleNamespace(
        config=SimpleNamespace(get_text_config=lambda: config),
        _can_set_attn_implementation=lambda: free,
        _is_stateful=stateful,
    )


CONFIGS = [
    ({}, None),
    ({"is_encoder_decoder": True}, "it is an encoder–decoder"),
    ({"layer_types": ["full_attention", "conv"]}, "it has layers of type conv, which mix neighbouring tokens"),
    ({"layer_types": ["sliding_attention", "full_attention"]}, None),
    ({"use_bidirectional_attention": True}, "its attention is bidirectional"),
    ({"attn_temperature_tuning": 4}, "its attention is tempered by the packed position"),
    ({"rope_parameters": {"rope_type": "default"}}, None),
    ({"rope_parameters": {"rope_type": "longrope"}}, "its rotary embedding (longrope) depends on the longest"),
    ({"rope_parameters": {"full_attention": {"rope_type": "dynamic"}}}, "its rotary embedding (dynamic) depends on"),
]


@pytest.mark.parametrize(("fields", "said"), CONFIGS)
def test_a_configuration_is_judged_alike_before_and_after_loading(fields: dict[str, Any], said: str | None) -> None:
    config = SimpleNamespace(model_type="llama", **fields)
    verdicts = {tree_refusal(config), config_refusal(config), refusal(module(config))}
    assert len(verdicts) == 1
    (verdict,) = verdicts
    assert (verdict is None) == (said is None)
    assert said is None or (verdict or "").startswith(said)


def test_names_stand_in_for_what_a_module_says_of_itself() -> None:
    for kind, said in (("bloom", BYPASSES), ("mamba", RECURRENT)):
        assert tree_refusal(SimpleNamespace(model_type=kind)) == said
        # A version of it that goes through the interface is not refused for its name.
        assert refusal(module(SimpleNamespace(model_type=kind))) is None
    plain = SimpleNamespace(model_type="llama")
    assert refusal(module(plain, free=False)) == BYPASSES
    assert refusal(module(plain, stateful=True)) == RECURRENT
