"""The newcomers' stories, word for word as the pages tell them, from an empty folder; what each command says is kept.

    DIZUO_UPDATE_SNAPSHOTS=1 python -m pytest tests/stories -m "slow or not slow"     write tests/stories/snapshots anew

A snapshot is what a person reads, with every figure as `0`: figures belong to a processor. Read the difference before
you commit it. `stories.toml` says which pages, and which of their commands are not run and why; a command that a page
gets later is run, too.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import urllib.request
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
STORIES = tomllib.loads((HERE / "stories.toml").read_text("utf-8"))
UPDATE = bool(os.environ.get("DIZUO_UPDATE_SNAPSHOTS"))
WORDS = {
    "billing": ("invoice", "refund", "charge"),
    "technical": ("crash", "error", "login"),
    "sales": ("price", "quote", "plan"),
}


def tickets(header: str, *, ids: bool) -> str:
    """Return 283 tickets as CSV, the queue in their last column."""
    rows = []
    for n in range(283):
        queue = sorted(WORDS)[n % 3]
        text = f"my {WORDS[queue][n % 7 % 3]} of day {n} is {('late', 'odd', 'wrong')[n % 5 % 3]}"
        rows.append(f"{n},{text},{queue}" if ids else f"{text},{queue}")
    return "\n".join([header, *rows]) + "\n"


def write(name: str, kind: str, page: str) -> None:
    """Write a file that a story begins with."""
    if kind == "labelled":
        Path(name).write_text(tickets("text,label", ids=False))
    elif kind == "tickets":
        Path(name).write_text(tickets("id,body,queue", ids=True))
    elif kind == "recipe of the page":
        Path(name).write_text(re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0])
    else:
        raise AssertionError(kind)


def commands(page: str) -> list[str]:
    """Return the commands of a page's console blocks, without what is said beside them."""
    blocks = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [re.sub(r"\s+# .*", "", line[2:]).strip() for line in lines]


def run(command: str, *, width: int, typed: str = "") -> tuple[int, str]:
    """Run a command of a page as a shell does, and return its status and all that it said."""
    environment = {**os.environ, "COLUMNS": str(width), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = command.replace(".venv/bin/dizuo", "dizuo")
    if command.startswith("dizuo serve"):
        return 0, serve(command, environment)
    done = subprocess.run(
        command, shell=True, env=environment, input=typed or None, stdin=None if typed else subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=2400, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def serve(command: str, environment: dict[str, str]) -> str:
    """Start a server, ask it for its models once it answers, end it, and return what it said."""
    process = subprocess.Popen(
        command, shell=True, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    answer = ""
    for _ in range(240):
        with contextlib.suppress(OSError):
            answer = urllib.request.urlopen("http://127.0.0.1:8000/v1/models", timeout=5).read().decode()
            break
        time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert answer, said
    return said


def figureless(said: str) -> str:
    """Return what was said without what differs from one machine, or one run, to the next."""
    said = said.replace(str(Path.cwd()), ".").replace(str(Path.home()), "~").replace(sys.prefix, ".venv")
    said = re.sub(r"\b[0-9a-f]{12,}\b", "0", said)
    said = re.sub(r"\d[\d,.]*(e[-+]?\d+)?", "0", said)
    said = re.sub(r"0 (h|min|s|ms)( 0 (h|min|s|ms))*\b", "0 s", said)
    # Lines of progress come or do not, as the machine is fast or slow; bars of spaces follow the width of figures.
    lines = [
        re.sub(r"[ \t]+", " ", line).rstrip() for line in said.splitlines() if not re.search(r" 0 %  |/s$|/s  ", line)
    ]
    return "\n".join(lines) + "\n"


def check(name: str, width: int, told: list[str]) -> None:
    """Compare what was said at a width with what is kept, or keep it."""
    path = HERE / "snapshots" / f"{name}.{width}.txt"
    text = "\n".join(told)
    if UPDATE:
        path.write_text(text, "utf-8")
        return
    assert text == path.read_text("utf-8"), f"{path.name}: read the difference; DIZUO_UPDATE_SNAPSHOTS=1 keeps it"


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", STORIES)
def test_the_story_of_a_page(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    story: dict[str, Any] = STORIES[name]
    page = (ROOT / story["page"]).read_text("utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIZUO_HOME", str(tmp_path / "home"))
    shutil.copytree(ROOT / "recipes", "recipes")
    for file, kind in story.get("files", {}).items():
        write(file, kind, page)
    told: dict[int, list[str]] = {60: [], 80: [], 120: []}
    skipped = story.get("skip", {})
    for command in commands(page):
        if any(command.startswith(words) for words in skipped):
            continue
        for width in (80, *((60, 120) if command in story.get("wide", ()) else ())):
            status, said = run(command, width=width, typed=story.get("input", {}).get(command, ""))
            assert status == story.get("status", {}).get(command, 0), f"{command}\n{said}"
            assert "Traceback" not in said
            assert "fault in dizuo itself" not in said
            told[width].append(f"$ {command}\n{figureless(said)}")
    for width, texts in told.items():
        if texts:
            check(name, width, texts)


@pytest.mark.parametrize("name", STORIES)
def test_what_a_story_skips_stands_on_its_page(name: str) -> None:
    page = commands((ROOT / STORIES[name]["page"]).read_text("utf-8"))
    assert page
    for key in ("skip", "input", "status"):
        for words in STORIES[name].get(key, {}):
            assert any(command.startswith(words) for command in page), words
    assert all(command in page for command in STORIES[name].get("wide", ()))


def test_a_line_of_a_snapshot_fits_its_width() -> None:
    """But prose and paths, which a terminal folds: tables and lists do not pass the edge."""
    for path in (HERE / "snapshots").glob("*.txt"):
        width = int(path.suffixes[0][1:])
        for line in path.read_text("utf-8").splitlines():
            table = re.search(r"\S {2,}\S", line)
            assert not table or len(line) <= width, f"{path.name}: {line}"
