"""A vector store whose methods are awaited. It calls those of `VectorStore`; there is no second implementation.

    async with await connect_async("lancedb://./index", dim=384) as store:
        await store.upsert(points)                        # any iterable, also an async one
        hits = await store.search(vector, k=10)
        async for block in store.scan("year >= 2020"): …

Calls run in threads that belong to the store. Several searches may be awaited at once.
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

from dizuo.vectors.connecting.connect import connect
from dizuo.vectors.protocol.errors import Forked
from dizuo.vectors.vector_store import VectorStore

__all__ = ["AsyncVectorStore", "connect_async"]

_ITERATORS = frozenset({"scan", "points"})
_PROPERTIES = frozenset({"dim", "metric", "collection", "capabilities", "name", "url"})


async def connect_async(url: str, **arguments: Any) -> AsyncVectorStore:
    """Return what `connect(url, …)` returns, with methods that are awaited; the arguments are the same."""
    pool = ThreadPoolExecutor(8, thread_name_prefix="dizuo-vectors")
    try:
        call = functools.partial(connect, url, **arguments)
        return AsyncVectorStore(await asyncio.get_running_loop().run_in_executor(pool, call), pool)
    except BaseException:
        pool.shutdown(wait=False)
        raise


class AsyncVectorStore:
    """A `VectorStore` whose methods are coroutines, `scan` and `points` async iterators, and properties as they are.

    Args:
        store: does the work.
        pool: the threads that it runs in; closed with the store.
    """

    def __init__(self, store: VectorStore, pool: ThreadPoolExecutor) -> None:
        self.store = store
        self._pool = pool
        self._process = os.getpid()

    async def __aenter__(self) -> AsyncVectorStore:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.store, name)
        if name.startswith("_") or name in _PROPERTIES:
            return attribute
        if os.getpid() != self._process:  # nobody would ever answer: the threads are the parent's
            raise Forked(f"{self.store!r} was opened")
        if name in _ITERATORS:
            return functools.wraps(attribute)(lambda *args, **more: self._stream(attribute, *args, **more))

        @functools.wraps(attribute)
        async def call(*args: Any, **more: Any) -> Any:
            loop = asyncio.get_running_loop()
            args = tuple(_iterate(arg, loop) if isinstance(arg, AsyncIterable) else arg for arg in args)
            more = {key: _iterate(arg, loop) if isinstance(arg, AsyncIterable) else arg for key, arg in more.items()}
            return await loop.run_in_executor(self._pool, functools.partial(attribute, *args, **more))

        return call

    def namespace(self, name: str) -> AsyncVectorStore:
        """Return another namespace of the same collection, over the same connection and threads."""
        return AsyncVectorStore(self.store.namespace(name), self._pool)

    async def close(self) -> None:
        """Give back connections, files and threads; in a forked process nothing, since they are its parent's."""
        if os.getpid() != self._process:
            return
        await asyncio.get_running_loop().run_in_executor(self._pool, self.store.close)
        self._pool.shutdown(wait=False)

    async def _stream(self, call: Callable[..., Iterator[Any]], *args: Any, **more: Any) -> AsyncIterator[Any]:
        loop, items, end = asyncio.get_running_loop(), call(*args, **more), object()
        while (item := await loop.run_in_executor(self._pool, next, items, end)) is not end:
            yield item


def _iterate(items: AsyncIterable[Any], loop: asyncio.AbstractEventLoop) -> Iterator[Any]:
    """Yield the items of an async iterable in a thread that is not the loop's."""
    source, end = aiter(items), object()
    while (item := asyncio.run_coroutine_threadsafe(_next(source, end), loop).result()) is not end:
        yield item


async def _next(source: AsyncIterator[Any], end: object) -> Any:
    return await anext(source, end)
