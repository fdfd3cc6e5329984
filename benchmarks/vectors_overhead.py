"""What dizuo.vectors costs beside the raw client: seconds per bulk upsert and milliseconds per search, in one run.

    python benchmarks/vectors_overhead.py --servers [--stores lancedb,postgresql,redis,elasticsearch] [--json FILE]
    python benchmarks/vectors_overhead.py --url postgresql://… --url redis://…

The raw side is the shortest code that a competent user writes for the same result, see
`src/dizuo/vectors/benchmarking/raw`; `dizuo vectors bench` measures the same on a user's own rows. Both sides load the
same Arrow table, in batches of the same size, in turn, `--rounds` times; the ratio is of the medians, beside that of
the minima. Loads are of four shapes (into an empty table, onto as many other rows, over the same ids, over half of
them), without text and with documents of 100 words that are found by words at the end. Where dizuo's words are an index
of its own (exact BM25), the rows are marked `exact words`; the raw side then has the database's own index of words.

Bars: at most 1.10 in bulk upsert, 1.5 with exact words, at most 0.3 ms per search. `--servers` starts PostgreSQL, Redis
and Elasticsearch as the tests do (`tests/vectors/engines`), on 127.0.0.1, with data in a temporary folder; PostgreSQL
with shared_buffers for both tables, 41 MB each at 20,000 × 384: otherwise the one that was loaded last is in memory and
the other is not. Redis and Elasticsearch link every vector into a graph while they load it, about a millisecond a row
on either side, so they get a quarter of the rows.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa

from dizuo.vectors.benchmarking.overhead import SHAPES, Ours, Overhead, Shape, compare, open_raw

ENGINES = Path(__file__).parent.parent / "tests" / "vectors"
STORES = ("lancedb", "postgresql", "redis", "elasticsearch")
GRAPHS = ("redis", "elasticsearch")
"""Stores that link vectors into a graph while they are loaded."""
WORDS = 100
"""Of a document."""


def rows_of(rows: int, dim: int, *, words: bool) -> pa.Table:
    """Return records as people have them: a document id, an embedding, a few keys of metadata; and a text."""
    random = np.random.default_rng(0)
    vectors = random.standard_normal((rows, dim), dtype=np.float32)
    metadata = [
        json.dumps({"lang": ("zh", "en", "de")[n % 3], "year": 1990 + n % 35, "source": f"file-{n % 500}.md"})
        for n in range(rows)
    ]
    columns = {
        "id": [f"document-{n}" for n in range(rows)],
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), dim),
        "metadata": metadata,
        "document": pa.array(documents_of(rows)) if words else pa.nulls(rows, pa.string()),
    }
    return pa.table(columns)


def documents_of(rows: int) -> list[str]:
    """Return texts of 100 words of a vocabulary of 30,000, frequent ones and rare ones as in English (Zipf)."""
    random = np.random.default_rng(2)
    chances = 1.0 / np.arange(10, 30_010)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    vocabulary = ["".join(letters[random.integers(0, 26, random.integers(2, 11))]) for _ in chances]
    chosen = random.choice(len(vocabulary), (rows, WORDS), p=chances / chances.sum())
    return [" ".join(vocabulary[word] for word in row) for row in chosen]


@contextmanager
def servers(names: list[str]) -> Iterator[dict[str, str]]:
    """Start the servers of these stores as the tests do; yield their addresses."""
    sys.path.insert(0, str(ENGINES))
    from engines.elasticsearch import elasticsearch
    from engines.postgresql import PostgreSQL
    from engines.redis import Redis
    from engines.server import Server

    class LargePostgreSQL(PostgreSQL):
        """With memory for the tables of both sides."""

        shared_buffers = "512MB"

    kinds: dict[str, Any] = {"postgresql": LargePostgreSQL, "redis": Redis, "elasticsearch": elasticsearch}
    with ExitStack() as stack:
        urls = {}
        for name in names:
            server: Server = kinds[name](Path(tempfile.mkdtemp(prefix=f"dizuo-{name}-")))
            stack.callback(server.clean)
            stack.callback(server.kill)
            server.start()
            urls[name] = server.url
            print(f"{name}: {server.version} ({server.kind})", file=sys.stderr)
        yield urls


def sides_of(name: str, url: str, *, words: bool) -> list[tuple[str, dict[str, Any]]]:
    """Return how dizuo is measured on a store: what to call it, and the options of `connect`."""
    if not words:
        return [("", {})]
    return {
        "elasticsearch": [("words", {})],
        "lancedb": [("exact words", {}), ("engine words", {"words": "engine"})],
    }.get(name, [("exact words", {})])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--servers", action="store_true", help="start the servers of --stores")
    parser.add_argument("--stores", default=None, help="of these stores only, as in lancedb,redis")
    parser.add_argument("--url", action="append", default=[], help="a server that runs already, to be measured too")
    parser.add_argument("--shapes", default=",".join(SHAPES), help=f"of {', '.join(get_args(Shape))}")
    parser.add_argument("--text", choices=("without", "with", "both"), default="both", help="documents of 100 words")
    parser.add_argument("--rows", type=int, default=20_000, help="a quarter of them where there is a graph")
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--batch", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--queries", type=int, default=50, help="searches of each side, for each shape")
    parser.add_argument("--json", help="write the figures to this file")
    given = parser.parse_args()
    wanted = given.stores.split(",") if given.stores else list(STORES)
    folder = tempfile.mkdtemp(prefix="dizuo-overhead-")
    found: dict[str, dict[str, Any]] = {}
    try:
        started = servers([name for name in wanted if name != "lancedb"]) if given.servers else None
        with started if started is not None else ExitStack() as running:
            urls = {"lancedb": f"lancedb://{folder}/index"} if "lancedb" in wanted else {}
            urls |= {url.partition("://")[0]: url for url in given.url}
            urls |= running if isinstance(running, dict) else {}
            print(f"load of the machine before: {os.getloadavg()[0]:.2f}", file=sys.stderr)
            print(f"{'store':14}{'shape':8}{'text':14}{'raw':>10}{'dizuo':>10}   ratio  least   search")
            for name, url in urls.items():
                for figures, *key in measure(name, url, given):
                    found["/".join([name, *key])] = dataclasses.asdict(figures)
                    shape, text = key
                    print(
                        f"{name:14}{shape:8}{text:14}{figures.raw_us_per_row:7.1f} µs{figures.ours_us_per_row:7.1f} µs"
                        f"{figures.upsert_ratio:8.2f}{figures.least_upsert_ratio:7.2f}"
                        f"{figures.search_overhead_ms:+9.2f} ms",
                        flush=True,
                    )
            print(f"load of the machine after: {os.getloadavg()[0]:.2f}", file=sys.stderr)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if given.json:
            with open(given.json, "w", encoding="utf-8") as file:
                json.dump({"rows": given.rows, "dim": given.dim, **found}, file, indent=1)


def measure(name: str, url: str, given: argparse.Namespace) -> Iterator[tuple[Overhead, str, str]]:
    """Yield the figures of a store, with the shape and what is said of the text."""
    rows = given.rows // 4 if name in GRAPHS else given.rows
    queries = np.random.default_rng(1).standard_normal((given.queries, given.dim)).astype(np.float32)
    for words in {"without": [False], "with": [True], "both": [False, True]}[given.text]:
        table = rows_of(rows, given.dim, words=words)
        word = max(table.column("document")[0].as_py().split(), key=len) if words else None
        for text, options in sides_of(name, url, words=words):
            raw, ours = open_raw(url, given.dim, "raw_overhead"), Ours(url, given.dim, "overhead", **options)
            if text == "engine words":  # neither side's index of words takes in what came after it
                raw.optimizes = False  # type: ignore[attr-defined]
            try:
                for shape in given.shapes.split(","):
                    yield compare(
                        raw, ours, table, batch=given.batch, rounds=given.rounds, queries=queries, shape=shape,
                        words=word,
                    ), shape, text  # fmt: skip
            finally:
                ours.close()
                raw.close()


if __name__ == "__main__":
    main()
