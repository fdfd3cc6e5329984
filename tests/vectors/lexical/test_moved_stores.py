"""A database in a folder that is moved or removed: its words are its own, wherever its side-car is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dizuo.vectors import Point, VectorStore, connect

STORES = {
    "chroma": ("chromadb", lambda folder: f"chroma://{folder}"),
    "lancedb": ("lancedb", lambda folder: f"lancedb://{folder}"),
    "milvus": ("milvus_lite", lambda folder: f"milvus://{folder}.db"),
}
PARTS = {"chroma": "{}", "lancedb": "{}", "milvus": "{}.db"}
OLD = {"a": "red apples", "b": "green pears", "c": "red cherries"}
NEW = {"a": "yellow bananas", "d": "red grapes"}


class Place:
    """A database that is moved about."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        self.url: Callable[[Path], str] = STORES[kind][1]

    def path(self, name: str) -> Path:
        return self.folder / PARTS[self.kind].format(name)

    def open(self, name: str, **options: object) -> VectorStore:
        return connect(self.url(self.folder / name), dim=2, **options)  # type: ignore[arg-type]

    def fill(self, name: str, texts: dict[str, str], **options: object) -> None:
        with self.open(name, **options) as store:
            store.upsert([Point(id, [1, n + 1], {}, text) for n, (id, text) in enumerate(texts.items())])


@pytest.fixture(params=["chroma", "lancedb", pytest.param("milvus", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    pytest.importorskip(STORES[request.param][0])
    return Place(request.param, tmp_path)


def test_a_store_that_is_moved_takes_its_words_along(place: Place) -> None:
    place.fill("before", OLD)
    shutil.move(place.path("before"), place.path("after"))
    with place.open("after") as store:
        assert sorted(store.words("red").ids) == ["a", "c"]
        assert store.hybrid("pears", [1, 1], k=1).ids == ["b"]
        store.upsert(Point("e", [1, 9], {}, "red plums"))
        assert sorted(store.words("red").ids) == ["a", "c", "e"]
    left = sorted(path.name for path in place.folder.iterdir())
    assert left == [place.path("after").name], "something of it stayed behind"


def test_a_new_store_where_another_was_has_none_of_its_words(place: Place) -> None:
    words = place.folder / "words"
    for options in ({}, {"lexical": words}):
        place.fill("here", OLD, **options)
        shutil.rmtree(place.path("here"))
        place.fill("here", NEW, **options)
        with place.open("here", **options) as store:
            assert store.words("red").ids == ["d"]
            assert store.words("pears") == []
            alone = connect("memory://", dim=2)
            alone.upsert([Point(id, [1, n + 1], {}, text) for n, (id, text) in enumerate(NEW.items())])
            assert [hit.score for hit in store.words("red")] == pytest.approx([h.score for h in alone.words("red")])
            store.drop()
        shutil.rmtree(place.path("here"))


def test_words_are_made_anew_where_the_side_car_is_lost(place: Place) -> None:
    if place.kind == "lancedb":
        pytest.skip("it may keep its words itself")
    words = place.folder / "words"
    place.fill("here", OLD, lexical=words)
    shutil.rmtree(words)
    with place.open("here", lexical=words) as store:
        assert sorted(store.words("red").ids) == ["a", "c"]


def test_a_side_car_of_a_collection_that_was_dropped_is_removed(place: Place) -> None:
    words = place.folder / "words"
    place.fill("here", OLD, lexical=words)
    with place.open("here", lexical=words) as store:
        store.drop()
    assert not list(words.rglob("*.sqlite*"))
    place.fill("here", NEW, lexical=words)
    with place.open("here", lexical=words) as store:
        assert store.words("red").ids == ["d"]


def test_two_databases_with_one_folder_for_words_do_not_share_them(place: Place) -> None:
    words = place.folder / "words"
    place.fill("one", OLD, lexical=words)
    place.fill("two", NEW, lexical=words)
    with place.open("one", lexical=words) as store:
        assert sorted(store.words("red").ids) == ["a", "c"]
    with place.open("two", lexical=words) as store:
        assert store.words("red").ids == ["d"]
