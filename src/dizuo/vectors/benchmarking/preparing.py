"""`prepare` writes what a benchmark loads and asks: rows as Arrow, queries held out of them, and the exact answers.

Rows are written once, so that every store reads the same stream of the same batches. Queries are rows that are not
loaded. Every row gets the metadata key `dizuo_bench`, 0 to 999 in equal shares, so that filters at 10, 1 and 0.1 %
have something to filter by. The exact answers are computed here, in float64 and from no database.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dizuo.errors import VectorError
from dizuo.events import Progress, Started, Watcher
from dizuo.vectors.points import Block, Floats
from dizuo.vectors.scores import Metric
from dizuo.vectors.vector_store import VectorStore

__all__ = ["KEY", "SHARES", "Prepared", "Truth", "prepare"]

KEY = "dizuo_bench"
SHARES = (1000, 100, 10, 1)
"""Rows in a thousand that the filters let through: 100, 10, 1 and 0.1 %."""
MOST_QUERIES = 0.1
"""Share of the rows that may become queries."""
CLOSE = 1e-5
"""Scores nearer than this to the k-th are as good as it, so that a tie at the cut is no mistake."""
SPARE = 16
CLUSTERS, INNER = 200, 32
"""Of generated vectors: nearest neighbours that mean something need data that does not fill its space."""


@dataclass(frozen=True, slots=True)
class Truth:
    """Exact answers at one selectivity: per query the ids that are right, and how many answers there should be."""

    share: int
    matching: int
    near: list[list[str]]
    edges: list[float | None]
    """Per query the score that the last right answer has, where so many rows tie with it that `near` lacks some."""
    expected: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """What lies in `folder` (`rows.arrow`, `queries.npy`, `truth.json`), and what it is."""

    folder: Path
    data: str
    rows: int
    dim: int
    metric: Metric
    queries: int
    bytes: int
    """Of ids, vectors, metadata and documents, as they are sent."""
    repeated: int
    """Rows left out because an earlier one had the same id."""


def prepare(
    folder: Path, *, data: str | None, collection: str, rows: int | None, dim: int, metric: Metric | None, k: int,
    queries: int, watch: Watcher,
) -> Prepared:  # fmt: skip
    """Write rows, queries and exact answers into `folder`.

    Args:
        folder: an empty one, with room for the rows.
        data: a Parquet file or a folder of them, the address of a store, or None for generated vectors.
        collection: of the store.
        rows: the first so many; all unless set (20,000 of generated ones).
        dim: of generated vectors.
        metric: of the collections; the source's own unless set, else cosine.
        k: answers per query.
        queries: rows to hold out; at most a tenth.
        watch: is told of the progress.

    Raises:
        VectorError: there is no such data, or too little of it.
    """
    source = _open_source(data, collection, rows, dim, queries)
    metric = metric or source.metric or "cosine"
    held = min(queries, int(source.total * MOST_QUERIES))
    total = source.total if rows is None else min(source.total, rows + held)
    if held < 1 or total - held < 10:
        raise VectorError(f"{source.name} has {source.total:,} rows", hint="a benchmark needs 20 at least")
    places = set(np.random.default_rng(0).choice(total, held, replace=False).tolist())
    watch(Started("reading the data", total, "rows"))
    kept = _Writer(folder / "rows.arrow", source.dim)
    asked: list[Floats] = []
    for block, at in _take_rows(source.blocks, total):
        mine = np.array([at + n in places for n in range(len(block))], bool)
        asked.extend(block.vectors[mine].copy())
        kept.add(block.take(np.flatnonzero(~mine)))
        watch(Progress("reading the data", at + len(block), total, "rows"))
    kept.close()
    source.blocks.close()
    matrix = np.asarray(asked, np.float32).reshape(-1, source.dim)
    if metric == "cosine":
        matrix = matrix[np.square(matrix).sum(axis=1) > 0]
    if not len(matrix) or kept.rows < 10:
        raise VectorError(f"{source.name} has {kept.rows:,} rows to load and {len(matrix)} queries")
    np.save(folder / "queries.npy", matrix)
    truths = _find_truths(folder / "rows.arrow", matrix, metric, k, watch)
    (folder / "truth.json").write_text(json.dumps([dataclasses.asdict(truth) for truth in truths]), "utf-8")
    return Prepared(
        folder, source.name, kept.rows, source.dim, metric, len(matrix), kept.bytes, kept.repeated
    )  # fmt: skip


# ---- where rows come from


@dataclass(frozen=True, slots=True)
class _Source:
    name: str
    total: int
    dim: int
    metric: Metric | None
    blocks: Generator[Block, None, None]


def _open_source(data: str | None, collection: str, rows: int | None, dim: int, queries: int) -> _Source:
    if data is None:
        wanted = 20_000 if rows is None else rows
        total = wanted + min(queries, wanted // 9)
        inner = min(INNER, dim)
        name = (
            f"generated: {CLUSTERS} Gaussian clusters of {inner} dimensions, rotated, and noise of 0.1 in all of them"
        )
        return _Source(name, total, dim, None, _generate_blocks(total, dim, inner))
    path = Path(data)
    if (path / "_manifest.json").is_file():
        from dizuo.vectors.moving.export_format import read_export, read_manifest

        manifest = read_manifest(path)
        parts = (part.block for part in read_export(path, manifest))
        return _Source(data, manifest["rows"], manifest["dim"], manifest["metric"], parts)
    if path.is_file() or next(_find_parquet(path), None):
        from dizuo.vectors.moving.dumps import read_dump, read_dump_dim

        read_dim = read_dump_dim(data)
        total, blocks = read_dump(data, dim=read_dim)
        return _Source(data, total, read_dim, None, (block for block in blocks))
    from dizuo.vectors.connecting.connect import connect

    store = connect(data, collection=collection, create=False)
    name = f"{store.url}, collection {collection}"
    return _Source(name, store.count(), store.dim, store.metric, _scan_store(store))


def _scan_store(store: VectorStore) -> Generator[Block, None, None]:
    with store:
        yield from store.scan()


def _find_parquet(path: Path) -> Iterator[Path]:
    # A LanceDB folder has no Parquet files, only `.lance` ones.
    return path.rglob("*.parquet") if path.is_dir() else iter(())


def _generate_blocks(total: int, dim: int, inner: int) -> Generator[Block, None, None]:
    random = np.random.default_rng(0)
    turn, _ = np.linalg.qr(random.standard_normal((dim, inner)))
    centres = random.standard_normal((CLUSTERS, inner))
    langs, sources = ("zh", "en", "de"), 500
    for start in range(0, total, 2000):
        count = min(2000, total - start)
        points = centres[random.integers(0, CLUSTERS, count)] + 0.6 * random.standard_normal((count, inner))
        vectors = points @ turn.T + 0.1 * random.standard_normal((count, dim))
        numbers = range(start, start + count)
        metadata = [{"lang": langs[n % 3], "year": 1990 + n % 35, "source": f"file-{n % sources}.md"} for n in numbers]
        yield Block([f"document-{n}" for n in numbers], vectors.astype(np.float32), metadata, [None] * count)


def _take_rows(blocks: Iterable[Block], total: int) -> Iterator[tuple[Block, int]]:
    at = 0
    for block in blocks:
        block = block.slice(0, min(len(block), total - at))
        yield block, at
        at += len(block)
        if at >= total:
            return


class _Writer:
    """Rows as an Arrow stream on disk, each id once."""

    def __init__(self, path: Path, dim: int) -> None:
        import pyarrow as pa

        from dizuo.vectors.writing.arrow import arrow_schema

        self.writer = pa.ipc.new_stream(str(path), arrow_schema(dim))
        self.seen: set[str] = set()
        self.rows = self.bytes = self.repeated = 0

    def add(self, block: Block) -> None:
        from dizuo.vectors.writing.arrow import to_record_batch

        fresh = [n for n, id in enumerate(block.ids) if not (id in self.seen or self.seen.add(id))]  # type: ignore[func-returns-value]
        self.repeated += len(block) - len(fresh)
        block = block.take(fresh)
        if not len(block):
            return
        tags = [(self.rows + n) * 7919 % 1000 for n in range(len(block))]
        texts = [
            f'{{"{KEY}":{tag}{"," if len(text) > 2 else ""}{text[1:]}'
            for tag, text in zip(tags, block.metadata_texts, strict=True)
        ]
        marked = Block(block.ids, block.vectors, texts, block.documents)
        self.writer.write_batch(to_record_batch(marked))
        self.rows += len(marked)
        self.bytes += marked.num_bytes()

    def close(self) -> None:
        self.writer.close()


# ---- what is right


def _find_truths(path: Path, queries: Floats, metric: Metric, k: int, watch: Watcher) -> list[Truth]:
    import pyarrow as pa

    tops = {share: _Top(len(queries), k) for share in SHARES}
    watch(Started("exact answers", None, "rows"))
    left = _normalize(queries.astype(np.float64), metric)
    at = 0
    with pa.ipc.open_stream(str(path)) as stream:
        for part in stream:
            vectors = part.column("vector").flatten().to_numpy(zero_copy_only=False).reshape(part.num_rows, -1)
            scores = _compute_scores(left, _normalize(vectors.astype(np.float64), metric), metric)
            tags = (at + np.arange(part.num_rows)) * 7919 % 1000
            ids = np.array(part.column("id").to_pylist(), object)
            for share, top in tops.items():
                mine = tags < share
                top.add(scores[:, mine], ids[mine])
            at += part.num_rows
            watch(Progress("exact answers", at, None, "rows"))
    return [top.truth(share) for share, top in tops.items()]


def _normalize(vectors: NDArray[np.float64], metric: Metric) -> NDArray[np.float64]:
    if metric != "cosine":
        return vectors
    lengths = np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))
    return np.asarray(vectors / np.where(lengths == 0, 1, lengths))


def _compute_scores(left: NDArray[np.float64], right: NDArray[np.float64], metric: Metric) -> NDArray[np.float64]:
    products = left @ right.T
    if metric != "l2":
        return products
    squares = np.square(left).sum(axis=1)[:, None] + np.square(right).sum(axis=1)[None, :] - 2 * products
    return np.asarray(-np.sqrt(np.maximum(squares, 0.0)))


class _Top:
    """The best rows of every query so far, and a few more that may tie with the last of them."""

    def __init__(self, queries: int, k: int) -> None:
        self.k, self.matching = k, 0
        self.scores = np.empty((queries, 0), np.float64)
        self.ids = np.empty((queries, 0), object)

    def add(self, scores: NDArray[np.float64], ids: NDArray[Any]) -> None:
        self.matching += len(ids)
        scores = np.hstack([self.scores, scores])
        names = np.hstack([self.ids, np.broadcast_to(ids, (len(self.ids), len(ids)))])
        keep = min(self.k + SPARE, scores.shape[1])
        if keep:
            chosen = np.argpartition(-scores, keep - 1, axis=1)[:, :keep]
            scores = np.take_along_axis(scores, chosen, axis=1)
            names = np.take_along_axis(names, chosen, axis=1)
        self.scores, self.ids = scores, names

    def truth(self, share: int) -> Truth:
        expected = min(self.k, self.matching)
        near: list[list[str]] = []
        edges: list[float | None] = []
        for scores, ids in zip(self.scores, self.ids, strict=True):
            last = float(np.sort(scores)[::-1][expected - 1]) if expected else np.inf
            edge = last - CLOSE * max(1.0, abs(last))
            near.append(ids[scores >= edge].tolist())
            full = len(near[-1]) == self.k + SPARE and self.matching > self.k + SPARE
            edges.append(edge if full else None)
        return Truth(share, self.matching, near, edges, expected)
