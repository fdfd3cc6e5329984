"""The exceptions of pymilvus as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dizuo.errors import VectorError
from dizuo.vectors.protocol.errors import CollectionGone, Denied, Transient, Unreachable

__all__ = ["map_errors"]

NOT_FOUND = 100
"""Milvus' code of a collection that is not there."""


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error and its causes; pymilvus raises errors from themselves, so the chain may be a circle."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and all(following is not seen for seen in chain):
        chain.append(following)
        following = following.__cause__ or following.__context__
    return chain


@contextmanager
def map_errors(address: str, *, opening: bool = False, collection: str | None = None) -> Iterator[None]:
    """Turn the exceptions of pymilvus into ours; once a collection is open, one that is missing is that one."""
    import grpc
    from pymilvus import MilvusException

    try:
        yield
    except (MilvusException, grpc.RpcError) as error:
        text = str(getattr(error, "message", "") or error)
        low = " ".join(map(str, _chain(error))).lower()  # pymilvus calls a wrong password a failed connection
        if "auth check failure" in low or "unauthenticated" in low or "permission" in low:
            raise Denied(f"{address} refused the user or password", hint="check the address") from error
        if collection is not None and getattr(error, "code", None) == NOT_FOUND:
            raise CollectionGone(collection) from error
        if opening and ("fail connecting" in low or "unavailable" in low):
            raise Unreachable(
                f"no Milvus answers at {address}", hint="is the server running, and the port right?"
            ) from error
        if any(
            sign in low
            for sign in ("fail connecting", "unavailable", "deadline", "timeout", "rate limit", "closed channel")
        ):
            raise Transient(f"{address} does not answer: {text}", hint="is the server running?") from error
        raise VectorError(f"Milvus: {text}") from error
