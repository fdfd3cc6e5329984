from dataclasses import replace

import pytest
import torch

from dizuo import models
from dizuo.errors import TrainingError
from dizuo.training import TrainOptions, plan, train
from dizuo.training.building.build import explain_out_of_memory
from dizuo.training.checkpoints import Checkpoints, capture_random_state, restore_random_state
from dizuo.training.planning import machine
from dizuo.training.planning.machine import Machine


def test_differences_name_what_changed():
    here = Machine.here(threads=2)
    assert here.libraries["torch"] == torch.__version__
    assert here.differences(here) == []
    there = replace(here, threads=8, libraries={**here.libraries, "peft": "0.1"})
    assert there.differences(here) == [
        f"libraries.peft: 0.1 there, {here.libraries['peft']} here",
        "threads: 8 there, 2 here",
    ]


def test_memory_is_between_nothing_and_the_machines():
    import psutil

    assert 0 < machine.available_memory() <= machine.total_memory() <= psutil.virtual_memory().total


def test_random_states_come_back_through_json():
    import json
    import random

    import numpy as np

    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    np.random.standard_normal()  # leaves a cached second value behind
    state = json.loads(json.dumps(capture_random_state()))

    def draw():
        return torch.rand(2).tolist(), random.random(), random.gauss(0, 1), np.random.standard_normal(3).tolist()

    first = draw()
    restore_random_state(state)
    assert draw() == first


def test_running_out_of_memory_says_what_to_change(spec, data, out):
    planned = plan(spec, data, out=out, options=TrainOptions(), measure=False)
    with pytest.raises(TrainingError) as caught:
        explain_out_of_memory(lambda: torch.empty(10**15), tokens_per_block=planned.use.tokens_per_block)
    assert str(caught.value) == (
        "out of memory with 4,096 tokens per block\n\nhint: set tokens_per_block to 2,048, or shorten max_length"
    )


def test_other_faults_are_not_called_memory():
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        explain_out_of_memory(lambda: torch.zeros(2, 3) @ torch.zeros(2, 3), tokens_per_block=4096)


@pytest.mark.parametrize("layout", ["tree", "padded"])
@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_bfloat16_compute_keeps_float32_weights_and_follows_float32(spec, data, out, layout, adapter):
    losses = {}
    for dtype in ("float32", "bfloat16"):
        options = TrainOptions(
            adapter=adapter, dtype=dtype, layout=layout, max_steps=8, batch_size=8, learning_rate=2e-3, eval_every=0
        )
        run = train(plan(spec, data, out=out / dtype, options=options, measure=False))
        assert run.plan.use.dtype == dtype
        assert run.plan.use.layout == layout
        losses[dtype] = [line["loss"] for line in run.metrics()]
        weights = Checkpoints(run.folder / "checkpoints").load(8).weights()
        assert {value.dtype for value in weights.values()} == {torch.float32}
    pairs = list(zip(losses["float32"], losses["bfloat16"], strict=True))
    assert max(abs(a - b) for a, b in pairs) < 0.05
    assert any(a != b for a, b in pairs), "nothing ran in bfloat16"


def test_an_evaluation_that_gives_no_number_stops_the_run(spec, data, out):
    planned = plan(spec, data, out=out, options=TrainOptions(max_steps=2, eval_every=1), measure=False)
    with pytest.raises(TrainingError) as caught:
        train(planned, evaluate_fn=lambda model, step: {"accuracy": float("nan")})
    assert str(caught.value) == ("the evaluation after step 1 gave figures that are not numbers\n  accuracy is nan")


def test_a_model_of_another_digest_is_not_trained(spec, data, out, tmp_path):
    from training_samples import write_model

    other = models.load(models.inspect(write_model(tmp_path / "other", seed=3)))
    planned = plan(spec, data, out=out, options=TrainOptions(max_steps=2), measure=False)
    with pytest.raises(TrainingError, match=r"^the model given is other, but the plan is for tiny"):
        train(planned, model=other)
