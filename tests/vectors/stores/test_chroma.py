"""Chroma, embedded and behind its real server, passes the suite; and what it does to values is worked around."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dizuo.testing import VectorStoreSuite
from dizuo.testing.vectors.samples import AWKWARD_NUMBERS
from dizuo.vectors import connect

pytest.importorskip("chromadb")


class TestChromaInAFolder(VectorStoreSuite):
    examples = 10

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"chroma://{tmp_path}/chroma"


@pytest.mark.slow
class TestChromaServer(VectorStoreSuite):
    examples = 10

    @pytest.fixture(autouse=True)
    def words(self, tmp_path: Path) -> None:
        self.options = {"lexical": str(tmp_path / "words")}  # type: ignore[misc]

    @pytest.fixture
    def url(self, engine_chroma: Any) -> str:
        return str(engine_chroma.url)

    @pytest.fixture
    def unreachable_url(self) -> str:
        from engines.server import free_port

        return f"chroma://127.0.0.1:{free_port()}"

    @pytest.fixture
    def breakable(self, tmp_path: Path) -> Iterator[tuple[str, Callable[[], None]]]:
        from engines.chroma import Chroma
        from engines.fixtures import had

        server = Chroma(tmp_path / "breakable")
        had(server.start)
        yield server.url, server.kill
        server.kill()


def test_numbers_as_integers_have_the_order_of_numbers() -> None:
    from dizuo.vectors.stores.chroma.filters import order_number

    numbers = sorted({float(number) for number in AWKWARD_NUMBERS} | {-0.5, -1e-300, math.nextafter(1.0, 2.0)})
    assert [order_number(number) for number in numbers] == sorted(map(order_number, numbers))
    assert len({order_number(number) for number in numbers}) == len(numbers)
    assert order_number(-0.0) == order_number(0.0)
    assert all(-(2**63) < order_number(number) < 2**63 for number in numbers)


@pytest.mark.slow
def test_chromas_server_still_reads_a_number_of_a_filter_as_its_neighbour(engine_chroma: Any) -> None:
    """The reason for sending integers: where this fails, numbers may be sent as they are."""
    store = connect(engine_chroma.url, dim=2, collection="neighbours of numbers")
    client: Any = store.store.client  # type: ignore[attr-defined]
    held = client.create_collection("neighbours", embedding_function=None)
    numbers = [float(number) for number in AWKWARD_NUMBERS]
    ids = [str(place) for place in range(len(numbers))]
    metadatas: list[Any] = [{"x": number} for number in numbers]
    held.upsert(ids=ids, embeddings=[[1.0, 0.0]] * len(ids), metadatas=metadatas)
    try:
        assert any(id not in held.get(where={"x": {"$gte": x}})["ids"] for id, x in zip(ids, numbers, strict=True))
    finally:
        client.delete_collection("neighbours")
        store.drop()
        store.close()
