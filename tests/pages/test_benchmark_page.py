"""The page of a benchmark of vector stores: safe with hostile names, whole where figures are missing."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from test_pages import EVIL, parsed

from dizuo import pages

STORE: dict[str, Any] = {
    "url": "lancedb://./index", "error": None, "engine": "LanceDB 0.40.0", "index": "ivf_hnsw_sq",
    "indexed_rows": 20000, "embedded": True, "several_threads": True,
    "build": {"load_seconds": 0.4, "optimize_seconds": 2.0, "us_per_row": 20.0, "rows_per_second": 50000.0},
    "disk": 40_000_000,
    "memory": {"client_start": 150_000_000, "client_loading": 400_000_000, "client_searching": 300_000_000,
               "server_loading": None, "server_searching": None},
    "loads": [
        {"threads": 1, "calls": 600, "seconds": 3.0, "qps": 200.0, "p50_ms": 4.5, "p95_ms": 6.0, "p99_ms": 8.0},
        {"threads": 4, "calls": 60, "seconds": 3.0, "qps": 20.0, "p50_ms": 40.5, "p95_ms": 60.0, "p99_ms": None},
    ],
    "recalls": [
        {"selectivity": 1.0, "matching": 20000, "recall": 0.987, "short": 0, "p50_ms": 4.0, "indexed": 1.0},
        {"selectivity": 0.001, "matching": 20, "recall": 1.0, "short": 0, "p50_ms": 3.0, "indexed": 0.25},
    ],
    "exact_p50_ms": 7.0, "overhead": None, "notes": [],
}  # fmt: skip
OTHER: dict[str, Any] = {
    **STORE, "url": "postgresql://localhost/db", "engine": "PostgreSQL 18.6", "embedded": False,
    "several_threads": False, "disk": None,
    "memory": {**STORE["memory"], "server_loading": 90_000_000, "server_searching": 80_000_000},
    "recalls": [{**STORE["recalls"][0], "recall": 0.8, "short": 3}],
    "overhead": {"rows": 20000, "raw_us_per_row": 10.0, "ours_us_per_row": 10.8, "upsert_ratio": 1.08,
                 "raw_search_ms": 1.0, "ours_search_ms": 0.9, "search_overhead_ms": -0.1},
    "loads": [{**one, "p95_ms": one["p95_ms"] / 2} for one in STORE["loads"]],
}  # fmt: skip
VALUE: dict[str, Any] = {
    "when": "2026-11-24T12:00:00+00:00", "dizuo": "0.1.0",
    "machine": {"processor": "A processor", "cores": 2, "memory": 24_000_000_000, "system": "Linux", "python": "3.11",
                "load_before": 0.1, "load_after": None},
    "data": "exported", "rows": 20000, "dim": 384, "metric": "cosine", "bytes": 32_000_000, "queries": 200, "k": 10,
    "seconds": 3.0, "concurrency": [1, 4], "force_index": False, "stores": [STORE, OTHER], "notes": ["Busy machine."],
}  # fmt: skip


def test_every_figure_of_every_store_is_in_the_table() -> None:
    names, groups = pages.benchmark_table(VALUE)
    rows = {name: cells for _, inner in groups for name, cells in inner}
    assert names == ["lancedb", "postgresql"]
    assert all(len(cells) == 2 for cells in rows.values())
    assert rows["build, s"] == ["2.40", "2.40"]
    assert rows["size on disk"] == ["40 MB", "–"]
    assert rows["memory of the server, loading"] == ["in the client", "90 MB"]
    assert rows["1 thread: p95, ms"] == ["6.00", "3.00"]
    assert rows["4 threads: p99, ms"] == ["–", "–"]
    assert rows["recall@10, all rows"] == ["98.7 %", "80.0 %"]
    assert rows["recall@10, a filter of 0.1 %"] == ["100.0 %", "–"]
    assert rows["  queries with too few answers"] == ["0", "3"]
    assert rows["  ratio"] == ["–", "1.08"]
    assert rows["  difference"] == ["–", "−0.10"]


def test_the_page_says_what_was_measured_and_how() -> None:
    text = " ".join(parsed(pages.benchmark(VALUE)).text)
    assert "lancedb gave the most answers a second, 200, from 1 thread" in text
    assert "its lowest recall was 98.7 %, without a filter" in text
    assert "postgresql answered one caller fastest: 95 % within 3.00 ms" in text
    for part in ("Busy machine.", "every query was asked once and not counted", "postgresql: its client takes one call",
                 "load before", "not told", "A processor, 2 cores", "The raw client is the shortest code"):  # fmt: skip
        assert part in text
    assert "The raw client" not in pages.benchmark({**VALUE, "stores": [STORE]})


def test_hostile_names_stay_text() -> None:
    value = copy.deepcopy(VALUE)
    value["data"] = value["notes"][0] = value["machine"]["processor"] = EVIL
    value["stores"][0].update(url=f"lancedb://{EVIL}", engine=EVIL, index=EVIL, notes=[EVIL])
    value["stores"].append({**STORE, "url": f"x{EVIL}", "error": EVIL})
    page = pages.benchmark(value)
    found = parsed(page)
    assert not {tag for tag, _ in found.tags} & {"script", "img", "link"}
    assert not [attributes for _, attributes in found.tags if any(name.startswith("on") for name in attributes)]
    assert "<script" not in page
    assert EVIL in "".join(found.text)


@pytest.mark.parametrize("num", [0, 1, 12])
def test_any_number_of_stores_is_drawn(num: int) -> None:
    stores = [{**STORE, "loads": STORE["loads"][:1], "recalls": STORE["recalls"][:1]} for _ in range(num)]
    failed = {**STORE, "url": "redis://x", "error": "no server answers"}
    page = pages.benchmark({**VALUE, "stores": [*stores, failed], "concurrency": [1]})
    parsed(page)
    assert page.count("<svg") >= 2 * (num > 0)
    assert "redis could not be measured: no server answers" in page
    assert len(set(pages.benchmark_table({**VALUE, "stores": stores, "concurrency": [1]})[0])) == num
