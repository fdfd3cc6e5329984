"""Every verb of `dizuo vectors` on a collection, a knowledge base, a folder that is not there, and an empty one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import test_vectors_sync
from test_vectors_sync import run

from dizuo.cli.vectors import COMMANDS
from dizuo.vectors import Point, connect

model = test_vectors_sync.model  # a fixture
PLACES = ("collection", "knowledge base", "missing", "empty")
NONE = "error: there is no collection 'default'"
NO_BASE = "there is no knowledge base 'knowledge'"
NOTHING = {"missing": NONE, "empty": NONE}
NAMED = "the knowledge base 'knowledge' is in"
TABLE: dict[str, tuple[list[str], dict[str, str]]] = {
    "info": (["info", "AT"], {"collection": "vectors", "knowledge base": "documents", **NOTHING}),
    "search": (
        ["search", "AT", "leave"],
        {"collection": "p0", "knowledge base": "a.md, Leave, characters", **NOTHING},
    ),
    "export": (["export", "AT", "OUT"], {"collection": "2 records", "knowledge base": NAMED, **NOTHING}),
    "copy": (["copy", "AT", "TO"], {"collection": "2 records", "knowledge base": NAMED, **NOTHING}),
    "optimize": (
        ["optimize", "AT"], {"collection": "compacted", "knowledge base": "compacted", **NOTHING},
    ),
    "delete": (
        ["delete", "AT", "--drop", "--yes"],
        {"collection": "2 records", "knowledge base": "1 documents", **NOTHING},
    ),
    "change-embedder": (
        ["change-embedder", "AT", "universal-sentence-encoder"],
        {"collection": NO_BASE, "knowledge base": "is embedded with fast-univ", "missing": NO_BASE, "empty": NO_BASE},
    ),
    "sync": (["sync", "AT", "DOCS", "--embedder", "MODEL"], dict.fromkeys(PLACES, "1 documents") | {
        "collection": "1 added", "knowledge base": "1 unchanged", "missing": "1 added", "empty": "1 added"}),
    "import": (["import", "AT", "EXPORT"], dict.fromkeys(PLACES, "2 records are in")),
}  # fmt: skip
"""By verb its arguments, and what it says in each place; what it says as an error begins with `there is no`."""


def make(place: str, url: str, docs: Path, embedder: str) -> None:
    folder = Path(url.partition("://")[2])
    if place == "collection":
        with connect(url, dim=2) as store:
            store.upsert([Point(f"p{n}", [1, n], document=("leave", "pay")[n]) for n in range(2)])
    elif place == "knowledge base":
        run("sync", url, str(docs), "--embedder", embedder)
    elif place == "empty":
        folder.mkdir()


def test_every_verb_is_in_the_table() -> None:
    assert {*TABLE} == {*COMMANDS} - {"bench"}, "bench makes collections of its own"


@pytest.mark.parametrize("engine", ["sqlite", "lancedb"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("verb", TABLE)
def test_a_verb_does_what_it_says_or_says_what_is_not_there(
    verb: str,
    place: str,
    engine: str,
    model: str,
    tmp_path: Path,
) -> None:
    arguments, said = TABLE[verb]
    url, docs = f"{engine}://{tmp_path}/at", tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("# Leave\n\nThirty days of leave.\n")
    make(place, url, docs, model)
    if verb == "import":
        with connect("memory://export", dim=2) as store:
            store.upsert([Point("x", [1, 0]), Point("y", [0, 1])])
        from dizuo.vectors import export_parquet

        export_parquet(store, tmp_path / "export")
    words = {"AT": url, "DOCS": str(docs), "MODEL": model, "OUT": str(tmp_path / "out"),
             "TO": f"{engine}://{tmp_path}/to", "EXPORT": str(tmp_path / "export")}  # fmt: skip
    refused = "there is no" in said[place]
    result = run(*(words.get(word, word) for word in arguments), status=int(refused))
    assert said[place] in (result.stderr if refused else result.stdout)
    if refused and place in ("missing", "empty"):
        left = sorted((tmp_path / "at").iterdir()) if place == "empty" else (tmp_path / "at").exists()
        assert not left, "what only looks makes nothing"
    assert not (tmp_path / "to").exists() or not refused


@pytest.mark.parametrize("way", ["copy", "copy --collection knowledge.g1", "export and import"])
def test_a_knowledge_base_that_was_moved_is_searched_with_its_own_embedder(
    way: str, model: str, tmp_path: Path
) -> None:
    url, other, docs = f"sqlite://{tmp_path}/at", f"sqlite://{tmp_path}/to", tmp_path / "docs"
    docs.mkdir()
    for name, text in (("a.md", "days of leave"), ("b.md", "cats sleep")):
        (docs / name).write_text(text)
    run("sync", url, str(docs), "--embedder", model)
    if way.startswith("copy"):
        again = [run(*way.split()[:1], url, other, *way.split()[1:]).stdout for _ in range(2)]
        assert again[0] == again[1]
    else:
        run("export", url, str(tmp_path / "out"))
        run("import", other, str(tmp_path / "out"))
    before, after = (json.loads(run("search", place, "cats", "--json").stdout) for place in (url, other))
    assert before == after
    assert after["hits"][0]["citation"] == "b.md, characters 0–10"
    (docs / "b.md").write_text("cats sleep long")
    assert run("sync", other, str(docs)).stdout.startswith("0 added, 1 changed, 0 deleted, 1 unchanged")
    refused = run("sync", other, str(docs), "--embedder", "universal-sentence-encoder", status=1)
    assert "was embedded with" in refused.stderr


def test_chunks_without_the_record_of_their_embedder_are_no_knowledge_base(model: str, tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/at"
    with connect(url, dim=16, collection="knowledge.g1") as chunks:
        chunks.upsert(Point("x", [1.0] * 16))
    (tmp_path / "a.md").write_text("cats")
    refused = run("sync", url, str(tmp_path / "a.md"), "--embedder", model, status=1)
    assert (
        "1 chunks of a knowledge base 'knowledge' are there, and nothing says which embedder made them"
        in refused.stderr
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["docs", "sqlite://AT/new"], "1 added"),
        (["docs", "AT/new"], "1 added"),
        (["AT/new", "docs"], "1 added"),
        (["docs", "AT/kept"], "1 unchanged"),
        (["docs", "AT/empty"], "1 added"),
        (["AT/kept", "docs"], "1 unchanged"),
        (["nothing", "sqlite://AT/new"], "nothing does not exist"),
        (["AT/new", "nothing"], "nothing does not exist"),
        (["docs", "nowhere://x"], "no store is called 'nowhere'"),
    ],
)
def test_sync_takes_its_two_places_in_either_order_and_looks_before_it_fetches(
    arguments: list[str],
    said: str,
    model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("cats")
    (tmp_path / "at" / "empty").mkdir(parents=True)
    run("sync", "sqlite://at/kept", "docs", "--embedder", model)
    words = [word.replace("AT", "at") for word in arguments]
    fails = "1 " not in said
    embedder = "pypi:a-model-that-nobody-may-fetch" if fails else model
    result = run("sync", *words, "--embedder", embedder, status=int(fails))
    assert said in (result.stderr if fails else result.stdout)
    assert (tmp_path / "docs").is_dir()
    assert [path.name for path in (tmp_path / "docs").iterdir()] == ["a.md"]


def test_unknown_words_are_warned_of_in_documents_and_in_questions(model: str, tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/at"
    (tmp_path / "a.txt").write_text("days of leave, 年 假 天")
    told = run("sync", url, str(tmp_path / "a.txt"), "--embedder", model).stderr
    assert "57 % of the tokens of these documents are unknown to" in told
    assert "unknown" not in run("search", url, "days of leave").stderr
    assert "100 % of the tokens of the question are unknown to" in run("search", url, "年 假").stderr
    assert "unknown" not in run("search", url, "年 假", "--words").stderr


def test_the_embedder_is_changed_only_if_as_much_is_found(model: str, tmp_path: Path) -> None:
    pytest.importorskip("ir_measures")
    url, queries = f"sqlite://{tmp_path}/at", tmp_path / "queries.jsonl"
    for name in ("cats", "leave"):
        (tmp_path / "docs").mkdir(exist_ok=True)
        (tmp_path / "docs" / f"{name}.txt").write_text(name)
    run("sync", url, str(tmp_path / "docs"), "--embedder", model)
    queries.write_text('{"query": "cats"}\n')
    bad = run("change-embedder", url, "universal-sentence-encoder", "--queries", str(queries), status=1).stderr
    assert "line 1: no object with a query and a list of relevant sources" in bad
    queries.write_text('{"query": "cats", "relevant": ["cats.txt"]}\n')
    done = run("change-embedder", url, "universal-sentence-encoder", "--queries", str(queries), "--json").stdout
    assert json.loads(done)["swapped"] is True
    assert "is the embedder that" in run("change-embedder", url, "universal-sentence-encoder", status=1).stderr
    assert json.loads(run("search", url, "cats", "--json").stdout)["hits"][0]["source"] == "cats.txt"
