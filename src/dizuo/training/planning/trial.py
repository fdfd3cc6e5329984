"""The trial: what a run takes of memory, measured in a process of its own that alone loads the model.

    python -m dizuo.training.planning.trial FOLDER TRAIN [VALIDATION]

FOLDER holds a plan.json, TRAIN and VALIDATION the tokens of the splits. The process imports what it needs, notes how
large it is, and takes the worst block through all that a run does: loading, forward, backward, the optimizer's update
with both moments there, evaluation, a checkpoint, and the result on disk. What it printed last is JSON: the seconds,
and the most memory that was resident above that note (`VmHWM`, which the kernel keeps; on a GPU what torch reserved).

The parent looks at the machine's free memory meanwhile and ends the child before the system has none, so that a plan
that cannot work costs an error and not the processes beside it.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dizuo.errors import DizuoError, PlanError
from dizuo.training.planning import machine
from dizuo.training.planning.costs import Measured
from dizuo.training.planning.plan import Plan

if TYPE_CHECKING:
    from dizuo.models import ModelSpec

__all__ = ["run_trial"]

RESERVE = 256 * 2**20
"""Bytes that stay free while a trial runs: it is ended when there are fewer."""
LOOK_SECONDS = 0.05
TOO_LARGE = "lower max_length or tokens_per_block, use adapter: lora, or choose a smaller model"


def run_trial(plan: Plan, *, train: Path, validation: Path | None = None) -> Measured:
    """Return what a plan took when its worst block ran in a process of its own.

    Args:
        plan: of the run; its folder takes what the trial writes, for as long as it runs.
        train: folder of the training tokens.
        validation: folder of the validation tokens, where there are some.

    Raises:
        PlanError: there is not enough memory, or the trial failed.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".trial-", dir=plan.folder) as scratch:
        folder = Path(scratch)
        replace(plan, folder=folder).write()
        stores = [str(store) for store in (train, validation) if store is not None]
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            command = [sys.executable, "-W", "ignore", "-m", __name__, scratch, *stores]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
            try:
                stopped = _watch(process, plan.use.device)
            finally:
                if process.poll() is None:
                    process.kill()
                process.wait()
        if stopped:
            raise PlanError(
                f"training needs more memory than there is: its worst block ran until {RESERVE / 1e9:.1f} GB were free",
                hint=TOO_LARGE,
            )
        return _read(folder, process.returncode)


def _watch(process: subprocess.Popen[bytes], device: str) -> bool:
    """Wait for the child; return whether it had to be ended because memory ran out."""
    while process.poll() is None:
        if machine.available_memory(device) < RESERVE:
            process.kill()
            return True
        time.sleep(LOOK_SECONDS)
    return False


def _read(folder: Path, status: int) -> Measured:
    lines = (folder / "out").read_text("utf-8", errors="replace").strip().split("\n")
    try:
        found = json.loads(lines[-1])
    except ValueError:
        told = (folder / "err").read_text("utf-8", errors="replace").strip().split("\n")
        if status == -9:
            raise PlanError(
                "the trial of the worst block was killed: memory ran out, most likely", hint=TOO_LARGE
            ) from None
        raise PlanError(
            f"the trial of the worst block failed: {told[-1][:200]}",
            hint="plan without measuring (dizuo plan --no-measure), and see whether training fails in the same way",
        ) from None
    if "error" in found:
        raise PlanError(found["error"], details=found["details"], hint=found["hint"])
    return Measured.from_json(found)


def measure_memory(plan: Plan, stores: list[Path], scratch: Path) -> Measured:
    """Run all that a run does once, in this process, and return what it took above the process after its imports."""
    from dizuo.training.building.build import load_quantized, on_device
    from dizuo.training.planning.measuring import measure_plan
    from dizuo.training.tokens.token_store import TokenStore

    _import(plan.model)
    peak = _Peak(plan.use.device)
    store, *others = (TokenStore(folder) for folder in stores)
    model = load_quantized(plan.model, plan.use.quantize)
    with on_device(model, plan.use.device):
        measured = measure_plan(plan, model, store, validation=others[0] if others else None, scratch=scratch)
        return replace(measured, peak=peak.bytes())


def _import(spec: ModelSpec) -> None:
    """Import all that a run of the model imports, so that code is not counted as what the run takes."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from dizuo.models.loading import model_folder

    for name in ("peft", "safetensors.torch", "torch.optim.adamw"):
        importlib.import_module(name)
    config = AutoConfig.from_pretrained(str(model_folder(spec)), local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    torch.ones(64, 64).matmul(torch.ones(64, 64))


class _Peak:
    """The most memory that this process has had since this was made, above what it had then."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._before = self._resident()
        if device == "cuda":
            import torch

            torch.cuda.reset_peak_memory_stats()
        try:
            Path("/proc/self/clear_refs").write_text("5")  # proc(5): the peak is the present size from here on
        except OSError:
            self._before = self._most()

    def bytes(self) -> int:
        """Return it."""
        if self._device == "cuda":
            import torch

            return int(torch.cuda.max_memory_reserved())
        return max(0, self._most() - self._before)

    @staticmethod
    def _resident() -> int:
        import psutil

        return int(psutil.Process().memory_info().rss)

    @staticmethod
    def _most() -> int:
        try:
            for line in Path("/proc/self/status").read_text("ascii", errors="replace").split("\n"):
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        except OSError:
            pass
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def main(arguments: list[str]) -> int:
    """Measure the plan in a folder and print what it took, or why it could not be measured."""
    folder = Path(arguments[0])
    found: dict[str, Any]
    try:
        plan = Plan.read(folder)
        assert plan is not None
        found = measure_memory(plan, [Path(store) for store in arguments[1:]], folder).to_json()
    except DizuoError as error:
        found = {"error": error.message, "details": list(error.details), "hint": error.hint}
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
