import math

import pytest

from dizuo.training.planning.defaults import (
    choose_checkpoint_every,
    choose_epochs,
    choose_eval_every,
    choose_learning_rate,
    choose_tokens_per_block,
)
from dizuo.training.stepping.schedule import scheduled_rate as rate_at


def rates(schedule, *, warmup=2, steps=10):
    return [
        rate_at(step, peak=1.0, warmup_steps=warmup, num_steps=steps, schedule=schedule) for step in range(1, steps + 1)
    ]


def test_the_rate_rises_to_its_peak_and_falls_towards_0():
    assert rates("linear") == pytest.approx([0.5, 1, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8])
    assert rates("constant") == pytest.approx([0.5] + [1.0] * 9)
    assert rates("cosine") == pytest.approx([0.5, 1.0] + [(1 + math.cos(math.pi * k / 8)) / 2 for k in range(8)])


def test_it_agrees_with_the_schedule_of_transformers():
    import torch
    from transformers import get_cosine_schedule_with_warmup

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    theirs = get_cosine_schedule_with_warmup(optimizer, 5, 40)
    for step in range(1, 40):
        # Theirs starts at rate 0, which trains nothing; ours is theirs one step later while it rises.
        optimizer.step()
        theirs.step()
        ours = rate_at(step + (step > 5), peak=0.3, warmup_steps=5, num_steps=40, schedule="cosine")
        assert ours == pytest.approx(theirs.get_last_lr()[0], abs=1e-12)


def test_one_step_runs_at_the_peak():
    assert rates("cosine", warmup=0, steps=1) == [1.0]


def test_defaults_follow_model_and_data():
    assert [choose_learning_rate(adapter="lora", parameters=n).value for n in (135e6, 0.5e9, 3e9, 7e9)] == [
        1e-3,
        5e-4,
        3e-4,
        2e-4,
    ]
    assert choose_learning_rate(adapter="full", parameters=int(135e6)).value == 1e-4
    assert choose_learning_rate(adapter="lora", parameters=134_515_008).why == "LoRA of a model of 135M parameters"
    assert [choose_epochs(num_examples=n).value for n in (99, 100, 640, 9_000, 200_000)] == [8.0, 4.0, 3.0, 2.0, 1.0]
    assert [choose_checkpoint_every(num_steps=n).value for n in (1, 50, 10_000)] == [1, 5, 200]
    assert [choose_eval_every(num_steps=n, num_validation=9).value for n in (1, 10, 100)] == [1, 3, 25]
    assert choose_eval_every(num_steps=100, num_validation=0).value == 0
    sizes = {4096: 9_000, 2048: 6_000, 1024: 4_000, 512: 3_000}
    assert [choose_tokens_per_block(sizes, memory=m).value for m in (20_000, 12_000, 100)] == [4096, 2048, 512]
