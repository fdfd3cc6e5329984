"""Pinecone passes the suite: an emulator here, behind proxies that validate; the real service where its key is set."""

from __future__ import annotations

import os
import random
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engines.pinecone_filters import Bad, compiled
from hypothesis import given, settings

from dizuo.errors import VectorError
from dizuo.testing import VectorStoreSuite
from dizuo.testing.vectors.areas.namespaces import NAMES
from dizuo.testing.vectors.comparing import assert_same_points
from dizuo.testing.vectors.samples import AWKWARD_IDS, filters, metadata
from dizuo.vectors import Filter, Patience, Point, RowErrors, Transient, VectorStore, connect
from dizuo.vectors.exact.tags_and_numbers import FALSE, flatten_filter
from dizuo.vectors.filters.matching import matches
from dizuo.vectors.points import Block, encode
from dizuo.vectors.stores.pinecone import rows as pinecone_rows

pytest.importorskip("pinecone")


@pytest.mark.slow
class TestPinecone(VectorStoreSuite):
    """Every request and every answer is checked against the vendor's OpenAPI documents on its way."""

    kind = "real" if os.environ.get("PINECONE_API_KEY") else "emulator"
    examples = 10

    @pytest.fixture(autouse=True)
    def words(self, tmp_path: Path) -> None:
        self.options = {"lexical": str(tmp_path / "words")}  # type: ignore[misc]

    @pytest.fixture
    def url(self, engine_pinecone: Any) -> str:
        return str(engine_pinecone.url)

    @pytest.fixture
    def unreachable_url(self) -> str:
        from engines.server import free_port

        return f"pinecone+http://:key@127.0.0.1:{free_port()}"

    @pytest.fixture
    def denied_url(self, engine_pinecone: Any) -> str | None:
        return "pinecone://:hunter2@" if self.kind == "real" else str(engine_pinecone.wrong_password_url)

    @pytest.fixture
    def breakable(self, tmp_path: Path) -> Iterator[tuple[str, Callable[[], None]]]:
        from engines.fixtures import had
        from engines.pinecone import Pinecone

        server = Pinecone(tmp_path / "breakable")
        had(server.start)
        yield server.url, server.kill
        server.kill()


@pytest.mark.exhaustive
class TestPineconeWithoutProxies(TestPinecone):
    """Where the OpenAPI documents or Node.js are not at hand: the emulator's own checks only."""

    kind = "emulator"

    @pytest.fixture
    def url(self, engine_pinecone_emulator: Any) -> str:
        return str(engine_pinecone_emulator.url)

    @pytest.fixture
    def denied_url(self, engine_pinecone_emulator: Any) -> str:
        return str(engine_pinecone_emulator.wrong_password_url)


@pytest.fixture
def store(engine_pinecone_emulator: Any) -> Iterator[VectorStore]:
    patience = Patience(attempts=4, first=0.01)
    name = "".join(random.choices(string.ascii_lowercase, k=12))
    with connect(engine_pinecone_emulator.url, dim=3, metric="l2", collection=name, patience=patience) as opened:
        yield opened
        opened.drop()


def test_without_a_key_there_is_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PINECONE_API_KEY", raising=False)
    with pytest.raises(VectorError, match="no API key") as caught:
        connect("pinecone://", dim=2)
    assert "PINECONE_API_KEY" in str(caught.value.hint)


def test_an_emulator_that_is_busy_is_asked_again_and_not_forever(
    store: VectorStore, engine_pinecone_emulator: Any
) -> None:
    engine_pinecone_emulator.refuse(9, 429)
    store.upsert([Point("a", [1, 2, 3], {"n": 1})])
    assert store.count("n == 1") == 1
    engine_pinecone_emulator.refuse(9, 429)  # more often than the client tries by itself
    assert [point.id for point in store.points()] == ["a"]
    engine_pinecone_emulator.refuse(10_000, 429)
    try:
        with pytest.raises(Transient, match="busy"):
            store.search([1, 2, 3])
    finally:
        engine_pinecone_emulator.refuse(0, 429)
    hits = store.search([1, 2, 3])
    assert (hits.ids, hits[0].vector, hits[0].score) == (["a"], None, 0.0)


def test_a_record_that_pinecone_cannot_hold_is_refused_by_name_and_the_others_are_in(store: VectorStore) -> None:
    noise = "".join(random.Random(1).choices(string.printable, k=60_000))
    with pytest.raises(RowErrors, match="which holds 40,960") as caught:
        store.upsert([Point("small", [1, 0, 0], {"n": 1}, "text"), Point("large", [0, 1, 0], {}, noise)])
    assert list(caught.value.rows) == ["large"]
    assert caught.value.written == 1
    assert [point.id for point in store.points()] == ["small"]
    with pytest.raises(RowErrors, match="would take") as caught:
        store.update_metadata({"small": {"noise": noise}})
    assert list(caught.value.rows) == ["small"]
    assert store.fetch("small")[0].metadata == {"n": 1}


def test_a_batch_is_cut_into_requests_of_two_megabytes(engine_pinecone_emulator: Any) -> None:
    table = np.random.default_rng(3).standard_normal((300, 1024)).astype(np.float32)  # 6 MB as JSON
    rows = [Point(f"r{n}", vector, {"n": n}, "word " * 500) for n, vector in enumerate(table)]
    with connect(engine_pinecone_emulator.url, dim=1024, collection="two megabytes") as store:
        store.upsert(rows)
        assert_same_points(store.points(), rows)
        assert store.search(table[7])[0].vector is None
        hits = store.search(table[7], k=200)  # with metadata this answer would be too large: ids come first
        assert (hits.ids[0], len(hits), hits.path) == ("r7", 200, "index")
        assert hits[0].metadata == {"n": 7}
        store.drop()


def test_bytes_of_vectors_are_kept_on_request(engine_pinecone_emulator: Any) -> None:
    vector = np.array([0.1, -7.25, 1e-40], np.float32)
    url = f"{engine_pinecone_emulator.url}?keep_bytes=true"
    with connect(url, dim=3, metric="dot", collection="kept bytes") as store:
        store.upsert(Point("a", vector))
        row = store.store._fetch_records("__default__", ["a"])["a"]  # type: ignore[attr-defined]
        assert len(row.metadata["v"]) == 16
        assert store.fetch("a")[0].vector.tobytes() == vector.tobytes()  # type: ignore[union-attr]
        store.drop()


def test_a_vector_that_came_back_changed_is_told_and_not_used() -> None:
    from pinecone import Vector

    block = Block(["a", "b"], np.array([[1, 2], [3, -0.0]], np.float32), ["{}", "{}"], [None, "text"])
    rows, refused = pinecone_rows.write_rows(block, extra_number=True, stamp="s", keep=False)
    assert not refused
    assert [len(row["values"]) for row in rows] == [3, 3]
    held = [Vector(row["id"], row["values"], None, row["metadata"]) for row in rows]
    held[1].values[1] = 0.0  # what JavaScript makes of it: that row has its bytes beside it
    read = pinecone_rows.read_rows(held, frozenset({"vectors", "documents"}), 2, "pinecone")
    assert read.vectors.tobytes() == block.vectors.tobytes()
    assert read.documents == [None, "text"]
    held[0].values[0] = 1.0000001
    with pytest.raises(VectorError, match="another vector of 'a'"):
        pinecone_rows.read_rows(held, frozenset({"vectors"}), 2, "pinecone")
    assert pinecone_rows.read_rows(held, frozenset(), 2, "pinecone").ids == ["a", "b"]


def test_ids_and_namespaces_have_names_in_pinecone_that_are_ascii_and_their_own() -> None:
    keys = [pinecone_rows.record_key(id) for id in [*AWKWARD_IDS, "doc-1#7", "sha-", pinecone_rows.record_key("é")]]
    assert all(key.isascii() and key.isprintable() and 1 <= len(key) <= 64 and " " not in key for key in keys)
    assert len({*keys}) == len(keys)
    assert pinecone_rows.record_key("doc-1#7") == "doc-1#7"
    names = [*NAMES, "__default__", "b32-", pinecone_rows.space_name("é"), "team-a"]
    spaces = [pinecone_rows.space_name(name) for name in names]
    assert [pinecone_rows.namespace_name(space) for space in spaces] == names
    assert len({*spaces}) == len(spaces)
    assert pinecone_rows.space_name("team-a") == "team-a"


@settings(max_examples=300, deadline=None)
@given(filters(), metadata())
def test_filters_in_pinecones_language_mean_what_they_mean(where: Filter, row: dict[str, Any]) -> None:
    fields = pinecone_rows.metadata_fields(row, encode(row))
    held = {key: float(value) if isinstance(value, int) else value for key, value in fields.items()}
    for one in (where, ~where):
        condition, same = flatten_filter(one)
        true = condition != FALSE and compiled(pinecone_rows.write_filter(condition))(held)
        assert true == matches(one, row) or (not same and true)


@pytest.mark.parametrize(
    "filter",
    [
        {},
        {"$and": []},
        {"a": {"$regex": "x"}},
        {"a": {"$gt": "x"}},
        {"a": {"$in": []}},
        {"a": None},
        {"$not": {"a": 1}},
    ],
)
def test_the_emulator_refuses_filters_that_pinecone_has_not(filter: Any) -> None:
    with pytest.raises(Bad):
        compiled(filter)


BAD_ROWS: dict[str, Any] = {
    "null": {"metadata": {"a": None}},
    "nested": {"metadata": {"a": {"b": 1}}},
    "list of numbers": {"metadata": {"a": [1]}},
    "41 KB": {"metadata": {"a": "x" * 41_000}},
    "zeros": {"values": [0, 0, 0, 0]},
    "short": {"values": [1, 2]},
    "id": {"id": "é"},
}


@pytest.mark.parametrize("fault", BAD_ROWS)
def test_the_emulator_refuses_rows_that_pinecone_refuses(
    fault: str, store: VectorStore, engine_pinecone_emulator: Any
) -> None:
    import httpx
    from engines.pinecone import KEY

    url = f"http://127.0.0.1:{engine_pinecone_emulator.port}/i/{store.store.name}/vectors/upsert"  # type: ignore[attr-defined]
    headers = {"Api-Key": KEY, "X-Pinecone-Api-Version": "2025-10"}
    good = {"id": "a", "values": [1, 2, 3, 1], "metadata": {"a": "b"}}
    for row, status in ((good, 200), ({**good, **BAD_ROWS[fault]}, 400)):
        answer = httpx.post(url, json={"vectors": [row]}, headers=headers, trust_env=False)
        while answer.status_code in (429, 503):
            answer = httpx.post(url, json={"vectors": [row]}, headers=headers, trust_env=False)
        assert answer.status_code == status, answer.text


@pytest.mark.slow
def test_the_proxies_let_nothing_pass_that_the_documents_do_not_have(engine_pinecone: Any) -> None:
    import httpx
    from engines.pinecone import KEY

    if not hasattr(engine_pinecone, "proxies"):
        pytest.skip("the real service needs no proxy")
    index = f"http://127.0.0.1:{engine_pinecone.port}/i/none"
    headers = {"Api-Key": KEY, "X-Pinecone-Api-Version": "2025-10"}
    bad: list[tuple[str, Any, dict[str, str]]] = [
        ("/query", {"topK": 0, "vector": [1.0]}, headers),
        ("/query", {"vector": [1.0]}, headers),
        ("/query", {"topK": 1, "vector": ["a"]}, headers),
        ("/vectors/upsert", {"vectors": [{"values": [1.0]}]}, headers),
        ("/vectors/delete", {"ids": "a"}, headers),
        ("/vectors/scroll", {}, headers),
        ("/query", {"topK": 1, "vector": [1.0]}, {"Api-Key": KEY}),
        ("/query", {"topK": 1, "vector": [1.0]}, {"X-Pinecone-Api-Version": "2025-10"}),
    ]
    for path, body, given_headers in bad:
        answer = httpx.post(index + path, json=body, headers=given_headers, trust_env=False)
        assert "stoplight.io/prism" in answer.text, (path, body, answer.text)
        assert answer.status_code in (401, 404, 422), (path, body, answer.status_code)
