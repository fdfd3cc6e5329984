"""Several processes train what one does: the same losses, norms and weights, whatever is sharded, grouped or killed.

The processes are real, on CPUs over gloo. Most are started by torchrun; those that must outlive another are started
by hand, as Slurm does, so that nobody but they themselves notices.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training_samples import Rows, labelled, write_model

import dizuo.training.methods
from dizuo import models
from dizuo.errors import TrainingError
from dizuo.events import Metric, Warned
from dizuo.records import Message, Origin, Preference
from dizuo.testing import LauncherSuite
from dizuo.training import Run, TrainOptions, plan, train
from dizuo.training.checkpoints import Checkpoints
from dizuo.training.launchers import LAUNCHERS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

HERE = Path(__file__).parent
WORKER = str(HERE / "rank_worker.py")
OPTIONS = {
    "batch_size": 8,
    "epochs": 1.0,
    "checkpoint_every": 2,
    "eval_every": 3,
    "learning_rate": 3e-4,
    "dtype": "float32",
}
KINDS = {
    "lora": {},
    "lora, a row per block": {"tokens_per_block": 16},
    "lora, padded": {"layout": "padded", "weight_decay": 0.1},
    "full": {"adapter": "full"},
    "full, clipped hard": {"adapter": "full", "max_grad_norm": 0.5, "keep": "last"},
    "lora, sharded": {"shard": "fsdp2"},
    "lora, sharded, a row per block": {"shard": "fsdp2", "tokens_per_block": 16, "checkpoint_activations": True},
    "full, sharded": {"shard": "fsdp2", "adapter": "full", "weight_decay": 0.1},
    "full, sharded, padded": {
        "shard": "fsdp2",
        "adapter": "full",
        "layout": "padded",
        "tokens_per_block": 64,
        "checkpoint_activations": True,
    },
    "everything": {"method": "everything"},
    "everything, a pair per block": {"method": "everything", "tokens_per_block": 16},
    "everything, sharded": {"method": "everything", "shard": "fsdp2", "tokens_per_block": 128},
}
"""41 rows in steps of 8: the last step has one row, so all ranks but one have none."""
THREE = ["lora", "full, clipped hard", "full, sharded", "everything, sharded"]
"""Those that three ranks train, too."""
TWICE = ["lora", "full, sharded"]
"""Those that two ranks train twice."""


@pytest.fixture(scope="module", autouse=True)
def _test_methods():
    path = str(HERE / "rank_methods")
    dizuo.training.methods.__path__.append(path)
    yield
    dizuo.training.methods.__path__.remove(path)


def preferences(count):
    words = ["card", "pin", "transfer pending", "top up by bank account", "money"]
    return [
        Preference(
            (Message("user", f"where is my {words[n % 5]} {n}"),),
            (Message("assistant", words[(n + 1) % 5]),),
            (Message("assistant", f"{words[(n + 2) % 5]} {words[n % 3]}"),),
            origin=Origin("pairs.jsonl", n + 1),
        )
        for n in range(count)
    ]


@pytest.fixture(scope="module")
def ragged(tmp_path_factory):
    return Rows(train=labelled(41)).write(tmp_path_factory.mktemp("ragged"))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    rows = Rows(train=preferences(41), validation=preferences(7), task=None)
    return rows.write(tmp_path_factory.mktemp("pairs"))


def planned(spec, data, out, **changes):
    return plan(spec, data, out=out, options=TrainOptions(**{**OPTIONS, **changes}), measure=False)


def environment(**more):
    return {**os.environ, "OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "10000", "PYTHONPATH": str(HERE), **more}


def torchrun_worker(ranks, pids, *arguments, check=True):
    pids.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks), WORKER]
    done = subprocess.run(
        [*command, str(pids), *map(str, arguments)], env=environment(), capture_output=True, text=True, timeout=1800
    )
    assert not check or done.returncode == 0, done.stderr[-4000:]
    return done


@contextlib.contextmanager
def by_hand(ranks, pids, *arguments):
    """Start ranks without an agent; yield the processes, and leave none behind."""
    pids.mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {"WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = [
        subprocess.Popen(
            [sys.executable, WORKER, str(pids), *map(str, arguments)],
            env=environment(RANK=str(rank), LOCAL_RANK=str(rank), LOCAL_WORLD_SIZE=str(ranks), **places),
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(ranks)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stderr.close()


def result(run):
    name = run.finished["result"]
    return {k: v for path in (run.folder / name).glob("*.safetensors") for k, v in load_file(path).items()}


def lines(run):
    return [line for line in run.metrics() if "loss" in line]


def timeless(run):
    return [{name: value for name, value in line.items() if name != "seconds"} for line in run.metrics()]


def assert_close(run, other, *, bound=1e-5):
    assert [line["step"] for line in run.metrics()] == [line["step"] for line in other.metrics()]
    for mine, theirs in zip(lines(run), lines(other), strict=True):
        assert mine["tokens"] == theirs["tokens"]
        assert mine["learning_rate"] == theirs["learning_rate"], "the rate is not scaled by the number of ranks"
        assert mine["loss"] == pytest.approx(theirs["loss"], abs=bound)
        assert mine["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=bound, abs=bound)
        assert mine.keys() == theirs.keys()
    for mine, theirs in zip(run.metrics(), other.metrics(), strict=True):
        for name in mine.keys() & theirs.keys() - {"seconds", "packed_tokens", "epoch"}:
            assert mine[name] == pytest.approx(theirs[name], rel=bound, abs=bound), name
    weights, expected = result(run), result(other)
    assert weights.keys() == expected.keys()
    for name, weight in weights.items():
        assert float((weight - expected[name]).abs().max()) <= bound, name


def assert_same_bits(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


@pytest.fixture(scope="module")
def folders(spec, ragged, pairs, tmp_path_factory):
    """Every kind, planned once and trained by 1 rank, by 2, by 2 again, and by 3."""
    root = tmp_path_factory.mktemp("kinds")
    made = {}
    for number, (kind, changes) in enumerate(KINDS.items()):
        data = pairs if "method" in changes else ragged
        first = root / f"{number}-1"
        planned(spec, data, first, **changes)
        copies = [2, *([3] if kind in THREE else []), *(["again"] if kind in TWICE else [])]
        made[kind] = {1: first, **{copy: root / f"{number}-{copy}" for copy in copies}}
        for copy in copies:
            shutil.copytree(first, made[kind][copy])
        train(Run.open(first).plan)
    for ranks, wanted in ((2, (2, "again")), (3, (3,))):
        torchrun_worker(ranks, root / "pids", *(c[copy] for c in made.values() for copy in wanted if copy in c))
    return {kind: {copy: Run.open(folder) for copy, folder in copies.items()} for kind, copies in made.items()}


@pytest.mark.parametrize(("kind", "ranks"), [*((kind, 2) for kind in KINDS), *((kind, 3) for kind in THREE)])
def test_ranks_train_what_one_process_does(folders, kind, ranks):
    assert_close(folders[kind][ranks], folders[kind][1])


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_drifts_to_neither_side(folders, kind):
    for ranks in folders[kind].keys() & {2, 3}:
        pair = list(zip(lines(folders[kind][ranks]), lines(folders[kind][1]), strict=True))
        assert abs(np.mean([mine["loss"] - theirs["loss"] for mine, theirs in pair])) < 1e-6
        assert abs(np.mean([mine["grad_norm"] / theirs["grad_norm"] - 1 for mine, theirs in pair])) < 1e-5


@pytest.mark.parametrize("kind", TWICE)
def test_two_runs_of_as_many_ranks_have_the_same_bits(folders, kind):
    assert_same_bits(result(folders[kind][2]), result(folders[kind]["again"]))
    assert timeless(folders[kind][2]) == timeless(folders[kind]["again"])


def test_shards_and_groups_were_really_in_play(folders):
    assert folders["full, sharded"][1].plan.use.backend == "hosted"
    assert folders["lora"][1].plan.use.backend == "native"
    assert abs(lines(folders["everything"][2])[-1]["shift"]) > 1e-3
    packed = {ranks: lines(folders["lora"][ranks])[0]["packed_tokens"] for ranks in (1, 2, 3)}
    assert packed[1] <= packed[2] <= packed[3], "each rank computes its own shared prefixes"


def test_checkpoints_of_shards_are_those_of_whole_weights(folders):
    whole = Checkpoints(folders["full, sharded"][1].folder / "checkpoints").latest()
    shards = Checkpoints(folders["full, sharded"][2].folder / "checkpoints").latest()
    for mine, theirs in ((shards.weights(), whole.weights()), (shards.optimizer(), whole.optimizer())):
        assert mine.keys() == theirs.keys()
        for name in mine:
            assert mine[name].shape == theirs[name].shape
            assert float((mine[name] - theirs[name]).abs().max()) < 1e-5


class Killed(Exception):
    pass


def stop_after(step):
    def watch(event):
        if isinstance(event, Metric) and event.step == step and "grad_norm" in event.values:
            raise Killed

    return watch


@pytest.mark.parametrize("kind", ["lora", "full, sharded"])
def test_a_run_goes_on_with_another_number_of_ranks_and_back(folders, kind, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(folders[kind][1].folder, out)
    for leftover in ("finished.json", "metrics.jsonl"):
        (out / leftover).unlink()
    shutil.rmtree(out / "checkpoints")
    with pytest.raises(Killed):
        train(Run.open(out).plan, watch=stop_after(3))
    done = torchrun_worker(2, tmp_path / "pids", out, "--stop", 5, check=False)
    assert done.returncode != 0
    assert "rank 1: RankLost: rank 0 stopped: ValueError: the watcher had enough" in done.stderr
    assert Checkpoints(out / "checkpoints").latest().state.step == 4
    events = []
    run = train(Run.open(out).plan, watch=events.append)
    assert [event.text for event in events if isinstance(event, Warned)] == [
        "trained by 2 ranks up to step 4, now by 1: the result is the same up to rounding, not bitwise"
    ]
    assert_close(run, folders[kind][1])


def wait_for_step(folder, step, processes):
    until = time.monotonic() + 600
    path = folder / "metrics.jsonl"
    while not path.exists() or sum("grad_norm" in line for line in path.read_text().splitlines()) < step:
        assert time.monotonic() < until, "no such step"
        assert all(process.poll() is None for process in processes)
        time.sleep(0.01)


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_rank_ends_the_other_and_costs_no_checkpoint(spec, ragged, tmp_path, victim):
    out = tmp_path / "run"
    options = {"epochs": 12.0, "checkpoint_every": 5, "eval_every": 0}
    planned(spec, ragged, out, **options)
    shutil.copytree(out, tmp_path / "whole")
    with by_hand(2, tmp_path / "pids", out) as processes:
        wait_for_step(out, 12, processes)
        os.kill(int((tmp_path / "pids" / str(victim)).read_text()), signal.SIGKILL)
        killed = time.monotonic()
        survivor = processes[1 - victim]
        _, said = survivor.communicate(timeout=600)
        assert time.monotonic() - killed < 30, "the other noticed late: a busy machine takes some seconds to end Python"
    assert survivor.returncode == 1
    assert f"rank {1 - victim}: RankLost: rank {victim} ended without a word, as a killed process does" in said
    assert "hint: the last whole checkpoint is kept" in said
    kept = Checkpoints(out / "checkpoints").latest()
    assert kept.state.step >= 10
    assert Run.open(out).finished is None

    torchrun_worker(2, tmp_path / "pids", out, tmp_path / "whole")
    resumed, whole = Run.open(out), Run.open(tmp_path / "whole")
    assert_same_bits(result(resumed), result(whole))
    assert timeless(resumed) == timeless(whole)


def test_a_rank_with_damaged_tokens_stops_all_by_name(spec, ragged, tmp_path):
    planned(spec, ragged, tmp_path / "run0")
    shutil.copytree(tmp_path / "run0", tmp_path / "run1")
    path = tmp_path / "run1" / "tokens" / "train" / "ids.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with by_hand(2, tmp_path / "pids", tmp_path / "run{rank}") as processes:
        said = [process.communicate(timeout=600)[1] for process in processes]
    assert [process.returncode for process in processes] == [1, 1]
    assert f"rank 1: TrainingError: {path.parent} does not hold the tokens that were planned" in said[1]
    assert f"rank 0: RankLost: rank 1 stopped: {path.parent} does not hold the tokens that were planned" in said[0]


def test_ranks_of_different_plans_are_refused_by_both(spec, ragged, tmp_path):
    plans = [planned(spec, ragged, tmp_path / f"run{rank}", seed=rank) for rank in (0, 1)]
    with by_hand(2, tmp_path / "pids", tmp_path / "run{rank}") as processes:
        said = [process.communicate(timeout=600)[1] for process in processes]
    for rank in (0, 1):
        assert f"rank {rank}: TrainingError: the ranks do not train the same thing" in said[rank]
        assert f"  rank 1: the plan is {plans[1].digest}, {plans[0].digest} on rank 0\n" in said[rank]
    assert not (tmp_path / "run0" / "checkpoints").exists()


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory):
    """A model whose embedding of one byte is not a number, and rows of which one has that byte."""
    folder = write_model(tmp_path_factory.mktemp("poisoned") / "tiny", tied=False)
    weights = load_file(folder / "model.safetensors")
    spec = models.inspect(folder)
    (token,) = {*models.load_tokenizer(spec)("§")["input_ids"]} - {*models.load_tokenizer(spec)("¢")["input_ids"]}
    weights["model.embed_tokens.weight"][token] = float("nan")
    from safetensors.torch import save_file

    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    from dataclasses import replace

    rows = labelled(40)
    rows[21] = replace(rows[21], text=f"{rows[21].text} §")
    return models.inspect(folder), Rows(train=rows, validation=[]).write(tmp_path_factory.mktemp("poison"))


def test_a_nan_on_one_rank_stops_both_with_the_same_error(poisoned, tmp_path):
    spec, data = poisoned
    out = tmp_path / "run"
    options = {**OPTIONS, "layout": "padded", "eval_every": 0}
    plan(spec, data, out=out, options=TrainOptions(**options), measure=False)
    shutil.copytree(out, tmp_path / "alone")
    with pytest.raises(TrainingError) as alone:
        train(Run.open(tmp_path / "alone").plan)
    with by_hand(2, tmp_path / "pids", out) as processes:
        said = [process.communicate(timeout=600)[1] for process in processes]
    assert [process.returncode for process in processes] == [1, 1]
    expected = str(alone.value)
    assert "the loss is nan at step" in expected
    assert said[0].strip().endswith(f"rank 0: TrainingError: {expected}")
    assert said[1].strip().endswith(f"rank 1: TrainingError: {expected}")
    assert Run.open(out).finished is None
    assert not (out / "adapter").exists()


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="torch sees fewer than two GPUs")
@pytest.mark.parametrize("shard", ["none", "fsdp2"])
@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_two_gpus_train_what_one_does(spec, ragged, tmp_path, adapter, shard):
    changes = {"device": "cuda", "dtype": "float32", "adapter": adapter, "shard": shard}
    made = planned(spec, ragged, tmp_path / "one", **changes)
    shutil.copytree(made.folder, tmp_path / "two")
    one = train(made)
    two = LAUNCHERS.load("torchrun").launch(Run.open(tmp_path / "two").plan, ranks=2)
    assert_close(two, one, bound=1e-4)


class TestTorchrun(LauncherSuite):
    @pytest.fixture
    def name(self):
        return "torchrun"
