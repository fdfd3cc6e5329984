"""Namespaces do not see each other, collections neither, whatever they are called."""

from __future__ import annotations

from dizuo.testing.vectors.comparing import assert_same_points
from dizuo.testing.vectors.opening import Connect, Opening, new_collection
from dizuo.vectors import Point

__all__ = ["Namespaces"]

NAMES = [
    "",
    "a",
    "A",
    "a b",
    "知识",
    "é",
    "e\u0301",
    "it's",
    '"',
    "a/b",
    "%",
    "_",
    "default",
    "null",
    "' OR 1=1 --",
    "x" * 128,
    "a,b|c",
]


class Namespaces(Opening):
    """Isolation, names."""

    def test_namespaces_do_not_see_each_other(self, connect: Connect) -> None:
        root = connect(dim=2)
        spaces = {name: root.namespace(name) for name in NAMES}
        for n, (name, space) in enumerate(spaces.items()):
            space.upsert([Point("same", [1, n], {"n": n, "name": name}, f"words of {n}"), Point(f"own{n}", [n, 1])])
        assert root.namespaces() == dict.fromkeys(NAMES, 2)
        for n, (name, space) in enumerate(spaces.items()):
            assert space.count() == 2
            assert space.get("same").metadata == {"n": n, "name": name}  # type: ignore[union-attr]
            assert sorted(space.search([1, 1], k=100).ids) == sorted(["same", f"own{n}"])
            assert space.search([1, 1], k=100, where=f"n == {(n + 1) % len(NAMES)}", exact=True) == []
            assert {point.id for point in space.points()} == {"same", f"own{n}"}
            assert [point.id for point in space.fetch([f"own{m}" for m in range(len(NAMES))])] == [f"own{n}"]

    def test_writing_in_one_namespace_leaves_the_others_alone(self, connect: Connect) -> None:
        left = connect(dim=2, namespace="left")
        right = left.namespace("right")
        rows = [Point(str(n), [1, n], {"n": n}, "text") for n in range(6)]
        left.upsert(rows)
        right.upsert(rows)
        assert left.delete(["0", "1"]) == 2
        assert left.delete(where="n < 4") == 2
        assert left.update_metadata({"4": {"changed": True}, "0": {"x": 1}}) == 1
        left.upsert(Point("5", [9, 9], {}, None))
        assert_same_points(right.points(), rows)
        assert left.clear() == 2
        assert_same_points(right.points(), rows)
        assert left.namespaces() == {"right": 6}

    def test_words_of_one_namespace_are_not_found_in_another(self, connect: Connect) -> None:
        left = connect(dim=2, namespace="left")
        if left.capabilities.lexical == "none":
            return
        right = left.namespace("right")
        left.upsert(Point("a", [1, 0], {}, "red apples"))
        right.upsert(Point("a", [1, 0], {}, "green pears"))
        assert left.words("pears") == []
        assert right.words("pears").ids == ["a"]
        assert "lexical" not in left.hybrid("pears", [1, 0])[0].parts

    def test_collections_with_like_names_are_apart(self, connect: Connect) -> None:
        name = new_collection()
        names = [
            name,
            name.upper(),
            name.replace(" ", "_"),
            f"{name} 知",
            f"{name} 识",
            name + "x" * 80,
            name + "x" * 81,
        ]
        stores = [connect(dim=2, collection=collection) for collection in names]
        for n, store in enumerate(stores):
            store.upsert(Point("a", [1, n], {"n": n}))
        for n, store in enumerate(stores):
            assert [point.metadata for point in store.points()] == [{"n": n}]
        stores[0].drop()
        for store in stores[1:]:
            assert store.count() == 1
        again = connect(dim=3, collection=name)  # what was dropped is gone, dimension and all
        assert again.count() == 0
        assert again.dim == 3
