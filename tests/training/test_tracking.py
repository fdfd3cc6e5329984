"""A run is shown in every tool as it is in metrics.jsonl, and no tool can stop or change it."""

from __future__ import annotations

import glob
import importlib
import importlib.util
import json
import math
import random
import sqlite3
import textwrap

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dizuo import plugins
from dizuo.errors import PlanError
from dizuo.events import Metric, Note, Warned
from dizuo.testing import TrackerSuite
from dizuo.training import TrainOptions, plan, train
from dizuo.training.trackers import TRACKERS, Tracker, settings_of
from dizuo.training.tracking import check_names, tracking

OPTIONS = {"batch_size": 8, "max_steps": 4, "eval_every": 2, "checkpoint_every": 1, "threads": 1, "dtype": "float32"}


class Killed(Exception):
    pass


@pytest.fixture
def planned(spec, data, tmp_path):
    return plan(spec, data, out=tmp_path / "tickets" / "3-train", options=TrainOptions(**OPTIONS), measure=False)


def trained(planned, names, *, told=None, stop=None):
    told = [] if told is None else told

    def watch(event):
        told.append(event)
        if isinstance(event, Metric) and event.step == stop and "grad_norm" in event.values:
            raise Killed

    with tracking(planned, names, watch=watch) as watcher:
        return train(planned, watch=watcher)


def figures(run, name):
    """Return {step: value} of metrics.jsonl."""
    return {line["step"]: line[name] for line in run.metrics() if name in line}


def warned(told):
    return [event.text for event in told if isinstance(event, Warned)]


def assert_equal(shown, written):
    assert shown.keys() == written.keys()
    assert all(math.isclose(shown[step], written[step], rel_tol=1e-6) for step in written)


# ---- any tracker


FAKE = """
    '''A tracker for tests that writes lines into a file, fails when it is told to, and behaves badly otherwise.'''
    import random
    import numpy as np
    import torch
    from dizuo.training.trackers import Tracker
    FAIL = set()
    LINES = []
    class Fake:
        place = "nowhere"
        def log(self, step, values, time):
            print("noise")
            random.random(), np.random.rand(), torch.rand(1)
            if "log" in FAIL:
                raise RuntimeError("disk is full\\nsecond line")
            LINES.append((step, dict(values)))
        def close(self, *, failed):
            LINES.append(("closed", failed))
            if "close" in FAIL:
                raise OSError("gone")
    def open(plan, folder, start):
        LINES.append(("open", start, folder.is_dir()))
        if "open" in FAIL:
            raise ValueError("no account")
        if "import" in FAIL:
            import package_that_is_not_there
        return Fake()
    TRACKER = Tracker(package="fake", extra="dizuo[fake]", open=open)
    """


@pytest.fixture
def fake_tracker(tmp_path, monkeypatch):
    """A fake tracker, installed as third parties do."""
    home = tmp_path / "site"
    facts = home / "fake_tracker-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-tracker\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[dizuo.training.trackers]\nfake = fake_tracker_of_tests\n")
    (home / "fake_tracker_of_tests.py").write_text(textwrap.dedent(FAKE))
    monkeypatch.syspath_prepend(home)
    plugins._entry_points.cache_clear()  # this process has looked before the distribution was installed
    module = importlib.import_module("fake_tracker_of_tests")
    module.FAIL.clear()
    module.LINES.clear()
    yield module
    plugins._entry_points.cache_clear()


def test_a_fake_tracker_sees_every_metric_and_is_closed(planned, fake_tracker, capfd):
    told = []
    run = trained(planned, ["fake"], told=told)
    assert fake_tracker.LINES[0] == ("open", 0, True)
    assert fake_tracker.LINES[-1] == ("closed", False)
    seen = fake_tracker.LINES[1:-1]
    assert [step for step, _ in seen] == [1, 2, 2, 3, 4, 4]
    assert {step: values["loss"] for step, values in seen if "loss" in values} == figures(run, "loss")
    assert sum(isinstance(event, Metric) for event in told) == 6
    assert Note("fake: nowhere") in told
    assert "noise" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("when", ["open", "log", "close", "import"])
def test_a_fake_tracker_that_fails_is_told_once_and_changes_no_bit(planned, spec, data, tmp_path, fake_tracker, when):
    alone = trained(plan(spec, data, out=tmp_path / "alone", options=TrainOptions(**OPTIONS), measure=False), [])
    fake_tracker.FAIL.add(when)
    told = []
    run = trained(planned, ["fake"], told=told)
    assert run.finished["step"] == 4
    assert len(warned(told)) == 1
    assert warned(told)[0].startswith("fake shows nothing of this run any more, which goes on without it: ")
    assert "second line" not in warned(told)[0]
    if when == "import":
        assert 'pip install "dizuo[fake]"' in warned(told)[0]
    ours, theirs = (load_file(one.adapter / "adapter_model.safetensors") for one in (run, alone))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_random_generators_are_as_they_were_after_a_fake_tracker(planned, fake_tracker):
    with tracking(planned, ["fake"]) as watch:
        before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
        watch(Metric(1, {"loss": 1.0}))
        after = random.getstate(), np.random.get_state()[1], torch.get_rng_state()
    assert before[0] == after[0]
    assert np.array_equal(before[1], after[1])
    assert torch.equal(before[2], after[2])


def test_a_fake_tracker_is_told_where_a_run_resumes_and_that_it_failed(planned, fake_tracker):
    with pytest.raises(Killed):
        trained(planned, ["fake"], stop=3)
    assert fake_tracker.LINES[-1] == ("closed", True)
    fake_tracker.LINES.clear()
    trained(planned, ["fake"])
    assert fake_tracker.LINES[0] == ("open", 2, True)
    assert [line[0] for line in fake_tracker.LINES[1:-1]] == [3, 4, 4]


def test_a_tracker_that_does_not_exist_is_refused_before_anything_starts(planned):
    with pytest.raises(PlanError, match=r"train\.track: no tracker is called 'tensorbord' \(did you mean 'tensorboard"):
        check_names(["tensorbord"])
    with pytest.raises(PlanError), tracking(planned, ["tensorbord"]):
        raise AssertionError("not reached")


def test_every_tracker_names_its_package_and_what_installs_it():
    assert TRACKERS.names() == ("mlflow", "swanlab", "tensorboard", "trackio", "wandb")
    for name, tracker in TRACKERS.all().items():
        assert name == tracker.package
        assert f"dizuo[{name}]" == tracker.extra


def test_a_tracker_that_is_none_stops_no_run(planned, fake_tracker):
    del fake_tracker.TRACKER
    told = []
    assert trained(planned, ["fake"], told=told).finished["step"] == 4
    (text,) = warned(told)
    assert "fake_tracker_of_tests.py is not a tracker: it has no TRACKER" in text


def test_a_tracker_of_no_package_is_opened_and_its_own_error_is_told(planned, fake_tracker, monkeypatch):
    monkeypatch.setattr(fake_tracker, "TRACKER", Tracker(open=fake_tracker.open), raising=False)
    told = []
    trained(planned, ["fake"], told=told)
    assert not warned(told)
    fake_tracker.FAIL.add("import")
    told.clear()
    with tracking(planned, ["fake"], watch=told.append):
        pass
    (text,) = warned(told)
    assert text.endswith("No module named 'package_that_is_not_there'")


class TestOurs(TrackerSuite):
    @pytest.fixture(params=TRACKERS.names())
    def name(self, request):
        return request.param

    @pytest.fixture(autouse=True)
    def _nobody_is_logged_in(self, tmp_path, monkeypatch):
        for key in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_PROJECT", "SWANLAB_MODE", "SWANLAB_API_KEY"):
            monkeypatch.delenv(key, raising=False)
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        if importlib.util.find_spec("trackio") is not None:
            monkeypatch.setattr("trackio.utils.TRACKIO_DIR", tmp_path / "trackio")
            monkeypatch.setattr("trackio.sqlite_storage.TRACKIO_DIR", tmp_path / "trackio")

    def read(self, run):
        (name,) = [path.name for path in (run.folder / "tracking").iterdir()]
        return READ[name](run)


# ---- each tracker on the real package, read back with that package or from its file


def test_tensorboard_holds_every_figure_also_after_a_stop(planned):
    pytest.importorskip("tensorboard")
    told = []
    with pytest.raises(Killed):
        trained(planned, ["tensorboard"], stop=3, told=told)
    run = trained(planned, ["tensorboard"], told=told)
    assert not warned(told)
    folder = run.folder / "tracking" / "tensorboard"
    assert len(list(folder.iterdir())) == 2
    events = read_events(run)
    shown = {name: {e.step: e.value for e in events.Scalars(name)} for name in events.Tags()["scalars"]}
    assert {"train/loss", "train/learning_rate", "train/grad_norm", "speed/tokens", "validation/loss"} <= shown.keys()
    assert_equal(shown["train/loss"], figures(run, "loss"))
    assert_equal(shown["validation/loss"], figures(run, "validation_loss"))
    assert len(events.Scalars("train/loss")) == 4, "the step that was taken twice is there once"
    text = events.Tensors("plan/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "| learning_rate | 0.001 |" in text


def read_events(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run.folder / "tracking" / "tensorboard"), purge_orphaned_data=True)
    events.Reload()
    return events


@pytest.mark.filterwarnings("ignore")
def test_mlflow_holds_every_figure_in_one_run_also_after_a_stop(planned, monkeypatch):
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    told = []
    with pytest.raises(Killed):
        trained(planned, ["mlflow"], stop=3, told=told)
    run = trained(planned, ["mlflow"], told=told)
    assert not warned(told)
    client = MlflowClient(tracking_uri=(run.folder / "tracking" / "mlflow").absolute().as_uri())
    (found,) = client.search_runs([client.get_experiment_by_name("tickets").experiment_id])
    assert found.info.status == "FINISHED"
    assert found.data.params["learning_rate"] == "0.001"
    assert found.data.params.items() >= {(name, str(value)) for name, value in settings_of(run.plan).items()}
    assert_equal(read_mlflow(run), figures(run, "loss"))
    assert "validation_loss" in found.data.metrics


def read_mlflow(run):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=(run.folder / "tracking" / "mlflow").absolute().as_uri())
    (found,) = client.search_runs([client.get_experiment_by_name("tickets").experiment_id])
    return {metric.step: metric.value for metric in client.get_metric_history(found.info.run_id, "loss")}


@pytest.mark.filterwarnings("ignore")
def test_wandb_keeps_every_figure_for_a_later_sync(planned, monkeypatch):
    pytest.importorskip("wandb")
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    told = []
    run = trained(planned, ["wandb"], told=told)
    assert not warned(told)
    rows, config = read_wandb(run)
    assert_equal({row["_step"]: row["loss"] for row in rows if "loss" in row}, figures(run, "loss"))
    assert sum("validation_loss" in row for row in rows) == 2
    assert config["learning_rate"] == 0.001


def read_wandb(run):
    """Return the rows and the configuration of all files of a run."""
    from wandb.proto import wandb_internal_pb2

    rows, config = [], {}
    for path in glob.glob(f"{run.folder}/tracking/wandb/wandb/offline-run-*/*.wandb"):
        for raw in leveldb_records(path):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(raw)
            if record.HasField("history"):
                rows.append({(i.key or i.nested_key[0]): json.loads(i.value_json) for i in record.history.item})
            if record.HasField("run"):
                config |= {i.key: json.loads(i.value_json) for i in record.run.config.update}
    return rows, config


def leveldb_records(path):
    """Yield the records of a .wandb file: LevelDB's log format after a header of seven bytes."""
    with open(path, "rb") as file:
        raw = file.read()
    at, whole = 7, b""
    while at + 7 <= len(raw):
        if 32768 - at % 32768 < 7:  # no room for a record's header at the end of a block
            at += 32768 - at % 32768
            continue
        length, kind = int.from_bytes(raw[at + 4 : at + 6], "little"), raw[at + 6]
        whole += raw[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            yield whole
            whole = b""


@pytest.mark.filterwarnings("ignore")
def test_trackio_keeps_every_figure_in_its_database(planned, tmp_path, monkeypatch):
    pytest.importorskip("trackio")
    monkeypatch.setattr("trackio.utils.TRACKIO_DIR", tmp_path / "trackio")
    monkeypatch.setattr("trackio.sqlite_storage.TRACKIO_DIR", tmp_path / "trackio")
    told = []
    run = trained(planned, ["trackio"], told=told)
    assert not warned(told)
    assert_equal(read_trackio(tmp_path / "trackio"), figures(run, "loss"))


def read_trackio(folder):
    (path,) = folder.glob("*.db")
    with sqlite3.connect(path) as database:
        rows = database.execute("select step, metrics from metrics order by id").fetchall()
    lines = [(step, json.loads(text)) for step, text in rows]
    return {step: line["loss"] for step, line in lines if "loss" in line}


@pytest.mark.filterwarnings("ignore")
def test_swanlab_keeps_every_figure_for_a_later_sync(planned, monkeypatch):
    pytest.importorskip("swanlab")
    for name in ("SWANLAB_MODE", "SWANLAB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    told = []
    run = trained(planned, ["swanlab"], told=told)
    assert not warned(told)
    assert_equal(read_swanlab(run), figures(run, "loss"))


def read_swanlab(run):
    """Return the losses of `run` that stand in SwanLab's files, whose form is its own."""
    files = [path for path in (run.folder / "tracking" / "swanlab").rglob("*") if path.is_file()]
    whole = b"".join(path.read_bytes() for path in files)
    losses = figures(run, "loss").items()
    return {step: v for step, v in losses if repr(v).encode() in whole or np.float64(v).tobytes() in whole}


READ = {
    "tensorboard": lambda run: {event.step: event.value for event in read_events(run).Scalars("train/loss")},
    "mlflow": read_mlflow,
    "wandb": lambda run: {row["_step"]: row["loss"] for row in read_wandb(run)[0] if "loss" in row},
    "trackio": lambda run: read_trackio(run.folder.parent.parent / "trackio"),
    "swanlab": read_swanlab,
}
"""What the suite asks of each: losses by step."""
