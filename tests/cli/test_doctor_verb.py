"""`dizuo doctor`, `dizuo train --search` and `train.track` at the command line, on a tiny real model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from steps_samples import RECIPE, TEMPLATE, write_model, write_rows

from dizuo.cli import dizuo


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_model(tmp_path / "model")
    write_rows(tmp_path / "rows.csv")
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIZUO_HOME", str(tmp_path / "home"))
    return tmp_path


def dz(*arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(dizuo, arguments)
    assert result.exit_code == status, result.output
    return result


def test_a_healthy_recipe_is_all_green_and_leaves_nothing_behind(place: Path) -> None:
    result = dz("doctor", "tiny.yaml", "--set", "train.adapter=lora")
    lines = result.stdout.splitlines()
    assert sum(line.startswith("green") for line in lines) == 20
    assert not any(line.startswith(("red", "skipped")) for line in lines)
    assert lines[-1].startswith("nothing found: 80 of 80 training rows looked at, in ")
    assert not Path("runs").exists()


def test_a_sick_recipe_is_status_one_and_each_red_is_explained(place: Path) -> None:
    Path("model/chat_template.jinja").write_text("{{ bos_token }}" + TEMPLATE)
    result = dz("doctor", "tiny.yaml", status=1)
    lines = result.stdout.splitlines()
    assert any(line.startswith("red") and "one BOS, at the start" in line for line in lines)
    start = lines.index("red: one BOS, at the start")
    told = "\n".join(lines[start:])
    assert "The model read exactly one BOS in all its training." in told
    assert "rows.csv:" in told
    assert "hint" in told
    assert re.match(r"\d+ of 20 checks are red: 80 of 80 training rows looked at", lines[-1]), "no row can be written"


def test_json_holds_every_check_with_its_figures(place: Path) -> None:
    value = json.loads(dz("doctor", "tiny.yaml", "--set", "train.adapter=lora", "--json").stdout)
    assert value["healthy"] is True
    assert (value["rows"], value["train_rows"]) == (80, 80)
    checks = {one["check"]: one for one in value["checks"]}
    assert len(checks) == 20
    assert checks["isolation"]["finding"]["state"] == "green"
    assert "the others by 0.0e+00" in checks["isolation"]["finding"]["measured"]


def test_a_run_that_has_begun_is_examined_as_it_is_planned(place: Path) -> None:
    dz("train", "tiny.yaml", "--set", "train.layout=padded", "--set", "train.max_steps=1")
    result = dz("doctor", "tiny.yaml")
    assert "following the layout of runs/tiny/3-train/plan.json" in result.stderr
    assert "padded tokens against" in result.stdout


def test_a_search_prints_its_table_and_a_recipe_that_runs(place: Path) -> None:
    pytest.importorskip("optuna")
    changes = [f"--set={c}" for c in ("prepare.validation=20", "prepare.test=20", "train.adapter=lora")]
    result = dz("train", "tiny.yaml", "--search", "2", *changes)
    assert "learning rate  rank  epochs  validation score" in " ".join(result.stdout.split("\n"))
    assert result.stdout.splitlines()[-1] == "dizuo run runs/tiny/search/best.yaml"
    value = json.loads(dz("train", "tiny.yaml", "--search", "2", *changes, "--json").stdout)
    assert [trial["state"] for trial in value["trials"]] == ["complete", "complete"]
    assert dz("plan", "runs/tiny/search/best.yaml", "--no-measure").stdout
    assert "--search" in dz("train", "tiny.yaml", "--search", "0", status=2).stderr


def test_a_run_is_shown_where_the_recipe_says(place: Path) -> None:
    pytest.importorskip("tensorboard")
    result = dz("train", "tiny.yaml", "--set", "train.track=[tensorboard]", "--set", "train.max_steps=2")
    assert "tensorboard: " in result.stderr
    assert len(list(Path("runs/tiny/3-train/tracking/tensorboard").iterdir())) == 1
    # Where a run is shown is no reason to train again.
    again = dz("train", "tiny.yaml", "--set", "train.max_steps=2")
    assert again.stderr.count("nothing changed since") == 3


def test_a_tracker_that_does_not_exist_is_a_fault_of_the_recipe(place: Path) -> None:
    result = dz("train", "tiny.yaml", "--set", "train.track=[tensorbord]", status=2)
    assert "no tracker is called 'tensorbord' (did you mean 'tensorboard'?)" in result.stderr
    assert not Path("runs/tiny/3-train").exists()
