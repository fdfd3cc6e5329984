"""The estimate of memory follows the run's own values; where it cannot tell, a child process tries the run."""

import dataclasses

import pytest

from dizuo import models
from dizuo.errors import PlanError
from dizuo.events import Note
from dizuo.training import TrainOptions, plan, train
from dizuo.training.methods import METHODS
from dizuo.training.planning import machine
from dizuo.training.planning.problems import Problems
from dizuo.training.planning.resolving import Draft
from dizuo.training.planning.trial import run_trial
from dizuo.training.tokens.token_store import TokenStore

GB = 10**9


@pytest.fixture(scope="module")
def tokens(spec, data, tmp_path_factory):
    """The token store of a plan."""
    folder = tmp_path_factory.mktemp("tokens") / "run"
    plan(spec, data, out=folder, options=TrainOptions(), measure=False)
    return TokenStore(folder / "tokens" / "train")


@pytest.fixture
def large(spec):
    """A model of eight billion weights, of which there is only the description."""
    return dataclasses.replace(
        spec, parameters=8_030_000_000, vocab_size=128_256, hidden_size=4096, num_layers=32, num_heads=32,
        num_kv_heads=8, head_dim=128, intermediate_size=14_336,
    )  # fmt: skip


def drafted(spec, tokens, **options):
    """Return what of a plan is resolved before the model is loaded, and the problems."""
    wanted, problems = TrainOptions(**options), Problems()
    draft = Draft(wanted, {}, spec, train=tokens, validation=None, method=METHODS.load("sft"), num_outputs=0)
    draft.resolve(problems)
    return draft, problems


def refused_for_memory(problems):
    return any("GB of memory" in reason for reason, _ in problems.reasons)


OTHER = {
    "dtype": ({"dtype": "bfloat16"}, {"dtype": "float32"}),
    "quantize": ({"quantize": "int8"}, {"quantize": "none"}),
    "adapter": ({"adapter": "lora"}, {"adapter": "full"}),
    "variant": ({"adapter": "lora"}, {"adapter": "dora"}),
    "checkpointing": ({"checkpoint_activations": True}, {"checkpoint_activations": False}),
    "blocks": ({"tokens_per_block": 16}, {"tokens_per_block": 4096}),
}


@pytest.mark.parametrize("name", OTHER)
def test_the_estimate_and_the_refusal_are_by_the_runs_own_values(name, large, tokens, monkeypatch):
    less, more = OTHER[name]
    shape = {"dtype": "bfloat16", "batch_size": 40, "tokens_per_block": 4096, "checkpoint_activations": False}
    monkeypatch.setattr(machine, "available_memory", lambda device="cpu": 10**15)
    needs = [drafted(large, tokens, **{**shape, **values})[0].estimates().memory for values in (less, more)]
    if name != "dtype":
        assert needs[0].total < needs[1].total
    else:  # casts of the weights stand beside them, and what is kept of a token takes half
        assert needs[0].activations < 0.6 * needs[1].activations
        assert needs[0].weights > needs[1].weights
    for values, needed in zip((less, more), needs, strict=True):
        monkeypatch.setattr(machine, "available_memory", lambda device="cpu", n=needed: n.surely - 1)
        assert refused_for_memory(drafted(large, tokens, **{**shape, **values})[1])
        monkeypatch.setattr(machine, "available_memory", lambda device="cpu", n=needed: n.surely)
        draft, problems = drafted(large, tokens, **{**shape, **values})
        assert not refused_for_memory(problems)
        assert draft.near_limit
        monkeypatch.setattr(machine, "available_memory", lambda device="cpu", n=needed: n.perhaps)
        assert not drafted(large, tokens, **{**shape, **values})[0].near_limit


def test_a_block_that_fits_in_sixteen_bits_is_chosen_for_sixteen_bits(spec, tokens, monkeypatch):
    small = dataclasses.replace(
        spec, parameters=134_515_008, vocab_size=49_152, hidden_size=576, num_layers=30, num_heads=9, num_kv_heads=3,
        head_dim=64, intermediate_size=1536,
    )  # fmt: skip
    monkeypatch.setattr(machine, "available_memory", lambda device="cpu": 10**15)

    def needed(dtype, **more):
        return drafted(small, tokens, dtype=dtype, batch_size=40, **more)[0].estimates().memory

    half, whole = (needed(dtype, tokens_per_block=1024) for dtype in ("bfloat16", "float32"))
    assert half.tokens == whole.tokens > 512
    monkeypatch.setattr(machine, "total_memory", lambda device="cpu": half.total + whole.total)
    assert half.total < whole.total
    assert needed("bfloat16").tokens > 512 == needed("float32").tokens


@pytest.mark.slow
def test_a_plan_near_the_limit_is_tried_and_says_what_it_took(spec, data, out, monkeypatch):
    free = 280 * 10**6  # more than a trial leaves free, and less than the estimate of a tiny model may be wrong by
    monkeypatch.setattr(machine, "available_memory", lambda device="cpu": free)
    told = []
    made = plan(spec, data, out=out, options=TrainOptions(max_steps=2, batch_size=8), measure=False, watch=told.append)
    assert made.estimates.memory.surely < free < made.estimates.memory.perhaps
    assert Note("trying the worst block, an update, an evaluation and a checkpoint in a process of its own") in told
    measured = made.estimates.measured
    assert measured.peak > 4 * spec.parameters
    assert abs(measured.peak - made.estimates.memory.total) < 150e6
    assert [entry.name for entry in out.iterdir() if entry.name.startswith(".trial")] == []
    assert plan(spec, data, out=out, options=TrainOptions(max_steps=2, batch_size=8)).estimates == made.estimates
    assert train(made).metrics()[0]["loss"] == pytest.approx(measured.first_loss, abs=1e-4), "nothing was changed"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["dpo", "classification"])
def test_methods_with_a_reference_or_a_head_are_tried_too(method, spec, tmp_path):
    from preference_samples import data_for
    from training_samples import Rows

    rows = data_for("dpo", tmp_path / "data") if method == "dpo" else Rows().write(tmp_path / "data")
    options = TrainOptions(method=method, adapter="full", max_steps=2, batch_size=4)
    made = plan(spec, rows, out=tmp_path / "run", options=options, trial=True)
    assert made.estimates.measured.peak > 16 * spec.parameters


def test_a_trial_is_ended_before_the_machine_has_no_memory(spec, data, out, monkeypatch):
    made = plan(spec, data, out=out, options=TrainOptions(max_steps=2), measure=False)
    monkeypatch.setattr(machine, "available_memory", lambda device="cpu": 200 * 2**20)
    with pytest.raises(PlanError) as caught:
        run_trial(made, train=out / "tokens" / "train")
    assert str(caught.value) == (
        "training needs more memory than there is: its worst block ran until 0.3 GB were free\n\n"
        "hint: lower max_length or tokens_per_block, use adapter: lora, or choose a smaller model"
    )


@pytest.mark.slow
def test_a_trial_that_fails_says_why(spec, data, out):
    made = plan(spec, data, out=out, options=TrainOptions(max_steps=2), measure=False)
    gone = dataclasses.replace(made, model=dataclasses.replace(spec, folder=str(out / "gone")))
    with pytest.raises(PlanError, match="the files of tiny are gone"):
        run_trial(gone, train=out / "tokens" / "train")


def test_a_loaded_model_comes_back_from_measuring_unchanged(spec, data, out):
    loaded = models.load(spec)
    before = {name: value.clone() for name, value in loaded.module.state_dict().items()}
    plan(loaded, data, out=out, options=TrainOptions(adapter="full", max_steps=2), measure=True)
    assert all(value.equal(before[name]) for name, value in loaded.module.state_dict().items())
