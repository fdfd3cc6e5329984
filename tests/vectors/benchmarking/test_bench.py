"""`dizuo vectors bench` on real stores: every figure can be checked, and nothing is left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from dizuo.cli import dizuo
from dizuo.errors import VectorError
from dizuo.events import Event, Note, ignore
from dizuo.vectors import Hits, Point, VectorStore, connect, export_parquet
from dizuo.vectors.benchmarking.bench import Benchmark, benchmark, read_measured
from dizuo.vectors.benchmarking.memory import disk_bytes
from dizuo.vectors.benchmarking.preparing import KEY, SPARE, Truth, prepare
from dizuo.vectors.benchmarking.searching import load, recall
from dizuo.vectors.scores import Metric, pairwise

pytest.importorskip("lancedb")
SMALL: dict[str, Any] = {"rows": 1000, "dim": 16, "queries": 20, "seconds": 0.2, "concurrency": (1, 3)}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Benchmark, Path, list[Event]]:
    folder = tmp_path_factory.mktemp("bench")
    events: list[Event] = []
    urls = ["memory://", f"lancedb://{folder}/index", "redis://me:hunter2@127.0.0.1:9"]
    return benchmark(urls, **SMALL, watch=events.append), folder, events


def test_every_store_is_measured_on_the_same_rows(found: tuple[Benchmark, Path, list[Event]]) -> None:
    done, _, _ = found
    assert (done.rows, done.dim, done.queries, done.metric) == (1000, 16, 20, "cosine")
    for store in done.stores[:2]:
        assert store.error is None
        assert [(one.threads, one.calls >= 20) for one in store.loads] == [(1, True), (3, True)]
        for one in store.loads:
            assert 0 < one.p50_ms <= one.p95_ms
            assert one.p99_ms is None or one.p99_ms >= one.p95_ms
            assert (one.p99_ms is None) == (one.calls < 100)
            assert one.qps == pytest.approx(one.calls / one.seconds)
        # Small enough to compare all vectors: what is not found was not right.
        assert [(one.selectivity, one.matching, one.recall, one.short, one.indexed) for one in store.recalls] == [
            (1.0, 1000, 1.0, 0, 0.0), (0.1, 100, 1.0, 0, 0.0), (0.01, 10, 1.0, 0, 0.0), (0.001, 1, 1.0, 0, 0.0),
        ]  # fmt: skip
        assert store.build is not None
        assert store.build.us_per_row == pytest.approx(1e6 * store.build.load_seconds / 1000)
        assert store.memory is not None
        assert 10e6 < store.memory.client_start <= store.memory.client_loading < 4e9
        assert store.memory.server_loading is None
        assert store.embedded


def test_size_and_overhead_are_there_where_they_can_be_had(found: tuple[Benchmark, Path, list[Event]]) -> None:
    memory, lance, _ = found[0].stores
    assert memory.disk is None
    assert memory.overhead is None
    assert lance.disk is not None
    assert lance.disk > 1000 * 16 * 4
    assert lance.overhead is not None
    assert lance.overhead.rows == 1000
    assert lance.overhead.upsert_ratio == pytest.approx(lance.overhead.ours_us_per_row / lance.overhead.raw_us_per_row)


def test_a_store_that_fails_is_named_and_the_others_are_measured(found: tuple[Benchmark, Path, list[Event]]) -> None:
    done, _, events = found
    assert done.stores[2].error is not None
    assert "127.0.0.1:9" in done.stores[2].error
    assert "hunter2" not in json.dumps(done.to_json()) + repr(events)
    assert Note("memory://: loading") in events


def test_nothing_is_left_behind(found: tuple[Benchmark, Path, list[Event]]) -> None:
    _, folder, _ = found
    assert [path.name for path in folder.iterdir()] in ([], ["index"])
    assert list(folder.rglob("*.lance")) == []


def test_a_benchmark_that_is_stopped_removes_its_collection(tmp_path: Path) -> None:
    seen: list[str] = []

    def stop(event: Event) -> None:
        if isinstance(event, Note) and "searching" in event.text:
            seen.extend(path.name for path in (tmp_path / "index").iterdir())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        benchmark([f"{tmp_path}/index"], **{**SMALL, "seconds": 60}, watch=stop)
    assert any("bench" in name for name in seen)
    left = [path.name for path in (tmp_path / "index").iterdir() if "bench" in path.name]
    assert all(name.endswith(".lock") for name in left)  # LanceDB's, empty; nothing else


def test_a_result_comes_back_from_its_json(found: tuple[Benchmark, Path, list[Event]]) -> None:
    done = found[0]
    value = json.loads(json.dumps(done.to_json()))
    assert tuple(read_measured(one) for one in value["stores"]) == done.stores


class LossyStoreFake:
    """A real store whose answers lose the best hit, as an index with bad settings would."""

    def __init__(self, store: VectorStore) -> None:
        self.store = store

    def search(self, *arguments: Any, **more: Any) -> Hits:
        hits = self.store.search(*arguments, **more)
        return Hits(hits[1:], path="index")


def test_lost_answers_are_seen() -> None:
    store = connect("memory://", dim=2, collection="bench-lossy")
    store.upsert([Point(f"{n}", [1.0, n], {KEY: n}) for n in range(20)])
    queries = np.asarray([[1.0, 0.0], [1.0, 19.0]], np.float32)
    near = [[f"{n}" for n in range(5)], [f"{n}" for n in range(15, 20)]]
    open_ends: list[float | None] = [None, None]
    truths = [
        Truth(1000, 20, near, open_ends, 5),
        Truth(10, 10, [near[0], ["9", "8", "7", "6", "5"]], open_ends, 5),
        Truth(1, 0, [[], []], open_ends, 0),
    ]
    right, filtered = recall(store, queries, truths, k=5)
    assert (right.recall, right.short, right.indexed) == (1.0, 0, 0.0)
    assert (filtered.recall, filtered.selectivity, filtered.matching) == (1.0, 0.01, 10)
    wrong, _ = recall(LossyStoreFake(store), queries, truths, k=5)  # type: ignore[arg-type]
    assert (wrong.recall, wrong.short, wrong.indexed) == (pytest.approx(0.8), 2, 1.0)
    store.drop()


def test_a_thread_that_fails_ends_the_load() -> None:
    store = connect("memory://", dim=2, collection="bench-failing")
    with pytest.raises(VectorError, match="a query has 2 numbers"):
        load(store, np.zeros((3, 3), np.float32), k=1, threads=4, seconds=30, warm_up=False)
    store.drop()


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_exact_answers_are_those_of_the_oracle(metric: Metric, tmp_path: Path) -> None:
    import pyarrow as pa

    ready = prepare(
        tmp_path, data=None, collection="", rows=3000, dim=8, metric=metric, k=7, queries=5, watch=ignore
    )  # fmt: skip
    assert (ready.rows, ready.queries, ready.repeated) == (3000, 5, 0)
    rows = pa.ipc.open_stream(str(tmp_path / "rows.arrow")).read_all()
    assert rows.num_rows == 3000
    ids = rows.column("id").to_pylist()
    assert len(set(ids)) == 3000
    vectors = rows.column("vector").combine_chunks().flatten().to_numpy().reshape(-1, 8)
    queries = np.load(tmp_path / "queries.npy")
    held = {vector.tobytes() for vector in vectors}
    assert not [query for query in queries if query.tobytes() in held]  # what is asked for was not loaded
    tags = np.array([json.loads(text)[KEY] for text in rows.column("metadata").to_pylist()])
    for one in json.loads((tmp_path / "truth.json").read_text()):
        mine = np.flatnonzero(tags < one["share"])
        assert (len(mine), one["expected"]) == (3 * one["share"], min(7, 3 * one["share"]))
        for query, near in zip(queries, one["near"], strict=True):
            scores = pairwise(query, vectors[mine], metric)
            best = [ids[mine[place]] for place in np.argsort(-scores)[: one["expected"]]]
            assert set(best) <= set(near)
            assert len(near) <= one["expected"] + SPARE


def test_answers_that_tie_with_the_last_count_as_right(tmp_path: Path) -> None:
    store = connect("memory://", dim=2, collection="bench-ties")
    store.upsert([Point(f"{n}", [1.0, 0.0] if n < 40 else [0.0, 1.0]) for n in range(50)])
    export_parquet(store, tmp_path / "out")
    prepare(
        tmp_path, data=str(tmp_path / "out"), collection="", rows=None, dim=0, metric=None, k=3, queries=2, watch=ignore
    )  # fmt: skip
    whole = Truth(**json.loads((tmp_path / "truth.json").read_text())[0])
    assert all(len(near) > 3 for near in whole.near)
    # More rows tie than are listed, so these are told by their score; the store takes the smallest ids of them.
    queries = np.load(tmp_path / "queries.npy")
    found = [one for one in zip(queries, whole.near, whole.edges, strict=True) if one[2] is not None]
    for query, near, edge in found:
        (only,) = recall(store, query[None], [Truth(1000, 48, [near[3:4]], [edge], 3)], k=3)
        assert only.recall == 1.0
    assert found
    store.drop()


def test_data_comes_from_files_exports_and_stores(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    vectors = np.random.default_rng(0).standard_normal((60, 4)).astype(np.float32)
    with connect(f"{tmp_path}/source", dim=4, metric="l2", collection="mine") as store:
        store.upsert([Point(f"r{n}", vector, {"n": n}, f"text {n}") for n, vector in enumerate(vectors)])
        export_parquet(store, tmp_path / "exported")
    table = pa.table({"id": [f"r{n % 50}" for n in range(60)], "emb": vectors.tolist(), "title": ["x"] * 60})
    pq.write_table(table, tmp_path / "dump.parquet")
    sources = {"source": (54, "l2"), "exported": (54, "l2"), "dump.parquet": (None, "cosine")}
    for name, (rows, metric) in sources.items():
        folder = tmp_path / f"ready-{name}"
        folder.mkdir()
        ready = prepare(
            folder, data=f"{tmp_path}/{name}", collection="mine", rows=None, dim=0, metric=None, k=3, queries=200,
            watch=ignore,
        )  # fmt: skip
        assert (ready.dim, ready.queries, ready.metric) == (4, 6, metric)
        assert ready.rows == rows or (rows is None and ready.rows + ready.repeated == 54 and ready.repeated > 0)
        first = pa.ipc.open_stream(str(folder / "rows.arrow")).read_all().slice(0, 1).to_pylist()[0]
        metadata = json.loads(first["metadata"])
        assert metadata.pop(KEY) == 0
        assert metadata == ({"title": "x"} if name == "dump.parquet" else {"n": int(first["id"][1:])})
    few = tmp_path / "few"
    few.mkdir()
    with pytest.raises(VectorError, match="there is no collection 'nothing'"):
        prepare(few, data=f"{tmp_path}/source", collection="nothing", rows=None, dim=0, metric=None, k=3, queries=9,
                watch=ignore)  # fmt: skip
    limited = prepare(
        few, data=f"{tmp_path}/source", collection="mine", rows=30, dim=0, metric="dot", k=3, queries=4, watch=ignore
    )  # fmt: skip
    assert (limited.rows, limited.queries, limited.metric) == (30, 4, "dot")


def test_settings_that_make_no_sense_are_named_all_at_once() -> None:
    with pytest.raises(VectorError) as caught:
        benchmark(["nowhere://x"], k=0, queries=0, rows=3, dim=0, concurrency=[0], seconds=0)
    assert [line.partition(":")[0] for line in caught.value.details] == [
        "nowhere", "k", "queries", "rows", "dim", "concurrency", "seconds",
    ]  # fmt: skip


def test_the_size_of_a_folder_counts_what_lies_beside_it_under_its_name(tmp_path: Path) -> None:
    for name, count in {"a/x": 10, "a-lexical/y": 5, "a.words": 3, "ab": 100, "c": 1000}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * count)
    assert disk_bytes(f"{tmp_path}/a") == 18
    assert disk_bytes(f"{tmp_path}/nothing") == disk_bytes("") == 0


# ---- the command


def run(*arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(dizuo, ["vectors", "bench", *arguments], prog_name="dizuo")
    assert result.exit_code == status, result.output
    return result


SHORT = ["--rows", "300", "--dim", "8", "--queries", "10", "--seconds", "0.1", "--concurrency", "1,2"]


def test_the_command_prints_a_table_and_writes_page_and_figures(tmp_path: Path) -> None:
    out = tmp_path / "out"
    shown = run(f"{tmp_path}/index", "memory://", *SHORT, "--out", str(out)).stdout
    lines = shown.splitlines()
    assert lines[0].startswith("300 rows of 8 numbers, cosine, 10 queries; generated: ")
    assert next(line.split() for line in lines if "lancedb" in line) == ["lancedb", "memory"]
    assert any(line.split()[:4] == ["recall@10,", "all", "rows", "100.0"] for line in lines)
    assert "load of the machine before" in shown
    value = json.loads((out / "bench.json").read_text())
    assert [store["error"] for store in value["stores"]] == [None, None]
    page = (out / "bench.html").read_text()
    assert page.count("<svg") >= 2
    assert "http-equiv" in page
    assert "<script" not in page


def test_json_goes_to_stdout_alone_and_a_failed_store_is_a_failure(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    done = run("redis://127.0.0.1:9", "memory://", *SHORT, "--json", "--no-raw", "--out", out, status=1)
    value = json.loads(done.stdout)
    assert [bool(store["error"]) for store in value["stores"]] == [True, False]
    shown = run("redis://127.0.0.1:9", *SHORT, "--out", out, status=1).stdout
    assert "redis://127.0.0.1:9 could not be measured: " in shown
    assert "No store could be measured." in (tmp_path / "out" / "bench.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 2, "Missing argument 'URL…'"),
        (["memory://", "--concurrency", "1;2"], 2, "write numbers of threads, as in 1,4,16"),
        (["memory://", "--data", "nothing.parquet"], 1, "error: there is no collection 'default'"),
        (["memory://", "--rows", "3"], 1, "rows: 3 is less than 20"),
        (["memry://"], 1, "no store is called 'memry'"),
    ],
)
def test_what_cannot_be_measured_says_why(
    arguments: list[str], status: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in run(*arguments, status=status).stderr


@pytest.mark.slow
def test_a_local_servers_memory_and_size_are_measured(engine_postgresql: Any) -> None:
    done = benchmark([engine_postgresql.url], **{**SMALL, "rows": 3000}, force_index=True).stores[0]
    assert done.error is None
    assert not done.embedded
    assert done.memory is not None
    assert 5e6 < (done.memory.server_loading or 0) < 4e9
    assert 5e6 < (done.memory.server_searching or 0) < 4e9
    assert (done.disk or 0) > 3000 * 16 * 4
    assert (done.index, done.indexed_rows) == ("hnsw", 3000)
    assert done.overhead is not None
    import psycopg

    with psycopg.connect(engine_postgresql.url) as connection:
        left = connection.execute("SELECT tablename FROM pg_tables WHERE tablename LIKE '%bench%'").fetchall()
    assert left == []
