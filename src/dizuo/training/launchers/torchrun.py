"""Ranks on this machine, started by torchrun (`torch.distributed.run`), PyTorch's own launcher.

Its agent ends all ranks when one ends with an error. Rank 0 writes its events to the launcher's pipe; whatever else the
ranks print goes to `launch.log` in the run's folder.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dizuo import errors, events
from dizuo.errors import TrainingError
from dizuo.events import Watcher, ignore
from dizuo.training.launchers import Launcher
from dizuo.training.planning.plan import Plan
from dizuo.training.run import Run

__all__ = ["LAUNCHER", "launch"]

LOG = "launch.log"
PATIENCE = 60.0
"""Seconds that ranks get to end after they were told to."""
TAIL = 12
"""Lines of the log in an error."""
CAUSE = re.compile(r"Root Cause.*?rank\s*:\s*(\d+).*?exitcode\s*:\s*(-?\d+)", re.DOTALL)
"""torchrun's summary of the first rank that failed."""


def launch(plan: Plan, *, ranks: int, worker: Sequence[str] = ("dizuo.training",), watch: Watcher = ignore) -> Run:
    """Train a plan by several ranks on this machine, going on from its last checkpoint where there is one.

    Args:
        plan: it is in its folder already.
        ranks: processes; on GPUs each takes one.
        worker: module and further arguments of a rank; the run's folder and `--events` are put behind the module.
        watch: told what rank 0 tells.

    Raises:
        TrainingError: what stopped the ranks, naming the one that was first.
    """
    module, *arguments = worker
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    command += ["-m", module, str(plan.folder), "--events", *arguments]
    # Otherwise torchrun sets one thread and warns of it; what counts is set by the plan, in the ranks.
    environment = {"OMP_NUM_THREADS": str(max(1, plan.use.threads // ranks)), **os.environ}
    faults: list[dict[str, Any]] = []
    log = plan.folder / LOG
    with (
        log.open("w", encoding="utf-8") as file,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True, env=environment) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                value = _read(line)
                if value is None:
                    file.write(line)
                elif "error" in value:
                    faults.append(value)
                else:
                    watch(_event(value))
            code = process.wait()
        except BaseException:
            _end(process)
            raise
    if code:
        raise _fault(faults, code, log)
    return Run.open(plan.folder)


def _read(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and ("event" in value or "error" in value) else None


def _event(value: Mapping[str, Any]) -> events.Event:
    kind = getattr(events, value["event"])
    event: events.Event = kind(**{name: part for name, part in value.items() if name != "event"})
    return event


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _fault(faults: Sequence[Mapping[str, Any]], code: int, log: Path) -> TrainingError:
    """Return the error of the rank that stopped first; the others only lost it."""
    own = sorted((fault for fault in faults if fault["error"] != "RankLost"), key=lambda fault: int(fault["rank"]))
    if own:
        first = own[0]
        kind = getattr(errors, first["error"], TrainingError)
        everywhere = all(fault["message"] == first["message"] for fault in own) and len(own) > 1
        prefix = "" if everywhere or first["rank"] == 0 else f"rank {first['rank']}: "
        error = (kind if issubclass(kind, errors.DizuoError) else TrainingError)(
            f"{prefix}{first['message']}", details=first["details"], hint=first["hint"]
        )
        return error if isinstance(error, TrainingError) else TrainingError(error.message, details=error.details)
    text = log.read_text("utf-8", errors="replace")
    cause = CAUSE.search(text)
    if cause is not None and int(cause[2]) < 0:
        name = signal.Signals(-int(cause[2])).name
        hint = "the last whole checkpoint is kept; start again to go on from it"
        if name == "SIGKILL":
            hint = f"memory may have run out (see the system's log); {hint}"
        return TrainingError(f"rank {cause[1]} was killed ({name})", hint=hint)
    lines = [line for line in text.splitlines() if "torch/distributed/elastic" not in line]
    traceback = next((number for number, line in enumerate(lines) if "Traceback" in line), max(0, len(lines) - TAIL))
    end = next((n for n, line in enumerate(lines[traceback:], traceback) if re.match(r"[EW]\d{4}|={9}", line)), None)
    what = f"rank {cause[1]} ended" if cause is not None else "the ranks ended"
    return TrainingError(f"{what} with exit code {code}", details=lines[traceback:end][-TAIL:], hint=f"see {log}")


LAUNCHER = Launcher(launch=launch)
