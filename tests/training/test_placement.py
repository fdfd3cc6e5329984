"""Where a run computes, what it keeps there, and what is refused with its reason."""

import importlib.util
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from dizuo import models
from dizuo.errors import PlanError
from dizuo.events import Metric
from dizuo.models import memory
from dizuo.training import Run, TrainOptions, plan, train
from dizuo.training.building.build import build_network, build_stepper
from dizuo.training.checkpoints import Checkpoints
from dizuo.training.planning import placement
from dizuo.training.tokens.tokenizing import TokenStore

OPTIONS = {"batch_size": 8, "epochs": 1.0, "checkpoint_every": 2, "eval_every": 3, "learning_rate": 3e-3}


def planned(spec, data, out, **changes):
    return plan(spec, data, out=out, options=TrainOptions(**{**OPTIONS, **changes}), measure=False)


def result(run):
    (path,) = (run.folder / run.finished["result"]).glob("*.safetensors")
    return load_file(path)


def lines(run):
    return [line for line in run.metrics() if "loss" in line]


@pytest.mark.parametrize("adapter", ["lora", "full"])
@pytest.mark.parametrize("layout", ["tree", "padded"])
def test_checkpointed_activations_train_the_same_weights(spec, data, tmp_path, adapter, layout):
    runs = []
    for again in (False, True):
        made = planned(
            spec, data, tmp_path / str(again), adapter=adapter, layout=layout, checkpoint_activations=again, max_steps=3
        )
        assert made.why["checkpoint_activations"].origin == "call"
        runs.append(train(made))
    for mine, theirs in zip(*(lines(run) for run in runs), strict=True):
        assert mine["loss"] == pytest.approx(theirs["loss"], abs=1e-6)
    for name, weight in result(runs[1]).items():
        assert float((weight - result(runs[0])[name]).abs().max()) < 1e-6


def test_activations_are_kept_where_they_fit(spec, data, out):
    made = planned(spec, data, out)
    why = made.why["checkpoint_activations"]
    assert not made.use.checkpoint_activations
    assert (why.origin, why.why) == ("estimated", "the largest block fits without it")


@pytest.mark.parametrize(
    ("free", "value", "why"),
    [
        (120, False, "the largest block fits without it"),
        (100, True, "the largest block needs 120.0 GB without it, 80.0 GB with it; 100.0 GB are free"),
        (70, False, "the largest block fits neither with nor without it"),
    ],
)
def test_activations_are_computed_again_where_they_do_not_fit(free, value, why):
    chosen = placement.choose_checkpointing(
        TrainOptions(), "default", lambda again, away: (80 if again else 120) * 10**9, free * 10**9
    )
    assert (chosen.value, chosen.origin, chosen.why) == (value, "estimated", why)
    asked = TrainOptions(checkpoint_activations=True)
    assert placement.choose_checkpointing(asked, "recipe", lambda again, away: 0, free).origin == "recipe"


@pytest.mark.parametrize(
    ("on", "free", "value", "why"),
    [
        ("cpu", 70, False, "the run is in the CPU's memory already"),
        ("cuda", 90, False, "the largest block fits without it"),
        ("cuda", 70, True, "the largest block needs 80.0 GB without it, 60.0 GB with it; 70.0 GB are free"),
        ("cuda", 50, False, "it would not help"),
    ],
)
def test_what_goes_into_layers_waits_in_the_cpus_memory_where_a_gpu_has_too_little(on, free, value, why):
    def needed(again, away):
        return (60 if again and away else 80 if again else 120) * 10**9

    options = TrainOptions()
    again = placement.choose_checkpointing(options, "default", needed, free * 10**9).value
    assert again == (free >= 60)
    chosen = placement.choose_offloading(options, "default", on=on, again=True, needed=needed, free=free * 10**9)
    assert (chosen.value, chosen.why) == (value, why)
    asked = TrainOptions(offload_activations=True)
    assert placement.choose_checkpointing(asked, "recipe", needed, 10**12).value
    assert (
        placement.choose_offloading(asked, "recipe", on="cuda", again=True, needed=needed, free=10**12).origin
        == "recipe"
    )


def test_offloading_on_a_cpu_says_that_there_is_nowhere_to_go(spec, data, out):
    made = planned(spec, data, out, offload_activations=True)
    assert (made.use.checkpoint_activations, made.use.offload_activations) == (True, False)
    assert "offload_activations is for GPUs: this run is in the CPU's memory already" in made.notes
    with pytest.raises(PlanError, match="leave checkpoint_activations out"):
        TrainOptions(offload_activations=True, checkpoint_activations=False)


def test_the_estimate_knows_what_is_computed_again_and_kept_in_8_bits(spec):
    large = replace(spec, hidden_size=1024, num_layers=24, num_heads=16, num_kv_heads=16, intermediate_size=4096)
    shape = {"tokens": 4096, "sequence_length": 1024, "trained_tokens": 500}
    kept = memory.estimate(large, method="full", **shape)
    again = memory.estimate(large, method="full", checkpoint_activations=True, **shape)
    assert again.activations < 0.25 * kept.activations
    away = memory.estimate(large, method="full", checkpoint_activations=True, offload_activations=True, **shape)
    assert away.activations < 0.6 * again.activations
    assert (again.weights, again.optimizer) == (kept.weights, kept.optimizer)
    small = memory.estimate(large, method="full", optimizer="adamw8bit", **shape)
    assert small.optimizer * 4 == kept.optimizer


def test_a_gpu_that_is_not_there_is_refused(spec, data, out, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(PlanError) as caught:
        planned(spec, data, out, device="cuda")
    assert str(caught.value).startswith("device is cuda, but torch sees no GPU")
    assert "hint: install torch for CUDA" in str(caught.value)
    assert planned(spec, data, out).use.device == "cpu"
    assert planned(spec, data, out).why["device"].why == "torch sees no GPU"


def test_sharded_weights_run_hosted_and_one_process_keeps_them_whole(spec, data, out):
    made = planned(spec, data, out, shard="fsdp2")
    assert (made.use.layout, made.use.backend) == ("tree", "hosted")
    assert made.why["shard"].why == "spread over the ranks of a launch; one process keeps them whole"
    assert train(made).finished["step"] == 5


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is not None, reason="bitsandbytes is installed")
def test_8_bit_states_without_bitsandbytes_are_refused(spec, data, out):
    with pytest.raises(PlanError) as caught:
        planned(spec, data, out, optimizer="adamw8bit")
    assert str(caught.value) == (
        "optimizer adamw8bit cannot work here: the package bitsandbytes is not installed: "
        'pip install "bitsandbytes>=0.50"\n\nhint: use optimizer: adamw'
    )


def test_8_bit_states_are_not_sharded(spec, data, out):
    with pytest.raises(PlanError, match="quantised in blocks, which shard fsdp2 would cut"):
        planned(spec, data, out, optimizer="adamw8bit", shard="fsdp2")


class Killed(Exception):
    pass


def stop_after(step):
    def watch(event):
        if isinstance(event, Metric) and event.step == step and "grad_norm" in event.values:
            raise Killed

    return watch


def test_8_bit_states_train_and_resume_to_the_same_bits(spec, data, tmp_path):
    pytest.importorskip("bitsandbytes")
    made = planned(spec, data, tmp_path / "whole", optimizer="adamw8bit", adapter="full")
    shutil.copytree(made.folder, tmp_path / "stopped")
    whole = train(made)
    with pytest.raises(Killed):
        train(Run.open(tmp_path / "stopped").plan, watch=stop_after(3))
    resumed = train(Run.open(tmp_path / "stopped").plan)
    for name, weight in result(whole).items():
        assert torch.equal(weight, result(resumed)[name]), name
    kept = Checkpoints(whole.folder / "checkpoints").latest().optimizer()
    assert kept["model.embed_tokens.weight/state1"].dtype == torch.uint8
    plain = train(planned(spec, data, tmp_path / "plain", adapter="full"))
    losses = [lines(run)[-1]["loss"] for run in (whole, plain)]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_nothing_of_a_step_is_made_on_the_default_device(spec, data, out):
    """A tensor that forgot its model's device would be made on the one set here, and could not be computed with."""
    model = models.load(spec)
    made = planned(spec, data, out)
    store = TokenStore(made.folder / "tokens" / "train")
    network = build_network(made, model)
    try:
        stepper = build_stepper(made, network)
        expected = stepper.accumulate(store, [0, 1, 2]).loss
        with torch.device("meta"):
            assert stepper.accumulate(store, [0, 1, 2]).loss == expected
            stepper.apply(stepper.accumulate(store, [3, 4]), learning_rate=1e-3)
            stepper.evaluate(store, batch_size=4)
    finally:
        network.release()


gpu = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")]


@pytest.mark.parametrize("adapter", [pytest.param(adapter, marks=gpu) for adapter in ("lora", "full")])
def test_a_gpu_trains_what_a_cpu_does(spec, data, tmp_path, adapter):
    torch.backends.cuda.matmul.allow_tf32 = False
    changes = {"adapter": adapter, "dtype": "float32", "learning_rate": 3e-4}
    here = train(planned(spec, data, tmp_path / "cpu", device="cpu", **changes))
    there = train(planned(spec, data, tmp_path / "cuda", device="cuda", **changes))
    assert there.plan.use.device == "cuda"
    for mine, theirs in zip(lines(there), lines(here), strict=True):
        assert mine["loss"] == pytest.approx(theirs["loss"], abs=1e-4)
        assert mine["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-3)
    again = train(planned(spec, data, tmp_path / "again", device="cuda", **changes, checkpoint_activations=True))
    assert lines(again)[-1]["loss"] == pytest.approx(lines(there)[-1]["loss"], abs=1e-4)


@pytest.mark.parametrize("optimizer", [pytest.param(name, marks=gpu) for name in ("adamw", "adamw8bit")])
def test_a_gpu_resumes(spec, data, tmp_path, optimizer):
    if optimizer == "adamw8bit":
        pytest.importorskip("bitsandbytes")
    made = planned(spec, data, tmp_path / "whole", device="cuda", dtype="bfloat16", optimizer=optimizer)
    shutil.copytree(made.folder, tmp_path / "stopped")
    whole = train(made)
    with pytest.raises(Killed):
        train(Run.open(tmp_path / "stopped").plan, watch=stop_after(3))
    resumed = train(Run.open(tmp_path / "stopped").plan)
    assert lines(resumed)[-1]["loss"] == pytest.approx(lines(whole)[-1]["loss"], abs=1e-3)
