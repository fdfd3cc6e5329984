"""What dizuo.vectors costs beside the raw client: seconds per bulk upsert and milliseconds per search, in one run.

    python benchmarks/vectors_overhead.py [--url postgresql://…] [--rows 20000] [--dim 384] [--rounds 5] [--json FILE]

The raw side is the shortest code that a competent user writes for the same result, see
`src/dizuo/vectors/benchmarking/raw`; `dizuo vectors bench` measures the same on a user's own rows. Both sides load into
empty tables, in batches of the same size, in turn, `--rounds` times; the ratio is of the medians, beside that of the
minima. Bars: at most 1.10 in bulk upsert, at most 0.3 ms per search. A PostgreSQL server needs shared_buffers for both
tables, 41 MB each at 20,000 × 384: otherwise the one that was loaded last is in memory and the other is not.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import tempfile

import numpy as np
import pyarrow as pa

from dizuo.vectors.benchmarking.overhead import Ours, compare, open_raw


def rows_of(rows: int, dim: int) -> pa.Table:
    """Return records as people have them: a document id, an embedding, a few keys of metadata."""
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
        "document": pa.nulls(rows, pa.string()),
    }
    return pa.table(columns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--url", help="a PostgreSQL server with pgvector, to be measured too")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--batch", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="write the figures to this file")
    given = parser.parse_args()
    table, folder = rows_of(given.rows, given.dim), tempfile.mkdtemp(prefix="dizuo-overhead-")
    try:
        queries = np.random.default_rng(1).standard_normal((200, given.dim)).astype(np.float32)
        urls = {"lancedb": f"lancedb://{folder}/index"} | ({"postgresql": given.url} if given.url else {})
        found = {}
        for name, url in urls.items():
            raw, ours = open_raw(url, given.dim, "raw_overhead"), Ours(url, given.dim, "overhead")
            figures = compare(raw, ours, table, batch=given.batch, rounds=given.rounds, queries=queries)
            found[name] = dataclasses.asdict(figures)
            print(f"{name}, {given.rows:,} × {given.dim}:")
            for key, value in found[name].items():
                print(f"  {key:20} {value:10.2f}")
            ours.close()
            raw.close()
        if given.json:
            with open(given.json, "w", encoding="utf-8") as file:
                json.dump({"rows": given.rows, "dim": given.dim, **found}, file, indent=1)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
