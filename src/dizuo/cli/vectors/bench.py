"""`dizuo vectors bench`: stores measured side by side on one's own data."""

from __future__ import annotations

import click

from dizuo.cli.flags import JSON, flags
from dizuo.cli.vectors.opening import COLLECTION, DEFAULT

__all__ = ["command"]


@click.command(name="bench")
@click.argument("urls", metavar="URL…", nargs=-1, required=True)
@click.option("--data", metavar="SOURCE", help="Parquet files, an export, or a store to read; else vectors are made.")
@click.option("--rows", type=int, help="The first so many; all of the data, or 20,000 made ones, unless given.")
@click.option("--dim", type=int, default=384, show_default=True, help="Of made vectors.")
@click.option("--metric", type=click.Choice(["cosine", "dot", "l2"]), help="The data's own unless given, else cosine.")
@click.option("-k", type=int, default=10, show_default=True, help="Answers per search.")
@click.option("--queries", type=int, default=200, show_default=True, help="Rows to hold out and ask for.")
@click.option("--concurrency", metavar="N,…", default="1,4,16", show_default=True, help="Threads that search at once.")
@click.option("--seconds", type=float, default=3.0, show_default=True, help="Of searching at each of these.")
@click.option("--force-index", is_flag=True, help="Build the index whatever the size.")
@click.option("--no-raw", is_flag=True, help="Leave out what dizuo costs beside the raw client.")
@click.option("--out", metavar="FOLDER", default="vectors-bench", show_default=True, help="For the page and the JSON.")
@flags(COLLECTION, JSON)
def command(
    urls: tuple[str, ...], data: str | None, rows: int | None, dim: int, metric: str | None, k: int, queries: int,
    concurrency: str, seconds: float, force_index: bool, no_raw: bool, out: str, collection: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Measure databases on the same rows: build time, size, memory, latency under load, recall with filters.

    Each gets a collection of its own for the time being; nothing else in it is touched. Prints one table and writes
    bench.html, a page with plots, and bench.json. The status is 1 where a database could not be measured.
    """
    from dizuo import pages
    from dizuo.artifacts.writing import check_place, write_bytes, write_json
    from dizuo.cli.render import emit, heading, line, table, watching
    from dizuo.vectors.benchmarking.bench import benchmark

    levels, folder = _levels(concurrency), check_place(out)
    with watching(as_json=as_json) as watch:
        result = benchmark(
            urls, data=data, collection=collection or DEFAULT, rows=rows, dim=dim, metric=metric,  # type: ignore[arg-type]
            k=k, queries=queries, concurrency=levels, seconds=seconds, force_index=force_index, raw=not no_raw,
            watch=watch,
        )  # fmt: skip
    value = result.to_json()
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "bench.json", value)
    write_bytes(folder / "bench.html", pages.benchmark(value).encode("utf-8"))
    failed = [store for store in result.stores if store.error]
    if as_json:
        emit(value)
        return 1 if failed else 0
    names, groups = pages.benchmark_table(value)
    line(f"{result.rows:,} rows of {result.dim:,} numbers, {result.metric}, {result.queries:,} queries; {result.data}")
    for note in (*result.notes, *(f"{store.url}: {note}" for store in result.stores for note in store.notes)):
        line(note)
    rows_of = [(title, [[name, *cells] for name, cells in inner]) for title, inner in groups]
    if rows_of:
        # One table for all groups, so that its columns stand under each other.
        body = [row for title, inner in rows_of for row in ([title, *[""] * len(names)], *inner)]
        strong = [n for n, row in enumerate(body) if row[0] in {title for title, _ in rows_of}]
        heading("measured")
        table(["", *names], body, right=range(1, len(names) + 1), strong=strong)
    machine = result.machine
    if machine.load_before is not None and machine.load_after is not None:
        line(f"load of the machine before {machine.load_before:.2f}, after {machine.load_after:.2f}; "
             f"{machine.cores} cores")  # fmt: skip
    for store in failed:
        line(f"{store.url} could not be measured: {store.error}")
    line(f"page: {folder / 'bench.html'}   figures: {folder / 'bench.json'}")
    return 1 if failed else 0


def _levels(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise click.UsageError(f"--concurrency {text}: write numbers of threads, as in 1,4,16") from None
