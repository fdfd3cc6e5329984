"""A run that is stopped and resumed gives the bits of one that was not, or says why it will not go on."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file
from training_samples import Rows, labelled, write_model

from dizuo import models
from dizuo.errors import PlanError, TrainingError
from dizuo.events import Metric, Note, Warned
from dizuo.training import Run, TrainOptions, plan, train
from dizuo.training.checkpoints import Checkpoints

OPTIONS = {"batch_size": 8, "epochs": 2.0, "checkpoint_every": 3, "eval_every": 4, "learning_rate": 3e-3}


class Killed(Exception):
    pass


def stop_after(step):
    """A watcher that ends the process's work in the middle of a step, before its checkpoint."""

    def watch(event):
        if isinstance(event, Metric) and event.step == step and "grad_norm" in event.values:
            raise Killed

    return watch


def planned(spec, data, out, **changes):
    return plan(spec, data, out=out, options=TrainOptions(**{**OPTIONS, **changes}), measure=False)


def result(run):
    name = run.finished["result"]
    (path,) = (run.folder / name).glob("*.safetensors")
    return load_file(path)


def assert_same_bits(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


@pytest.fixture(scope="module", params=["lora", "full", "dropout"])
def kind(request):
    return {
        "lora": {},
        "full": {"adapter": "full", "weight_decay": 0.1, "schedule": "linear"},
        "dropout": {"dropout": 0.2, "patience": 9},
    }[request.param]


@pytest.fixture(scope="module")
def whole(spec, data, kind, tmp_path_factory):
    return train(planned(spec, data, tmp_path_factory.mktemp("whole") / "run", **kind))


def test_two_runs_of_the_same_plan_have_the_same_bits(spec, data, out, whole, kind):
    again = train(planned(spec, data, out, **kind))
    assert again.plan.digest == whole.plan.digest
    assert_same_bits(result(again), result(whole))
    timeless = [[{k: v for k, v in line.items() if k != "seconds"} for line in run.metrics()] for run in (again, whole)]
    assert timeless[0] == timeless[1]


@pytest.mark.parametrize("stops", [(1,), (4,), (5, 8), (3, 7, 9)])
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(spec, data, out, whole, kind, stops):
    for step in stops:
        with pytest.raises(Killed):
            train(planned(spec, data, out, **kind), watch=stop_after(step))
        assert Run.open(out).finished is None
        assert Run.open(out).adapter is None
    run = train(planned(spec, data, out, **kind))
    assert_same_bits(result(run), result(whole))
    last = Checkpoints(out / "checkpoints").load(10)
    other = Checkpoints(whole.folder / "checkpoints").load(10)
    assert_same_bits(last.weights(), other.weights())
    assert_same_bits(last.optimizer(), other.optimizer())
    assert last.random == other.random
    assert [(line["step"], "loss" in line) for line in run.metrics()] == [
        (line["step"], "loss" in line) for line in whole.metrics()
    ]
    assert [line.get("loss") for line in run.metrics()] == [line.get("loss") for line in whole.metrics()]


def test_a_finished_run_is_returned_at_once(spec, data, out, tmp_path):
    first = train(planned(spec, data, out))
    stamp = (out / "finished.json").stat().st_mtime_ns
    events = []
    again = train(planned(spec, data, out), watch=events.append)
    assert events == []
    assert again.adapter == first.adapter == out / "adapter"
    assert (out / "finished.json").stat().st_mtime_ns == stamp


def test_planning_again_returns_the_plan_that_is_there(spec, data, out):
    first = planned(spec, data, out)
    text = (out / "plan.json").read_text()
    assert planned(spec, data, out) == first
    assert (out / "plan.json").read_text() == text
    assert json.loads(text)["digest"] == first.digest


@pytest.fixture
def begun(spec, data, out):
    with pytest.raises(Killed):
        train(planned(spec, data, out), watch=stop_after(5))
    return out


def test_other_settings_are_refused_by_name(spec, data, begun):
    with pytest.raises(PlanError) as caught:
        planned(spec, data, begun, learning_rate=1e-3, rank=8)
    assert str(caught.value) == (
        f"{begun} holds another run\n"
        "  options.learning_rate: 0.003 there, 0.001 now\n"
        "  options.rank: not set there, 8 now\n"
        "\n"
        "hint: train with the same settings and data, choose another folder, or delete this one to start again"
    )


def test_other_data_are_refused_by_name(spec, begun, data, tmp_path):
    other = Rows(train=labelled(41)).write(tmp_path / "other")
    with pytest.raises(PlanError) as caught:
        planned(spec, other, begun)
    assert str(caught.value) == (
        f"{begun} holds another run\n"
        f"  data.train: {data.train.digest[:19]} there, {other.train.digest[:19]} now\n"
        "\n"
        "hint: train with the same settings and data, choose another folder, or delete this one to start again"
    )


def test_another_model_is_refused_by_name(begun, data, spec, tmp_path):
    other = models.inspect(write_model(tmp_path / "other", seed=1))
    with pytest.raises(PlanError) as caught:
        planned(other, data, begun)
    assert f"  model: {spec.digest[:19]} there, {other.digest[:19]} now\n" in str(caught.value)


def test_checkpoints_of_another_plan_are_refused(spec, data, begun, tmp_path):
    other = planned(spec, data, tmp_path / "other", seed=1)
    shutil.copytree(begun / "checkpoints", other.folder / "checkpoints")
    with pytest.raises(TrainingError) as caught:
        train(other)
    assert str(caught.value) == (
        f"{other.folder} holds another run\n"
        "  seed: 0 there, 1 now\n"
        "\n"
        "hint: train with the same settings and data, choose another folder, or delete this one to start again"
    )


def test_another_machine_is_refused_unless_allowed(spec, data, begun, whole_lora):
    for path in (begun / "checkpoints").glob("*/state.json"):
        value = json.loads(path.read_text())
        value["state"]["facts"]["machine"]["cpu"] = "z80"
        value["state"]["facts"]["machine"]["libraries"]["torch"] = "2.0.0"
        path.write_text(json.dumps(value))
    with pytest.raises(TrainingError) as caught:
        train(planned(spec, data, begun))
    here = Run.open(begun).plan.machine
    assert str(caught.value) == (
        f"{begun} was trained on another machine up to step 4; going on here would not give the same result\n"
        f"  cpu: z80 there, {here.cpu} here\n"
        f"  libraries.torch: 2.0.0 there, {here.libraries['torch']} here\n"
        "\n"
        "hint: resume on the same machine, or accept the difference with allow_different_machine"
    )
    events = []
    run = train(planned(spec, data, begun, allow_different_machine=True), watch=events.append)
    assert_same_bits(result(run), result(whole_lora))
    assert any(isinstance(event, Warned) and "cpu: z80 there" in event.text for event in events)


@pytest.fixture(scope="module")
def whole_lora(spec, data, tmp_path_factory):
    return train(planned(spec, data, tmp_path_factory.mktemp("whole") / "run"))


@pytest.mark.parametrize("name", ["weights.safetensors", "optimizer.safetensors", "state.json"])
def test_a_damaged_checkpoint_is_passed_over(spec, data, out, whole_lora, name):
    with pytest.raises(Killed):
        train(planned(spec, data, out), watch=stop_after(8))
    steps = Checkpoints(out / "checkpoints").steps()
    path = Checkpoints(out / "checkpoints").path(steps[-1]) / name
    path.write_bytes(path.read_bytes()[:-7])
    events = []
    run = train(planned(spec, data, out), watch=events.append)
    assert any(isinstance(event, Warned) and "going on from the one before it" in event.text for event in events)
    assert any(isinstance(event, Note) and event.text == f"resuming after step {steps[-2]}" for event in events)
    assert_same_bits(result(run), result(whole_lora))


def test_damaged_checkpoints_neither_stop_a_resumed_run_nor_outlast_its_own(spec, data, out, whole_lora):
    with pytest.raises(Killed):
        train(planned(spec, data, out), watch=stop_after(4))
    checkpoints = Checkpoints(out / "checkpoints")
    assert checkpoints.steps() == [3]
    for step in (6, 9):
        shutil.copytree(checkpoints.path(3), checkpoints.path(step))
        (checkpoints.path(step) / "state.json").write_text("{")
    with pytest.raises(Killed):
        train(planned(spec, data, out), watch=stop_after(5))
    assert checkpoints.steps() == [3, 4], "the whole ones stay, whatever the numbers of the others"
    assert_same_bits(result(train(planned(spec, data, out))), result(whole_lora))


@pytest.mark.parametrize(
    "facts", ['{"digest": "sha256:0"}', "[]", "{}", '{"digest": "sha256:0", "rows": 1}', "no JSON"]
)
def test_a_damaged_count_of_tokens_is_refused_and_planned_anew(spec, data, begun, facts):
    plan = planned(spec, data, begun)
    (begun / "tokens" / "train" / "facts.json").write_text(facts)
    with pytest.raises(TrainingError, match="train does not hold the tokens that were planned"):
        train(plan)


def test_changed_tokens_are_refused(spec, data, begun):
    path = begun / "tokens" / "train" / "ids.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(TrainingError) as caught:
        train(planned(spec, data, begun))
    assert str(caught.value) == (
        f"{begun / 'tokens' / 'train'} does not hold the tokens that were planned\n"
        "\n"
        f"hint: delete {begun / 'plan.json'} and plan again"
    )


def test_a_plan_changed_by_hand_is_refused(spec, data, out):
    planned(spec, data, out)
    path = out / "plan.json"
    path.write_text(path.read_text().replace('"value": 0.003', '"value": 0.3'))
    with pytest.raises(PlanError) as caught:
        Run.open(out)
    assert str(caught.value) == (
        f"{path} was changed after it was written: its digest does not fit its values\n"
        "\n"
        f"hint: delete {path} and plan again"
    )


def test_two_processes_do_not_train_in_one_folder(spec, data, out):
    from filelock import FileLock

    ready = planned(spec, data, out)
    with FileLock(out / ".lock"), pytest.raises(TrainingError) as caught:
        train(ready)
    assert str(caught.value) == (f"another process is training in {out}\n\nhint: wait for it, or choose another folder")


def test_training_leaves_the_callers_random_state_and_threads_alone(spec, data, out):
    ready = planned(spec, data, out)
    torch.manual_seed(123)
    expected = torch.rand(3)
    torch.manual_seed(123)
    torch.set_num_threads(2)
    try:
        train(ready)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert torch.equal(torch.rand(3), expected)


def test_the_last_two_checkpoints_and_the_best_are_kept(spec, data, out):
    scores = iter([0.5, 0.9, 0.3, 0.2, 0.1])
    run = train(
        planned(spec, data, out, eval_every=2, checkpoint_every=2),
        evaluate_fn=lambda model, step: {"score": next(scores)},
    )
    assert Checkpoints(out / "checkpoints").steps() == [4, 8, 10]
    assert run.finished["best_step"] == 4
    assert_same_bits(
        {
            name.replace(".default", ""): value
            for name, value in Checkpoints(out / "checkpoints").load(4).weights().items()
        },
        result(run),
    )


def test_a_run_stops_early_when_it_no_longer_improves(spec, data, out):
    scores = iter([0.5, 0.9, 0.3, 0.2, 0.1])
    events = []
    run = train(
        planned(spec, data, out, eval_every=2, patience=2, keep="last"),
        evaluate_fn=lambda model, step: {"score": next(scores)},
        watch=events.append,
    )
    assert run.finished["step"] == 8
    assert run.finished["stopped"] == "2 evaluations without a better one than at step 4"
    assert events.count(Note("stopped at step 8: 2 evaluations without a better one than at step 4")) == 1
    assert train(planned(spec, data, out, eval_every=2, patience=2, keep="last")).finished == run.finished


def test_a_run_that_stopped_early_and_lost_its_result_is_finished_again_without_a_step(spec, data, out):
    scores = iter([0.5, 0.9, 0.3, 0.2, 0.1])
    ready = planned(spec, data, out, eval_every=2, patience=2, keep="last")
    first = result(train(ready, evaluate_fn=lambda model, step: {"score": next(scores)}))
    (out / "finished.json").unlink()
    shutil.rmtree(out / "adapter")
    run = train(ready)
    assert run.finished["step"] == 8
    assert_same_bits(result(run), first)


def test_measuring_the_plan_and_passing_the_model_change_no_bit(spec, data, out, whole, kind):
    model = models.load(spec)
    ready = plan(model, data, out=out, options=TrainOptions(**{**OPTIONS, **kind}))
    assert ready.digest == whole.plan.digest
    assert_same_bits(result(train(ready, model=model)), result(whole))
