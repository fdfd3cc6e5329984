"""Whole runs of preference methods: planned, trained, evaluated, stopped and resumed, to the bit."""

import json
import math
import shutil

import numpy as np
import pytest
from preference_samples import data_for, feedback, preferences, texts
from test_resume import Killed, assert_same_bits, result, stop_after
from training_samples import Rows

from dizuo.errors import PlanError, TrainingError
from dizuo.events import Progress, Started, Warned
from dizuo.records import Message, Origin, Preference
from dizuo.training import Run, TrainOptions, plan, train
from dizuo.training.methods import METHODS
from dizuo.training.tokens.tokenizing import TokenStore

TRIED = ("dpo", "kto", "orpo", "simpo", "pretrain")
OPTIONS = {"batch_size": 8, "max_steps": 6, "checkpoint_every": 2, "eval_every": 3}
FIGURES = {
    "dpo": {"accuracy", "margin", "chosen_reward", "rejected_reward"},
    "kto": {"accuracy", "kl", "desirable_reward", "undesirable_reward"},
    "orpo": {"nll", "accuracy", "margin", "chosen_reward", "rejected_reward"},
    "simpo": {"accuracy", "margin", "chosen_reward", "rejected_reward"},
    "pretrain": set(),
}
OWN = {"step", "loss", "grad_norm", "learning_rate", "epoch", "tokens", "packed_tokens", "seconds"}


def planned(spec, data, out, method, *, method_options=None, measure=False, **changes):
    options = TrainOptions(**{**OPTIONS, "method": method, **changes})
    return plan(spec, data, out=out, options=options, method_options=method_options, measure=measure)


@pytest.fixture(scope="module", params=TRIED)
def method(request):
    return request.param


@pytest.fixture(scope="module")
def rows(method, tmp_path_factory):
    return data_for(method, tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(spec, method, rows, tmp_path_factory):
    return train(planned(spec, rows, tmp_path_factory.mktemp("whole") / "run", method))


def test_every_step_and_every_evaluation_has_its_figures(method, whole):
    steps = [line for line in whole.metrics() if "grad_norm" in line]
    evaluations = [line for line in whole.metrics() if "validation_loss" in line]
    assert [line["step"] for line in steps] == [1, 2, 3, 4, 5, 6]
    assert [line["step"] for line in evaluations] == [3, 6]
    assert all(line.keys() == OWN | FIGURES[method] for line in steps)
    expected = {"step", "seconds", "validation_loss"} | {f"validation_{name}" for name in FIGURES[method]}
    assert all(line.keys() == expected for line in evaluations)
    assert all(math.isfinite(value) for line in whole.metrics() for value in line.values())


def test_training_moves_the_loss_down(method, spec, rows, tmp_path):
    run = train(planned(spec, rows, tmp_path / "run", method, max_steps=30, learning_rate=3e-3, eval_every=30))
    losses = [line["loss"] for line in run.metrics() if "grad_norm" in line]
    assert np.mean(losses[-3:]) < np.mean(losses[:3]) - 0.01


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(method, spec, rows, whole, tmp_path):
    for step in (1, 5):
        with pytest.raises(Killed):
            train(planned(spec, rows, tmp_path / "run", method), watch=stop_after(step))
    run = train(planned(spec, rows, tmp_path / "run", method))
    assert_same_bits(result(run), result(whole))
    timeless = [[{k: v for k, v in line.items() if k != "seconds"} for line in r.metrics()] for r in (run, whole)]
    assert timeless[0] == timeless[1]
    for name in ("train", "validation"):
        there = [TokenStore(r.folder / "tokens" / name).reference for r in (run, whole)]
        assert (there[0] is not None) == METHODS.load(method).needs_reference
        if there[0] is not None:
            assert there[0].tobytes() == there[1].tobytes()


def test_measuring_the_plan_changes_no_bit(method, spec, rows, whole, tmp_path):
    ready = planned(spec, rows, tmp_path / "run", method, measure=True)
    assert ready.digest == whole.plan.digest
    assert ready.estimates.measured.first_loss == pytest.approx(whole.metrics()[0]["loss"], abs=1e-5)
    assert_same_bits(result(train(ready)), result(whole))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return data_for("dpo", tmp_path_factory.mktemp("pairs"))


@pytest.fixture(scope="module")
def dpo(spec, pairs, tmp_path_factory):
    return train(planned(spec, pairs, tmp_path_factory.mktemp("dpo") / "run", "dpo"))


def test_a_whole_model_is_compared_with_what_it_was_and_not_with_what_it_is(spec, pairs, tmp_path):
    run = train(planned(spec, pairs, tmp_path / "run", "dpo", adapter="full", learning_rate=1e-3))
    assert run.weights is not None
    losses = [line["loss"] for line in run.metrics() if "grad_norm" in line]
    assert losses[0] == pytest.approx(math.log(2), abs=1e-6)
    assert abs(losses[-1] - math.log(2)) > 1e-3


def references(events):
    return [event.work for event in events if isinstance(event, Started) and event.work.startswith("reference")]


def test_the_reference_is_computed_once_and_used_again(spec, pairs, dpo, tmp_path):
    events = []
    with pytest.raises(Killed):
        train(planned(spec, pairs, tmp_path / "run", "dpo"), watch=lambda e: (events.append(e), stop_after(3)(e)))
    assert references(events) == ["reference train", "reference validation"]
    events = []
    run = train(planned(spec, pairs, tmp_path / "run", "dpo"), watch=events.append)
    assert references(events) == []
    assert_same_bits(result(run), result(dpo))


def test_a_run_that_reads_part_of_the_rows_computes_the_reference_of_those(spec, pairs, tmp_path):
    run = train(planned(spec, pairs, tmp_path / "run", "dpo", max_steps=1, eval_every=0))
    reference = TokenStore(run.folder / "tokens" / "train").reference
    assert np.isfinite(reference).sum() == 2 * 8


@pytest.mark.parametrize("kill_at", [1, 2])
def test_a_run_killed_in_the_reference_pass_goes_on_where_it_was(spec, pairs, tmp_path, monkeypatch, kill_at):
    from dizuo.training.stepping import reference as module

    monkeypatch.setattr(module, "ROWS", 8)
    monkeypatch.setattr(module, "KEEP_SECONDS", 0.0)
    whole = train(planned(spec, pairs, tmp_path / "whole", "dpo"))
    seen = []

    def watch(event):
        if isinstance(event, Progress) and event.work == "reference train":
            seen.append(event.done)
            if len(seen) == kill_at:
                raise Killed

    with pytest.raises(Killed):
        train(planned(spec, pairs, tmp_path / "run", "dpo"), watch=watch)
    kept = TokenStore(tmp_path / "run" / "tokens" / "train").reference
    assert np.isfinite(kept).sum() == 2 * 8 * kill_at
    (tmp_path / "run" / "tokens" / "train" / ".reference.npz").write_bytes(b"half of a fi")
    run = train(planned(spec, pairs, tmp_path / "run", "dpo"), watch=watch)
    assert seen == [8, 16, 24], "no part is computed twice"
    assert_same_bits(result(run), result(whole))


@pytest.mark.parametrize("damage", ["cut short", "another number", "of other tokens", "not a file of numpy"])
def test_a_damaged_reference_is_computed_again(spec, pairs, dpo, tmp_path, damage):
    with pytest.raises(Killed):
        train(planned(spec, pairs, tmp_path / "run", "dpo"), watch=stop_after(3))
    path = tmp_path / "run" / "tokens" / "train" / "reference.npz"
    good = path.read_bytes()
    with np.load(path) as file:
        values, digest = file["values"], file["digest"]
    if damage == "cut short":
        path.write_bytes(good[:-40])
    elif damage == "another number":
        values[3] += 1e-9
        np.savez(path, values=values, digest=digest)
    elif damage == "of other tokens":
        shutil.copy(tmp_path / "run" / "tokens" / "validation" / "reference.npz", path)
    else:
        path.write_bytes(b"reference")
    events = []
    run = train(planned(spec, pairs, tmp_path / "run", "dpo"), watch=events.append)
    assert references(events) == ["reference train"]
    assert any(isinstance(event, Warned) and "is damaged, and is computed again" in event.text for event in events)
    assert path.read_bytes() == good
    assert_same_bits(result(run), result(dpo))


def test_other_pairs_are_refused_by_name(spec, pairs, tmp_path):
    with pytest.raises(Killed):
        train(planned(spec, pairs, tmp_path / "run", "dpo"), watch=stop_after(3))
    other = data_for("dpo", tmp_path / "other", train=25)
    with pytest.raises(PlanError) as caught:
        planned(spec, other, tmp_path / "run", "dpo")
    assert f"data.train: {pairs.train.digest[:19]} there, {other.train.digest[:19]} now" in caught.value.details


def test_changed_tokens_are_refused_although_there_is_a_reference(spec, pairs, tmp_path):
    ready = planned(spec, pairs, tmp_path / "run", "dpo")
    with pytest.raises(Killed):
        train(ready, watch=stop_after(3))
    path = tmp_path / "run" / "tokens" / "train" / "ids.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(TrainingError) as caught:
        train(ready)
    assert "does not hold the tokens that were planned" in str(caught.value)


def test_planning_something_else_in_the_folder_removes_the_old_reference(spec, pairs, tmp_path):
    ready = planned(spec, pairs, tmp_path / "run", "dpo")
    with pytest.raises(Killed):
        train(ready, watch=stop_after(1))
    assert (tmp_path / "run" / "tokens" / "train" / "reference.npz").exists()
    shutil.rmtree(tmp_path / "run" / "checkpoints", ignore_errors=True)
    planned(spec, pairs, tmp_path / "run", "dpo", rank=4)
    assert not (tmp_path / "run" / "tokens" / "train" / "reference.npz").exists()


# ---------------------------------------------------------------- what plans say and refuse


def test_a_plan_shows_the_rate_of_its_method(spec, pairs, tmp_path):
    made = planned(spec, pairs, tmp_path / "run", "dpo")
    assert made.use.learning_rate == 5e-5
    assert made.why["learning_rate"].origin == "default"
    assert made.why["learning_rate"].why.startswith("dpo, lora, a model of ")
    assert planned(spec, pairs, tmp_path / "full", "dpo", adapter="full").use.learning_rate == 5e-6


def judged(wanted):
    return [row for row in feedback(30) if row.desirable == wanted]


REFUSED = {
    "dropout": (
        "dpo",
        preferences(4),
        {"dropout": 0.1},
        "dropout is 0.1, and dpo compares the model with what it was before training, which dropout alone would "
        "change\n"
        "\n"
        "hint: leave dropout at 0",
    ),
    "wanted answers only": (
        "kto",
        judged(True),
        {},
        "all 20 training answers are wanted, and KTO needs both kinds\n"
        "\n"
        "hint: add rows of the other kind, or use method: sft on answers that were wanted",
    ),
    "unwanted answers only": (
        "kto",
        judged(False),
        {},
        "all 10 training answers are unwanted, and KTO needs both kinds\n"
        "\n"
        "hint: add rows of the other kind, or use method: sft on answers that were wanted",
    ),
    "rows of another kind": (
        "simpo",
        feedback(1),
        {},
        "1 of 1 training rows cannot be trained\n"
        "  feedback.jsonl:1: a feedback row, but simpo takes preference\n"
        "\n"
        "hint: choose a method that takes feedback rows, or prepare the data as another format",
    ),
    "a pair that is too long": (
        "orpo",
        preferences(2),
        {"max_length": 20},
        None,
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_refused_before_it_starts(spec, tmp_path, name):
    method, rows, options, expected = REFUSED[name]
    data = Rows(train=rows, validation=[], task=None).write(tmp_path / "data")
    with pytest.raises(PlanError) as caught:
        planned(spec, data, tmp_path / "run", method, **options)
    if expected is None:
        assert [line.split(":")[:2] for line in caught.value.details] == [["pairs.jsonl", "1"], ["pairs.jsonl", "2"]]
        assert all(line.endswith(" tokens, the limit is 20") for line in caught.value.details)
    else:
        assert str(caught.value) == expected
    assert not (tmp_path / "run" / "tokens").exists()


def test_a_plan_says_what_would_balance_the_kinds_of_kto(spec, tmp_path):
    data = Rows(train=judged(True) + judged(False)[:2], validation=[], task=None).write(tmp_path / "data")
    made = planned(spec, data, tmp_path / "run", "kto")
    assert (
        "20 wanted and 2 unwanted answers: weighted, their ratio is 10, and 1 to 1.5 is what works; "
        "undesirable_weight: 6.7 would balance them"
    ) in made.notes
    balanced = planned(
        spec, data, tmp_path / "balanced", "kto", method_options=METHODS.load("kto").Options(undesirable_weight=6.7)
    )
    assert not any("wanted" in note for note in balanced.notes)


def test_steps_and_epochs_of_pretraining_are_counted_in_windows(spec, tmp_path):
    data = Rows(train=texts([3] * 40 + [400]), validation=[], task=None).write(tmp_path / "data")
    options = METHODS.load("pretrain").Options(window=128)
    made = planned(spec, data, tmp_path / "run", "pretrain", method_options=options, max_steps=None, epochs=2.0)
    examples = made.counts.train.examples
    assert 10 < examples < 30
    assert made.use.num_examples == 2 * examples
    assert made.use.num_steps == -(-2 * examples // 8)
    assert made.counts.train.cut_rows == 0


def test_memory_is_estimated_for_whole_examples_and_not_for_their_longest_sequence(spec, tmp_path):
    data = Rows(train=texts([2] * 60), validation=[], task=None).write(tmp_path / "data")
    options = METHODS.load("pretrain").Options(window=200)
    made = planned(spec, data, tmp_path / "run", "pretrain", method_options=options, tokens_per_block=16)
    store = TokenStore(tmp_path / "run" / "tokens" / "train")
    assert made.estimates.memory.tokens == store.sizes.max() > 150
    assert store.lengths.max() < 30


def test_the_plan_of_a_preference_run_is_plain_json(spec, pairs, tmp_path):
    planned(spec, pairs, tmp_path / "run", "dpo")
    value = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert value["method_options"] == {"beta": 0.1, "loss": "sigmoid", "label_smoothing": 0.0}
    assert Run.open(tmp_path / "run").plan.use.method == "dpo"


def test_an_answer_alone_longer_than_the_limit_is_named(spec, tmp_path):
    row = Preference(
        (Message("user", "pin"),),
        (Message("assistant", "card " * 60),),
        (Message("assistant", "no"),),
        origin=Origin("pairs.jsonl", 7),
    )
    data = Rows(train=[row], validation=[], task=None).write(tmp_path / "data")
    with pytest.raises(PlanError) as caught:
        planned(spec, data, tmp_path / "run", "dpo", max_length=40, over_length="cut_prompt")
    (line,) = caught.value.details
    assert line.startswith("pairs.jsonl:7: ")
    assert ", the limit is 40, and its target alone has " in line
