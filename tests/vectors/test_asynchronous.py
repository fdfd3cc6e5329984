"""The async store does what the other does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from dizuo.errors import VectorError
from dizuo.vectors import Point, connect_async


def test_the_async_face_does_the_same() -> None:
    async def run() -> None:
        async with await connect_async("memory://", dim=2) as store:

            async def points() -> AsyncIterator[Point]:
                for n in range(30):
                    await asyncio.sleep(0)
                    yield Point(str(n), [1, n], {"n": n}, f"text {n}")

            result = await store.upsert(points())
            assert (result.rows, store.dim, store.metric) == (30, 2, "cosine")
            many = await asyncio.gather(*(store.search([1, n], 1, where=f"n == {n}") for n in range(30)))
            assert [hits.ids for hits in many] == [[str(n)] for n in range(30)]
            assert [len(block) async for block in store.scan(rows=12)] == [12, 12, 6]
            assert len([point async for point in store.points("n < 5")]) == 5
            other = store.namespace("other")
            await other.upsert([Point("a", [1, 1])])
            assert await store.namespaces() == {"": 30, "other": 1}
            with pytest.raises(VectorError):
                await store.search([1])
            assert (await store.info()).count == 30

    asyncio.run(run())
