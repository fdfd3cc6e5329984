"""Run in a fresh process: what a model really takes, above the process after its imports.

    python memory_probe.py SPEC.json METHOD SEQUENCES LENGTH TRAINED

TRAINED is the number of trained tokens of each sequence; METHOD is inference, lora, dora, rslora or full, with +nf4 or
+int8 behind an adapter for quantised weights. Prints bytes.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import peft  # noqa: F401
import psutil
import torch
import transformers

from dizuo.models import ModelSpec, load
from dizuo.models.adapters import KINDS, add_lora
from dizuo.trees import Runner, Sequences


def reset_peak() -> None:
    """Make this process's peak its present size (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


def batch(num: int, length: int, trained: int, vocabulary: int, step: int) -> Sequences:
    draw = np.random.default_rng(step).integers(10, vocabulary, size=(num, length))
    draw[:, 0] = np.arange(num) + 10  # nothing is shared
    weights = [0.0] * (length - trained) + [1.0] * trained
    return Sequences.of((row.tolist(), weights) for row in draw)


def run(spec: ModelSpec, method: str, num: int, length: int, trained: int) -> None:
    method, _, quantize = method.partition("+")
    model = load(spec, quantize=quantize or "none")
    module: Any = model.module
    if method in KINDS:
        module = add_lora(model, rank=16, alpha=32, seed=0, kind=method)
    if method == "full":
        module.requires_grad_(True)
    runner = Runner(module)
    if method == "inference":
        with torch.no_grad():
            runner.forward(batch(num, length, trained, spec.vocab_size, 0))
        return
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-5, fused=True)
    for step in range(2):
        outputs = runner.forward(batch(num, length, trained, spec.vocab_size, step))
        (-(outputs.weights * outputs.logprobs).sum()).backward()
        del outputs
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def main() -> None:
    spec = ModelSpec.from_json(json.loads(Path(sys.argv[1]).read_text()))
    kind = {"llama": "llama", "gemma3_text": "gemma3"}.get(spec.architecture, spec.architecture)
    importlib.import_module(f"transformers.models.{kind}.modeling_{kind}")
    transformers.PreTrainedTokenizerFast  # noqa: B018 (lazy: now it is imported)
    torch.ones(64, 64).matmul(torch.ones(64, 64))
    before = psutil.Process().memory_info().rss
    reset_peak()
    run(spec, sys.argv[2], *map(int, sys.argv[3:6]))
    print(peak() - before)


if __name__ == "__main__":
    main()
