"""What share of a training step is matrix products, and how near those come to the same products alone.

    python benchmarks/step_profile.py [--rows S N L] [--steps 4] [--dtype bfloat16] [--data ../shared/data]

The steps are those of `sft_step.py` (SmolLM2-135M, LoRA r = 16, batches of 16). The profiler records every
matrix product of a step with its shapes. Each distinct product is then run alone, on operands of the same shape,
in the fastest of the four layouts; the sum over the step's products is what they would take if nothing stood
between them. Printed: seconds of a step without the profiler; products in the step, and alone; their share of the step;
what the rest is, by operator. Steps with and without the profiler alternate.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import time
from collections import defaultdict
from pathlib import Path

from sft_step import ALPHA, BATCH, RANK, ROWS, bare_product, load, prepare_rows, stepping

PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "aten::addmm_", "aten::matmul_out")
REPEATS = 12


def alone(shapes: list[tuple[int, ...]], dtype: str) -> float:
    """Return the fastest seconds of one product [.., m, k] @ [.., k, n], over both layouts of either operand."""
    import torch

    kind = getattr(torch, dtype)

    best = float("inf")
    for turned in itertools.product((False, True), repeat=2):
        a, b = (
            torch.randn(*shape[:-2], shape[-1], shape[-2]).to(kind).transpose(-1, -2)
            if flip
            else torch.randn(shape).to(kind)
            for shape, flip in zip(shapes, turned, strict=True)
        )
        out = a @ b
        for _ in range(REPEATS):
            start = time.perf_counter()
            torch.matmul(a, b, out=out)
            best = min(best, time.perf_counter() - start)
    return best


def measure(row: str, data: Path, steps: int, dtype: str) -> None:
    from torch.profiler import ProfilerActivity, profile

    module, tokenizer = load("float32")
    rendered = prepare_rows(row, data, BATCH * steps, tokenizer)
    _, take = stepping(module, dtype)

    def step(number: int) -> float:
        start = time.perf_counter()
        take(rendered[number * BATCH : (number + 1) * BATCH])
        return time.perf_counter() - start

    step(0)
    plain, profiled = [], []
    inside: dict[tuple, list[float]] = defaultdict(list)
    rest: dict[str, float] = defaultdict(float)
    for number in range(1, steps):
        plain.append(step(number))
        with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as recorded:
            profiled.append(step(number))
        for event in recorded.events():
            seconds = event.self_cpu_time_total / 1e6
            if event.name in PRODUCTS:
                matrices = [tuple(shape) for shape in event.input_shapes if len(shape) >= 2]
                wide = [pair for pair in itertools.pairwise(matrices) if pair[0][-1] == pair[1][-2]]
                inside[wide[0]].append(seconds)
            else:
                rest[event.name] += seconds / (steps - 1)
    in_step = sum(sum(times) for times in inside.values()) / (steps - 1)
    by_itself, flops = 0.0, 0.0
    for (a, b), times in inside.items():
        by_itself += alone([a, b], dtype) * len(times) / (steps - 1)
        flops += len(times) / (steps - 1) * 2 * a[-2] * a[-1] * b[-1] * (a[0] if len(a) == 3 else 1)
    whole = statistics.median(plain)
    print(f"{row}  {ROWS[row]}; LoRA r = {RANK}, alpha {ALPHA}; load {os.getloadavg()[0]:.1f}")
    print(f"   step {whole:.3f} s median, {min(plain):.3f} s fastest; {statistics.median(profiled):.3f} s profiled")
    print(f"   products in the step  {in_step:.3f} s, {flops / in_step / 1e9:.0f} GFLOP/s")
    print(f"   the same ones alone   {by_itself:.3f} s, {flops / by_itself / 1e9:.0f} GFLOP/s")
    print(f"   in the step they reach {by_itself / in_step:.1%} of what they reach alone")
    print(f"   they are {in_step / statistics.median(profiled):.1%} of the step")
    print(f"   a bare product {bare_product(dtype):.0f} GFLOP/s in {dtype}")
    for name, seconds in sorted(rest.items(), key=lambda pair: -pair[1])[:12]:
        print(f"   {seconds:7.3f} s  {seconds / statistics.median(profiled):5.1%}  {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=["S", "N"])
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("DIZUO_SHARED_DATA", "../shared/data")))
    args = parser.parse_args()
    for row in args.rows:
        measure(row, args.data, args.steps, args.dtype)


if __name__ == "__main__":
    main()
