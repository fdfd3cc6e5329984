"""Marqo passes the suite: an emulator here, a real server where DIZUO_TEST_MARQO_URL names one."""

from __future__ import annotations

import os
import random
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engines.marqo_filters import Bad, compiled
from hypothesis import given, settings

from dizuo.testing import VectorStoreSuite
from dizuo.testing.vectors.comparing import assert_same_points
from dizuo.testing.vectors.samples import AWKWARD_NUMBERS, filters, metadata
from dizuo.vectors import Filter, Point, RowErrors, VectorStore, connect, field
from dizuo.vectors.exact.tags_and_numbers import FALSE, flatten_filter
from dizuo.vectors.filters.matching import matches
from dizuo.vectors.points import encode
from dizuo.vectors.stores.marqo import rows as marqo_rows

pytest.importorskip("httpx")
FILTERABLE = {one["name"]: one["type"] for one in marqo_rows.FIELDS if "features" in one}


@pytest.mark.slow
class TestMarqo(VectorStoreSuite):
    kind = "real" if os.environ.get("DIZUO_TEST_MARQO_URL") else "emulator"
    examples = 10

    @pytest.fixture(autouse=True)
    def words(self, tmp_path: Path) -> None:
        self.options = {"lexical": str(tmp_path / "words")}  # type: ignore[misc]

    @pytest.fixture
    def url(self, engine_marqo: Any) -> str:
        return str(engine_marqo.url)

    @pytest.fixture
    def unreachable_url(self) -> str:
        from engines.server import free_port

        return f"marqo://127.0.0.1:{free_port()}"

    @pytest.fixture
    def breakable(self, tmp_path: Path) -> Iterator[tuple[str, Callable[[], None]]]:
        from engines.fixtures import had
        from engines.marqo import Marqo

        server = Marqo(tmp_path / "breakable")
        had(server.start)
        yield server.url, server.kill
        server.kill()


@pytest.fixture
def store(engine_marqo: Any) -> Iterator[VectorStore]:
    name = "".join(random.choices(string.ascii_lowercase, k=12))
    with connect(engine_marqo.url, dim=2, metric="dot", collection=name) as opened:
        yield opened
        opened.drop()


def test_a_record_that_marqo_cannot_hold_is_refused_by_name_and_the_others_are_in(store: VectorStore) -> None:
    noise = "".join(random.Random(1).choices(string.printable, k=150_000))
    with pytest.raises(RowErrors, match="which holds 99,960") as caught:
        store.upsert([Point("small", [1, 0], {"n": 1}, "text"), Point("large", [0, 1], {}, noise)])
    assert list(caught.value.rows) == ["large"]
    assert caught.value.written == 1
    assert [point.id for point in store.points()] == ["small"]


def test_characters_that_vespa_refuses_come_back(store: VectorStore) -> None:
    awkward = "\x01\x1f\x7f\ufdd0\ufffe\uffff\U0001fffe\U0010ffff\t\n\\"
    rows = [Point(f"id {awkward}", [1, 2], {awkward: [awkward, {"x": awkward}]}, awkward)]
    assert store.upsert(rows).rows == 1
    assert_same_points(store.points(), rows)
    assert store.search([1, 1], where=field(awkward).contains(awkward)).ids == [rows[0].id]


def test_equal_records_beyond_what_one_search_gives_come_in_the_order_of_ids(store: VectorStore) -> None:
    ids = [f"t{n:04}" for n in range(1100)]
    random.Random(2).shuffle(ids)
    store.upsert(Point(id, [1, 2]) for id in ids)
    store.upsert([Point("best", [3, 3]), Point("far", [-1, -1])])
    hits = store.search([1, 1], k=5, exact=True)
    assert (hits.ids, hits.path) == (["best", "t0000", "t0001", "t0002", "t0003"], "exact")
    assert len(store.search([1, 1], k=1050)) == 1050
    assert store.count() == 1102


@settings(max_examples=300, deadline=None)
@given(filters(), metadata())
def test_filters_in_marqos_language_mean_what_they_mean(where: Filter, row: dict[str, Any]) -> None:
    fields = marqo_rows.metadata_fields(row, encode(row))
    space = marqo_rows.space_name("here", "")
    held = {"space": space, "place": 7, "tags": frozenset(fields["tags"])}
    for one in (where, ~where):
        condition, same = flatten_filter(one)
        true = condition != FALSE and compiled(marqo_rows.write_filter(condition, space), FILTERABLE)(held)
        assert true == matches(one, row) or (not same and true)
        if condition != FALSE:
            for low, high in ((0, 6), (8, marqo_rows.PLACES)):
                assert not compiled(marqo_rows.write_filter(condition, space, low, high), FILTERABLE)(held)
            elsewhere = marqo_rows.space_name("there", "")
            assert not compiled(marqo_rows.write_filter(condition, elsewhere), FILTERABLE)(held)


def test_orders_of_numbers_are_exact_as_beginnings_of_their_digits() -> None:
    numbers = [float(number) for number in AWKWARD_NUMBERS]
    orders: dict[str, Callable[[float, float], bool]] = {
        "<": lambda left, right: left < right,
        "<=": lambda left, right: left <= right,
        ">": lambda left, right: left > right,
        ">=": lambda left, right: left >= right,
        "==": lambda left, right: left == right,
    }
    for bound in numbers:
        for order, true in orders.items():
            asked = {*marqo_rows._order_tags("n", order, bound)}
            assert len(asked) <= 241
            for number in numbers:
                found = not asked.isdisjoint(marqo_rows._prefixes("n", number))
                assert found == true(number, bound), (number, order, bound)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tags:",
        "other:x",
        "tags:a OR",
        "(tags:a",
        "tags:[1 TO 2]",
        "tags IN (a b)",
        "tags:a tags:b",
        "place:[a TO b]",
    ],
)
def test_the_emulator_refuses_filters_that_marqo_cannot_read(text: str) -> None:
    with pytest.raises((Bad, ValueError)):
        compiled(text, FILTERABLE)


def test_the_emulator_refuses_what_marqo_refuses(store: VectorStore, engine_marqo: Any) -> None:
    import httpx

    if not hasattr(engine_marqo, "port"):
        pytest.skip("a server named by the environment is no emulator")
    url = f"http://127.0.0.1:{engine_marqo.port}/indexes/{store.store.index}"  # type: ignore[attr-defined]
    good = {"_id": "a", "vector": {"vector": [1, 2], "content": ""}, "meta": "{}", "tags": ["x"], "place": 1}
    bad_documents: list[dict[str, Any]] = [
        {**good, "unknown": "x"}, {**good, "tags": [1]}, {**good, "place": 1.5}, {**good, "meta": "\x01"},
        {**good, "vector": {"vector": [1]}}, {**good, "meta": "x" * 100_001}, {**good, "_id": ""},
    ]  # fmt: skip
    query = {"context": {"tensor": [{"vector": [1, 2], "weight": 1}]}}
    bad: list[tuple[str, str, Any]] = [
        ("POST", "/documents", {"documents": [good] * 129}),
        ("POST", "/documents", {"documents": []}),
        ("POST", "/documents", {"documents": [good], "tensorFields": ["vector"]}),
        ("POST", "/documents/delete-batch", []),
        ("POST", "/search", {**query, "limit": 1001}),
        ("POST", "/search", {**query, "limit": 10, "offset": 9995}),
        ("POST", "/search", {**query, "filter": "meta:x"}),
        ("POST", "/search", {**query, "attributesToRetrieve": ["unknown"]}),
        ("POST", "/search", {**query, "topK": 3}),
        ("GET", "/documents", []),
        ("POST", "/scroll", {}),
    ]

    def status(method: str, path: str, body: Any) -> tuple[int, Any]:
        while True:
            answer = httpx.request(method, url + path, json=body, trust_env=False)
            if answer.status_code != 429:
                return answer.status_code, answer.json()

    for method, path, body in bad:
        assert status(method, path, body)[0] in (400, 404, 422), (method, path)
    for document in [good, *bad_documents]:
        code, answer = status("POST", "/documents", {"documents": [document]})
        assert code == 200
        assert answer["errors"] == (document is not good), document
    code, answer = status(
        "PATCH", "/documents", {"documents": [{"_id": "nobody", "meta": "{}"}, {"_id": "a", "place": 2}]}
    )
    assert [item["status"] for item in answer["items"]] == [404, 200]
