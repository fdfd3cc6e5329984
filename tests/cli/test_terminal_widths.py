"""What a terminal shows fits it, at 60 columns and above: live lines, tables, what is said after Ctrl-C."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from steps_samples import RECIPE, write_model, write_rows

from dizuo.cli.render import table
from dizuo.cli.running import kept_of
from dizuo.events import Finished, Note, Progress, Started, Warned
from dizuo.progress import Lines, fit_line, show

WIDTHS = (60, 80, 120, 200)
EVENTS = (
    Progress("train", 345, 800, "steps", 12_300.4, 80, {"loss": 0.41234, "lr": 1e-4, "tokens/s": 12_345}),
    Progress("evaluate the tuned model as served", 17, 400, "items", 0.3, 4_321.0, {"accuracy": 0.9}),
    Progress("fetch pypi:a-package-with-a-very-long-name-indeed", 1_234_567_890, 4_000_000_000, "bytes", 1e7, 300),
    Progress("read rows", 123_456_789, None, "rows", 1_000_000.0),
    Progress("训练一个名字很长的模型", 1, 3, "steps", None, 10_000),
)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.work)
def test_a_live_line_fits_and_keeps_the_name_the_share_and_the_time_left(event: Progress, width: int) -> None:
    line = fit_line(event, width)
    assert len(line) <= width
    assert line.startswith(event.work[:20])
    assert event.total is None or " %" in line
    assert event.seconds_left is None or "left" in line


@pytest.mark.parametrize("width", WIDTHS)
def test_a_table_fits_and_loses_no_cell(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    from dizuo.cli import render

    render._console.cache_clear()
    headers = ["", "accuracy", "interval", "items", "p, best cheap", "training", "ms/item", "MB"]
    row = ["TF-IDF + logistic regression", "86.5 %", "82.8–89.5", "400", "3.9e-34", "3 min 03 s", "0.0527", "557.7"]
    table(headers, [row, ["untuned", *row[1:]]], right=tuple(range(1, 8)), strong=[1])
    render._console.cache_clear()
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    for cell in (*headers, *row, "untuned"):
        assert cell in "\n".join(lines)
    assert (len(lines) == 3) == (width >= 120), "one line a row where there is room"


def terminal(width: int, *arguments: str | Path, folder: Path, stop_at: str = "") -> str:
    """Run a command on a terminal of some width and return all that it wrote there; press Ctrl-C once a word stands."""
    leader, follower = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "CI")} | {"TERM": "xterm"}
    process = subprocess.Popen(
        [*map(str, arguments)], cwd=folder, stdin=follower, stdout=follower, stderr=follower, env=environment,
        start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    seen = b""
    began = time.monotonic()
    while time.monotonic() - began < 120:
        try:
            seen += os.read(leader, 4096)
        except OSError:  # the other end has gone
            break
        if stop_at and stop_at in seen.decode("utf-8", "replace"):
            os.killpg(process.pid, signal.SIGINT)
            stop_at = ""
    process.wait(30)
    os.close(leader)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode("utf-8", "replace"))


def test_ctrl_c_says_what_is_kept_and_that_a_second_run_goes_on(tmp_path: Path) -> None:
    write_model(tmp_path / "model")
    write_rows(tmp_path / "rows.csv")
    (tmp_path / "tiny.yaml").write_text(RECIPE.replace("epochs: 2", "epochs: 400\n  checkpoint_every: 5"))
    program = Path(sys.executable).with_name("dizuo")
    said = terminal(60, program, "run", "tiny.yaml", folder=tmp_path, stop_at=" left")
    assert "stopped. done and kept: select, prepare" in said.replace("\r\n", " ")
    assert "The same command goes on from there." in said.replace("\r\n", " ")
    live = [line for part in said.split("\r") for line in part.split("\n") if line.startswith("train ")]
    assert any(" %" in line and " left" in line for line in live), live[-3:]
    assert max(map(len, live)) <= 60
    saved = [int(path.name[5:]) for path in tmp_path.glob("runs/tiny/3-train.partial/checkpoints/step-*")]
    assert kept_of(tmp_path / "runs" / "tiny").count("training is saved up to step") == bool(saved)
    assert kept_of(tmp_path / "none") == "Nothing was done yet. The same command goes on from there."


def test_the_api_shows_progress_on_a_terminal_and_nothing_in_a_log(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv")
    script = "import dizuo; dizuo.prepare('rows.csv', out='data')"
    said = terminal(80, sys.executable, "-c", script, folder=tmp_path)
    assert "rows: 120 read, 0 bad" in said.replace("80 read", "120 read")
    logged = subprocess.run(
        [sys.executable, "-c", script.replace("'data'", "'again'")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert logged.stdout == logged.stderr == ""


def test_lines_are_written_when_work_begins_and_ends_and_seldom_between(capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    write = Lines(lines.append)
    for event in (Started("train"), *EVENTS[:1] * 100, Note("chosen"), Warned("odd"), Finished("train", 3.0, "good")):
        write(event)
    assert lines == ["train", "  chosen", "warning: odd", "train: 3.0 s  good"]
    show(Note("nobody watches"))
    assert capsys.readouterr().err == ""
