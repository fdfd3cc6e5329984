"""The two sides: where each keeps its things, in what surroundings its processes run, and what makes a record valid."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import samples

__all__ = ["GROUPS", "REPOSITORY", "Side", "end_all", "fingerprint", "needed", "prepare_side", "record", "tree_of"]

HERE = Path(__file__).absolute().parent
REPOSITORY = HERE.parent.parent
GROUPS = ("surface", "vectors", "knowledge", "plans", "training", "methods", "evaluation", "opening")
NEEDS_ITSELF = {"evaluation": {"training"}}
"""Groups whose files on the same side another group works with."""
NEEDS_OLD = {"opening": {"vectors", "knowledge", "training", "evaluation"}}
"""Groups whose files on the older side another group works with."""
LANES = ((("training", "evaluation"), ("surface", "vectors", "knowledge", "plans", "methods")), (("opening",),))
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
SURROUNDINGS = {
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "GOMP_SPINCOUNT": "10000",
    "HF_HUB_OFFLINE": "1",
    "NO_COLOR": "1",
    "TERM": "dumb",
    "COLUMNS": "120",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
}
PER_GROUP = 7200.0
"""Seconds after which a group is given up."""
RUNNING: set[subprocess.Popen[bytes]] = set()


@dataclass(frozen=True)
class Side:
    """One side of the comparison."""

    name: str
    folder: Path
    """`home` is its DIZUO_HOME, `work` its working folder, `record` one JSON file per group, `logs` what was said."""
    tree: Path | None
    """The source tree; None for a side that is only read."""
    threads: int

    def on(self, tree: Path) -> Side:
        return replace(self, tree=tree)

    def has(self, group: str) -> bool:
        """Whether the group was recorded by the recorder as it is now."""
        return self._file(group).is_file() and self._read(group)["recorder"] == recorder_of(group)

    def things(self, group: str) -> dict[str, Any]:
        """Return what was recorded, by name."""
        return dict(self._read(group)["things"])

    def failures(self, group: str) -> dict[str, str]:
        """Return what could not be recorded, with its traceback."""
        return dict(self._read(group)["failures"])

    def _read(self, group: str) -> dict[str, Any]:
        return dict(json.loads(self._file(group).read_text("utf-8")))

    def _file(self, group: str) -> Path:
        return self.folder / "record" / f"{group}.json"

    def environment(self) -> dict[str, str]:
        """Return the surroundings of this side's processes; only the tree and the home differ between sides."""
        assert self.tree is not None
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("DIZUO_", "PYTHON"))}
        return kept | {
            **SURROUNDINGS,
            **dict.fromkeys(THREADS, str(self.threads)),
            "PYTHONPATH": str(self.tree / "src"),
            "DIZUO_HOME": str(self.folder / "home"),
        }


def python() -> str:
    """Return the interpreter of the repository's virtual environment, or this one where there is none."""
    own = REPOSITORY / ".venv" / "bin" / "python"
    return str(own) if own.exists() else sys.executable


def tree_of(commit: str, folder: Path, stack: ExitStack) -> Path:
    """Check a commit out into a worktree that is gone when the stack is left."""
    git = ["git", "-C", str(REPOSITORY), "worktree"]
    done = subprocess.run([*git, "add", "--detach", str(folder), commit], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"error: {commit} cannot be checked out: {done.stderr.strip()}")
    stack.callback(lambda: subprocess.run([*git, "remove", "--force", str(folder)], capture_output=True, check=False))
    return folder


def fingerprint(commit: str, *, data: Path, threads: int) -> dict[str, str]:
    """Return what a record depends on besides the tree under test: an older one is reused only where all is equal."""
    found = subprocess.run(
        ["git", "-C", str(REPOSITORY), "rev-parse", f"{commit}^{{commit}}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if found.returncode:
        sys.exit(f"error: there is no commit {commit} in {REPOSITORY}")
    packages = "\n".join(sorted(f"{one.name}=={one.version}" for one in distributions()))
    cpu = [line for line in Path("/proc/cpuinfo").read_text().split("\n") if line.startswith(("model name", "flags"))]
    return {
        "commit": found.stdout.strip(),
        "samples": hashlib.sha256((HERE / "samples.py").read_bytes()).hexdigest(),
        "surroundings": json.dumps(SURROUNDINGS),
        "data": str(data.absolute()),
        "threads": str(threads),
        "python": platform.python_version(),
        "packages": hashlib.sha256(packages.encode()).hexdigest(),
        "processor": hashlib.sha256("\n".join(sorted(set(cpu))).encode()).hexdigest(),
    }


def recorder_of(group: str) -> str:
    """Return the digest of the files that make a group's record; a record by others is made anew."""
    names, seen = [f"recording_{group}", "record", "scrubbing", "content", "commands", "samples"], hashlib.sha256()
    for name in names:
        text = (HERE / f"{name}.py").read_text("utf-8")
        seen.update(text.encode())
        names += [
            other for other in re.findall(r"^from (recording_\w+) import", text, re.MULTILINE) if other not in names
        ]
    return seen.hexdigest()


def needed(groups: list[str], *, older: bool) -> list[str]:
    """Return the groups that a side has to record, so that these can be compared."""
    wanted = set(groups)
    for name in groups:
        wanted |= NEEDS_ITSELF.get(name, set()) | (NEEDS_OLD.get(name, set()) if older else set())
    return [name for name in GROUPS if name in wanted]


def prepare_side(side: Side, wanted: dict[str, str], *, reuse: bool) -> str | None:
    """Make a side's folders; a record that may be reused is kept. Return why that is impossible, or None."""
    about = side.folder / "about.json"
    if reuse and about.is_file():
        held = json.loads(about.read_text("utf-8"))
        other = [name for name in wanted if held.get(name) != wanted[name]]
        if other:
            return f"{side.folder} was recorded with another {', '.join(other)}: delete it, or choose another folder"
        return None
    if reuse and side.folder.exists() and any(side.folder.iterdir()):
        return f"{side.folder} holds something else than a record: choose another folder"
    shutil.rmtree(side.folder, ignore_errors=True)
    for name in ("home", "work", "record", "logs"):
        (side.folder / name).mkdir(parents=True)
    about.write_text(json.dumps(wanted, indent=1), "utf-8")
    return None


def record(side: Side, groups: list[str], *, data: Path, before: Side, jobs: int) -> None:
    """Run the recorder on one side, a process per group; `before` is the older side, whose things are opened.

    Groups of one lane follow each other, since later ones work with what earlier ones left; lanes run beside each other
    where there are several `jobs`.
    """

    def one_lane(lane: tuple[str, ...]) -> None:
        for group in lane:
            if group in groups and not side.has(group):
                _record_one(side, group, data=data, before=before)

    samples.write(side.folder / "work", data.absolute())
    for together in LANES:
        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(one_lane, together))


def end_all() -> None:
    """End the recorders that run."""
    for process in list(RUNNING):
        process.terminate()


def _record_one(side: Side, group: str, *, data: Path, before: Side) -> None:
    began = time.monotonic()
    out = side.folder / "record" / f"{group}.json"
    command = [python(), str(HERE / "record.py"), group, "--out", str(out), "--data", str(data.absolute())]
    command += ["--before", str(before.folder), "--tree", str(side.tree), "--recorder", recorder_of(group)]
    out.unlink(missing_ok=True)
    with (side.folder / "logs" / f"{group}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=side.folder / "work", env=side.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        RUNNING.add(process)
        status = process.wait(PER_GROUP)
        RUNNING.discard(process)
    if status < 0:
        sys.exit(f"error: {side.name}: the recorder of {group} was ended by signal {-status}; run again")
    if status and not out.is_file():
        tail = Path(log.name).read_text("utf-8", "replace")[-2000:]
        said = {"the recorder": f"exit status {status}\n{tail}"}
        failure = {"recorder": "", "failures": said, "things": {}}
        out.write_text(json.dumps(failure), "utf-8")
    print(f"{side.name}: {group} recorded in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
