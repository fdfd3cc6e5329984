"""The page of a benchmark of vector stores: what to choose on this data and machine, and how it was measured."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from dizuo.pages import charts
from dizuo.pages.page import figure, render

__all__ = ["draw", "table"]

Row = tuple[str, list[str]]
NONE = "–"


def draw(value: Mapping[str, Any]) -> str:
    """Return the page; `value` is what `Benchmark.to_json` gives."""
    stores = [
        {**store, "name": name, "family": f"c{index % 9}"}
        for index, (store, name) in enumerate(zip(value["stores"], names(value), strict=True))
    ]
    done = [store for store in stores if not store["error"]]
    machine = value["machine"]
    return render(
        "benchmark.html",
        value=value,
        title=f"{value['rows']:,} vectors of {value['dim']:,} numbers",
        when=datetime.datetime.fromisoformat(value["when"]).strftime("%Y-%m-%d %H:%M UTC"),
        stores=stores,
        done=done,
        failed=[store for store in stores if store["error"]],
        verdict=_verdict(done),
        throughput=charts.throughput(
            [
                (
                    store["name"],
                    store["family"],
                    [(load["qps"], load["p95_ms"], load["threads"]) for load in store["loads"]],
                )
                for store in done
            ]
        ),
        recall=charts.shares_over_shares(
            [
                (store["name"], store["family"], [(part["selectivity"], part["recall"]) for part in store["recalls"]])
                for store in done
            ],
            label="recall over the share of rows that a filter lets through",
        ),
        groups=[(title, rows) for title, rows in table(value) if rows],
        notes=[*value["notes"], *(f"{store['name']}: {note}" for store in done for note in store["notes"])],
        machine=[
            ("processor", f"{machine['processor']}, {machine['cores']} cores"),
            ("memory", size(machine["memory"])),
            ("system", machine["system"]),
            ("Python", machine["python"]),
            ("dizuo", value["dizuo"]),
            ("load before", _average(machine["load_before"])),
            ("load after", _average(machine["load_after"])),
        ],
        payload=size(value["bytes"]),
        per_row=size(value["bytes"] / max(1, value["rows"])),
        overhead=any(store["overhead"] for store in done),
    )


def names(value: Mapping[str, Any]) -> list[str]:
    """Return a short name for every store, each only once: its scheme, and its address where two have the same."""
    urls = [store["url"] for store in value["stores"]]
    schemes = [url.partition("://")[0] for url in urls]
    short = [url if schemes.count(scheme) > 1 else scheme for url, scheme in zip(urls, schemes, strict=True)]
    return [name if short.count(name) == 1 else f"{name} ({number})" for number, name in enumerate(short, 1)]


def table(value: Mapping[str, Any]) -> list[tuple[str, list[Row]]]:
    """Return all figures as text, by group: per row its name and a cell for every store that could be measured."""
    stores = [store for store in value["stores"] if not store["error"]]
    if not stores:
        return []
    k = value["k"]

    def row(name: str, cell: Any) -> Row:
        return name, [cell(store) for store in stores]

    build: list[Row] = [
        row("engine", lambda s: s["engine"]),
        row("index", lambda s: f"{s['index']}, {s['indexed_rows']:,} rows" if s["index"] != "none" else "none"),
        row("build, s", lambda s: figure(s["build"]["load_seconds"] + s["build"]["optimize_seconds"])),
        row("  loading, s", lambda s: figure(s["build"]["load_seconds"])),
        row("  compacting and indexing, s", lambda s: figure(s["build"]["optimize_seconds"])),
        row("loading, µs a row", lambda s: figure(s["build"]["us_per_row"])),
    ]
    space: list[Row] = [
        row("size on disk", lambda s: size(s["disk"])),
        row("  of what was sent", lambda s: _share(s["disk"], value["bytes"])),
        row("memory of the client, at start", lambda s: size(s["memory"]["client_start"])),
        row("  at most, loading", lambda s: size(s["memory"]["client_loading"])),
        row("  at most, searching", lambda s: size(s["memory"]["client_searching"])),
        row("memory of the server, loading", lambda s: _server(s, "server_loading")),
        row("  at most, searching", lambda s: _server(s, "server_searching")),
    ]
    speed: list[Row] = []
    for index, threads in enumerate(value["concurrency"]):
        who = "1 thread" if threads == 1 else f"{threads} threads"
        for name, key in (("p50", "p50_ms"), ("p95", "p95_ms"), ("p99", "p99_ms")):
            speed.append(row(f"{who}: {name}, ms", lambda s, key=key, at=index: figure(s["loads"][at][key])))
        speed.append(row(f"{who}: searches a second", lambda s, at=index: figure(s["loads"][at]["qps"])))
    speed.append(row("exact search, 1 thread: p50, ms", lambda s: figure(s["exact_p50_ms"])))
    right: list[Row] = []
    for share in sorted({part["selectivity"] for s in stores for part in s["recalls"]}, reverse=True):
        what = "all rows" if share == 1 else f"a filter of {100 * share:g} %"
        right.append(
            row(f"recall@{k}, {what}", lambda s, at=share: _part(s, at, lambda p: f"{100 * p['recall']:.1f} %"))
        )
        right.append(row("  p50, ms", lambda s, at=share: _part(s, at, lambda p: figure(p["p50_ms"]))))
        right.append(row("  answered by", lambda s, at=share: _part(s, at, _path)))
        if any(part["short"] for s in stores for part in s["recalls"] if part["selectivity"] == share):
            right.append(
                row("  queries with too few answers", lambda s, at=share: _part(s, at, lambda p: f"{p['short']:,}"))
            )
    cost: list[Row] = []
    if any(s["overhead"] for s in stores):
        cost = [
            row("loading, µs a row: dizuo", lambda s: _cost(s, lambda o: figure(o["ours_us_per_row"]))),
            row("  by hand", lambda s: _cost(s, lambda o: figure(o["raw_us_per_row"]))),
            row("  ratio", lambda s: _cost(s, lambda o: f"{o['upsert_ratio']:.2f}")),
            row("search, ms: dizuo", lambda s: _cost(s, lambda o: figure(o["ours_search_ms"]))),
            row("  by hand", lambda s: _cost(s, lambda o: figure(o["raw_search_ms"]))),
            row("  difference", lambda s: _cost(s, lambda o: f"{o['search_overhead_ms']:+.2f}".replace("-", "−"))),
        ]
    groups = [("Build", build), ("Space", space), ("Speed", speed), ("Recall", right)]
    return [*groups, ("dizuo beside the raw client", cost)]


def size(count: float | None) -> str:
    """Return bytes as people say them."""
    if count is None:
        return NONE
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:,.{1 if count < 10 * factor else 0}f} {unit}"
    return f"{count:,.0f} bytes"


def _share(part: float | None, whole: float) -> str:
    return NONE if part is None or not whole else f"{part / whole:.2f} ×"


def _server(store: Mapping[str, Any], key: str) -> str:
    return "in the client" if store["embedded"] else size(store["memory"][key])


def _part(store: Mapping[str, Any], share: float, cell: Any) -> str:
    recall = next((part for part in store["recalls"] if part["selectivity"] == share), None)
    return NONE if recall is None else str(cell(recall))


def _path(part: Mapping[str, Any]) -> str:
    if part["indexed"] in (0, 1):
        return "the index" if part["indexed"] else "comparing all"
    return f"the index, {100 * part['indexed']:.0f} %"


def _cost(store: Mapping[str, Any], cell: Any) -> str:
    return NONE if not store["overhead"] else str(cell(store["overhead"]))


def _average(value: float | None) -> str:
    return "not told" if value is None else f"{value:.2f}"


def _verdict(stores: Sequence[Mapping[str, Any]]) -> str:
    """Return one sentence of facts; what they are worth is the reader's to say."""
    if not stores:
        return "No store could be measured."

    def most(store: Mapping[str, Any]) -> float:
        return max(float(load["qps"]) for load in store["loads"])

    best = max(stores, key=most)
    at = max(best["loads"], key=lambda load: load["qps"])
    threads = "1 thread" if at["threads"] == 1 else f"{at['threads']} threads"
    rank = "the most answers a second," if len(stores) > 1 else "at most"
    unit = "" if len(stores) > 1 else " answers a second"
    text = f"{best['name']} gave {rank} {figure(most(best))}{unit}, from {threads}"
    if best["recalls"]:
        worst = min(best["recalls"], key=lambda part: part["recall"])
        where = (
            "without a filter" if worst["selectivity"] == 1 else f"with a filter of {100 * worst['selectivity']:g} %"
        )
        low = f"its lowest recall was {100 * worst['recall']:.1f} %, {where}"
        text += f"; {low}" if worst["recall"] < 1 else "; it missed no answer"
    quick = min(stores, key=lambda store: store["loads"][0]["p95_ms"])
    if quick is not best:
        text += f". {quick['name']} answered one caller fastest: 95 % within {figure(quick['loads'][0]['p95_ms'])} ms"
    return text + "."


def text_table(value: Mapping[str, Any]) -> tuple[list[str], list[tuple[str, list[tuple[str, list[str]]]]]]:
    """Return names of the stores that could be measured, and the rows of every group as text."""
    shown = [name for name, store in zip(names(value), value["stores"], strict=True) if not store["error"]]
    return shown, [(title, rows) for title, rows in table(value) if rows]
