"""Imports count and name what is no record, and what comes twice; the records that they say are in, are in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from dizuo.cli import dizuo
from dizuo.errors import VectorError
from dizuo.events import Event, Finished, Warned
from dizuo.vectors import Point, VectorStore, connect, export_parquet, import_parquet
from dizuo.vectors.moving import dumps
from dizuo.vectors.moving.parts import BadRow
from dizuo.vectors.moving.repeats import find_repeats

NAN, INF = float("nan"), float("inf")
GOOD = {"id": "good", "vector": [1.0, 2.0], "metadata": '{"n": 1}', "document": "text"}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "nan": ({"vector": [1.0, NAN]}, "the vector has NaN at place 1"),
    "infinite": ({"vector": [-INF, 1.0]}, "the vector is infinite at place 0"),
    "too large for float32": ({"vector": [1e39, 1.0]}, "the vector is infinite at place 0"),
    "zero": ({"vector": [0.0, 0.0]}, "the vector is zero"),
    "a number is missing": ({"vector": [None, 1.0]}, "the vector has NaN at place 0"),
    "short": ({"vector": [1.0]}, "the vector has 1 numbers, not 2"),
    "long": ({"vector": [1.0, 2.0, 3.0]}, "the vector has 3 numbers, not 2"),
    "no vector": ({"vector": None}, "the vector is missing"),
    "no numbers": ({"vector": []}, "the vector has 0 numbers, not 2"),
    "no id": ({"id": None}, "the id is missing"),
    "empty id": ({"id": ""}, "the id is empty"),
    "long id": ({"id": "x" * 513}, "the id has 513 bytes"),
    "nul in the id": ({"id": "a\0b"}, "the id has a NUL character"),
    "metadata is no json": ({"metadata": "{no}"}, "the metadata is not JSON"),
    "metadata is a list": ({"metadata": "[1]"}, "the metadata is a list, not a mapping"),
    "metadata is nan": ({"metadata": '{"deep": [{"x": 36893488147419103232}]}'}, "does not fit in 64 bits"),
}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    text = pa.string()
    schema = pa.schema({"id": text, "vector": pa.list_(pa.float64()), "metadata": text, "document": text})
    pq.write_table(pa.Table.from_pylist([{**GOOD, **row} for row in rows], schema), path)
    return path


def warned(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Warned)]


@pytest.mark.parametrize("kind", BAD)
def test_a_row_that_is_no_record_is_named_with_its_place(kind: str, tmp_path: Path) -> None:
    row, reason = BAD[kind]
    file = write(tmp_path / "rows.parquet", [{"id": "first"}, {"id": "bad", **row}, {"id": "last"}])
    store = connect("memory://", dim=2)
    with pytest.raises(VectorError, match="1 row is no record of this store") as caught:
        import_parquet(store, file)
    (named, held) = caught.value.details
    assert f"{file}, row 2" in named
    assert reason in named
    assert held == "0 records of this call are in the store"
    assert store.count() == 0
    events: list[Event] = []
    done = import_parquet(store, file, errors="collect", watch=events.append)
    assert (done.rows, done.records, done.sent, done.left_out, done.repeated) == (3, 2, 2, 1, 0)
    assert done.faults == (named,)
    assert warned(events) == [f"1 row was left out\n  {named}"]
    assert sorted(point.id for point in store.points()) == ["first", "last"]


def test_rows_of_one_id_are_one_record_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dumps, "ROWS", 2)  # so that they come in one batch, in two, and in two files
    one = write(tmp_path / "1.parquet", [{"id": "a", "document": "1"}, {"id": "a", "document": "2"}, {"id": "b"},
                                         {"id": "a", "document": "3"}])  # fmt: skip
    two = write(tmp_path / "2.parquet", [{"id": "c"}, {"id": "a", "document": "4"}])
    store = connect("memory://", dim=2)
    events: list[Event] = []
    done = import_parquet(store, tmp_path, watch=events.append)
    assert (done.rows, done.records, done.sent, done.repeated, done.left_out) == (6, 3, 3, 3, 0)
    assert store.count() == 3
    assert store.fetch("a")[0].document == "4"
    assert warned(events) == [
        "3 rows have an id that comes again later\n"
        f"  {one}, row 1 ('a'): {two}, row 2 has the same id, and counts\n"
        f"  {one}, row 2 ('a'): {two}, row 2 has the same id, and counts\n"
        f"  {one}, row 4 ('a'): {two}, row 2 has the same id, and counts"
    ]
    (over,) = (event for event in events if isinstance(event, Finished))
    assert over.summary == "3 records of 6 rows are in, 3 of them sent; all verified"
    assert import_parquet(store, tmp_path).sent == 0
    assert import_parquet(store, [one, two, one]).rows == 6  # a file that is named twice is read once


def test_the_last_row_of_an_id_counts_also_where_it_is_no_record(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.parquet", [{"id": "a"}, {"id": "b"}, {"id": "a", "vector": [NAN, 1.0]}])
    store = connect("memory://", dim=2)
    done = import_parquet(store, file, errors="collect")
    assert (done.rows, done.records, done.repeated, done.left_out) == (3, 1, 1, 1)
    assert [point.id for point in store.points()] == ["b"]


def test_many_bad_rows_are_counted_and_the_first_are_named(tmp_path: Path) -> None:
    rows = [{"id": f"p{n}", "vector": [1.0, NAN if n % 2 else 1.0]} for n in range(60)]
    file = write(tmp_path / "rows.parquet", rows)
    store = connect("memory://", dim=2)
    with pytest.raises(VectorError, match="30 rows are no record") as caught:
        import_parquet(store, file)
    assert len(caught.value.details) == 12
    assert caught.value.details[10] == "… and 20 more"
    done = import_parquet(store, file, errors="collect")
    assert (done.records, done.left_out, len(done.faults)) == (30, 30, 11)
    assert store.count() == 30


def test_a_zero_vector_is_a_record_where_the_metric_has_no_need_of_a_direction(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.parquet", [{"vector": [0.0, 0.0]}])
    assert import_parquet(connect("memory://", dim=2, metric="l2"), file).records == 1


def test_namespaces_of_an_export_that_go_into_one_are_counted_as_what_is_left(tmp_path: Path) -> None:
    source = connect("memory://", dim=2)
    for space in ("a", "b", "c"):
        source.namespace(space).upsert([Point(str(n), [1, n], {"from": space}) for n in range(4)])
    export_parquet(source, tmp_path, rows_per_file=5)
    apart, together = connect("memory://", dim=2), connect("memory://", dim=2)
    done = import_parquet(apart, tmp_path)
    assert (done.rows, done.records, done.repeated) == (12, 12, 0)
    done = import_parquet(together, tmp_path, everywhere=False)
    assert (done.rows, done.records, done.repeated) == (12, 4, 8)
    assert together.count() == 4
    assert {point.metadata["from"] for point in together.points()} == {"c"}


def test_the_dimension_is_that_of_most_rows_and_not_of_a_bad_first(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.parquet", [{"vector": None}, {"vector": [1.0]}, {"id": "b"}, {"id": "c"}])
    assert dumps.read_dump_dim(file) == 2


def test_equal_hashes_of_different_ids_are_no_repeats() -> None:
    class Same(str):
        __slots__ = ()
        __hash__ = lambda self: 7  # type: ignore[assignment]  # noqa: E731

    keys = [("", Same("a")), ("", Same("b")), ("", Same("a"))]
    assert hash(keys[0]) == hash(keys[1])
    found = find_repeats(lambda: iter([keys]))
    assert (found.rows, found.superseded) == (3, {0: 2})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "rows.parquet", [{"id": "a"}, {"id": "b", "vector": [NAN, 1.0]}, {"id": "a"}])


def held(tmp_path: Path) -> VectorStore:
    pytest.importorskip("lancedb")
    return connect(f"{tmp_path}/store")


def test_the_command_stops_at_a_bad_row_and_names_it(file: Path, tmp_path: Path) -> None:
    pytest.importorskip("lancedb")
    run = CliRunner().invoke(dizuo, ["vectors", "import", f"{tmp_path}/store", str(file)])
    assert run.exit_code == 1
    assert f"{file}, row 2 ('b'): the vector has NaN at place 0" in run.stderr


def test_the_command_says_how_many_records_are_in(file: Path, tmp_path: Path) -> None:
    pytest.importorskip("lancedb")
    run = CliRunner().invoke(dizuo, ["vectors", "import", f"{tmp_path}/store", str(file), "--skip-bad"])
    assert run.exit_code == 0, run.output
    assert " ".join(run.stdout.split()) == (
        f"1 record is in lancedb://{tmp_path}/store, 1 of them new or changed; 3 rows were read, 1 with an id that "
        "comes again later, 1 left out"
    )
    assert held(tmp_path).count() == 1
    run = CliRunner().invoke(dizuo, ["vectors", "import", f"{tmp_path}/store", str(file), "--skip-bad", "--json"])
    told = json.loads(run.stdout)
    assert (told["rows"], told["records"], told["sent"], told["repeated"], told["left_out"]) == (3, 1, 0, 1, 1)
    assert "row 2 ('b'): the vector has NaN" in told["faults"][0]


def test_a_bad_row_reads_as_people_write_it() -> None:
    assert str(BadRow("a.parquet", 1234, None, "no")) == "a.parquet, row 1,234: no"
