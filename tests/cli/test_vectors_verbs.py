"""`dizuo vectors …` from the shell: on a LanceDB folder, as people start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dizuo.cli import dizuo
from dizuo.vectors import Point, connect

pytest.importorskip("lancedb")


def run(*arguments: str, status: int = 0, **more: Any) -> Result:
    result = CliRunner().invoke(dizuo, ["vectors", *arguments], prog_name="dizuo", **more)
    assert result.exit_code == status, result.output
    return result


@pytest.fixture
def folder(tmp_path: Path) -> str:
    store = connect(f"{tmp_path}/index", dim=2)
    texts = ["数据库检索", "a database of vectors", "nothing to see", None]
    langs = ["zh", "en", "en", "en"]
    store.upsert([Point(f"p{n}", [1, n], {"lang": langs[n], "n": n}, texts[n]) for n in range(4)])
    store.namespace("other").upsert(Point("x", [1, 1]))
    store.close()
    return f"{tmp_path}/index"


def test_info_says_what_the_store_is(folder: str) -> None:
    text = run("info", folder).stdout
    assert "LanceDB 0." in text
    assert "2 numbers, cosine" in text
    assert "none: all are compared" in text
    assert "other" in text
    facts = json.loads(run("info", folder, "--json").stdout)
    assert (facts["dim"], facts["count"], facts["namespaces"]) == (2, 4, {"": 4, "other": 1})
    assert facts["capabilities"]["lexical"] == "side-car"
    assert (facts["capabilities"]["words"], facts["capabilities"]["words_cover"]) == ("exact", "namespace")


def test_search_by_words_vector_and_likeness(folder: str) -> None:
    assert "p0" in run("search", folder, "检索").stdout
    found = json.loads(run("search", folder, "--vector", "[1, 0]", "-k", "2", "--json").stdout)
    assert [hit["id"] for hit in found["hits"]] == ["p0", "p1"]
    assert found["hits"][0]["metadata"] == {"lang": "zh", "n": 0}
    found = json.loads(run("search", folder, "--like", "p3", "-k", "1", "--where", "n < 3", "--json").stdout)
    assert [hit["id"] for hit in found["hits"]] == ["p2"]
    assert run("search", folder, "absent").stdout == "nothing matches\n"
    found = json.loads(run("search", folder, "--like", "x", "--namespace", "other", "--json").stdout)
    assert [hit["id"] for hit in found["hits"]] == ["x"]


def test_a_store_is_copied_exported_and_imported(folder: str, tmp_path: Path) -> None:
    assert "5 records are in" in run("copy", folder, f"{tmp_path}/two").stdout
    assert json.loads(run("copy", folder, f"{tmp_path}/two", "--json").stdout)["sent"] == 0
    assert "5 records in 1 files" in run("export", f"{tmp_path}/two", f"{tmp_path}/out").stdout
    assert "5 records are in" in run("import", f"{tmp_path}/three", f"{tmp_path}/out").stdout
    facts = json.loads(run("info", f"{tmp_path}/three", "--json").stdout)
    assert facts["namespaces"] == {"": 4, "other": 1}
    part = next((tmp_path / "out").glob("*.parquet"))
    columns = "vector=vector,id=id,document=document,metadata=metadata"
    run("import", f"{tmp_path}/four", str(part), "--columns", columns, "--metric", "l2")
    assert json.loads(run("info", f"{tmp_path}/four", "--json").stdout)["metric"] == "l2"


def test_records_are_deleted_and_the_rest_is_asked_about(folder: str) -> None:
    assert run("delete", folder, "p0", "nobody").stdout == "1 records deleted\n"
    assert json.loads(run("delete", folder, "--where", "n >= 2", "--json").stdout) == {"deleted": 2}
    asked = run("delete", folder, "--everything", status=130, input="n\n")
    assert "Delete all of namespace '', 1 records?" in asked.stderr
    assert run("delete", folder, "--everything", "--yes").stdout == "1 records deleted\n"
    assert run("delete", folder, "--drop", input="y\n").stdout.endswith("1 records deleted\n")
    assert "there is no collection 'default'" in run("info", folder, status=1).stderr


def test_a_store_is_optimized(folder: str) -> None:
    assert run("optimize", folder).stdout == "compacted; no index: all vectors are compared\n"
    assert "ivf_hnsw_sq over 5 rows" in run("optimize", folder, "--force-index").stdout


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["info", "nowhere://x"], 1, "error: no store is called 'nowhere'"),
        (["info", "{}", "--collection", "nope"], 1, "error: there is no collection 'nope'"),
        (["search", "{}"], 2, "give one of TEXT, --vector and --like"),
        (["search", "{}", "text", "--like", "p0"], 2, "give one of TEXT, --vector and --like, not TEXT and --like"),
        (["search", "{}", "--vector", "[1"], 2, "--vector is no JSON list of numbers"),
        (["search", "{}", "--vector", "[1, 2, 3]"], 1, "error: a query has 2 numbers in this collection"),
        (["search", "{}", "--like", "nobody"], 1, "error: there is no record 'nobody'"),
        (["search", "{}", "text", "--where", "lang ="], 1, "error: the filter cannot be read: a value is missing"),
        (["delete", "{}"], 2, "give IDs, --where, --everything or --drop"),
        (["delete", "{}", "a", "--drop"], 2, "give IDs, --where, --everything or --drop"),
        (["import", "{}", "nothing.parquet"], 1, "error: nothing.parquet is no Parquet file"),
        (["import", "{}", "x", "--columns", "vectors=a"], 2, "write vector=NAME"),
        (["copy", "memory://", "{}"], 1, "error: there is no collection 'default'"),
        (["copyy", "a", "b"], 2, "no command is called 'copyy' (did you mean 'copy'?)"),
    ],
)
def test_what_cannot_be_done_says_why(arguments: list[str], status: int, message: str, folder: str) -> None:
    assert message in run(*(argument.replace("{}", folder) for argument in arguments), status=status).stderr
