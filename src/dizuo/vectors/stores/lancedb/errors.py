"""The exceptions of LanceDB as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dizuo.errors import VectorError
from dizuo.vectors.protocol.errors import Transient

__all__ = ["map_errors"]


@contextmanager
def map_errors(place: str) -> Iterator[None]:
    """Turn the exceptions of LanceDB into ours; it raises only RuntimeError, ValueError and OSError."""
    try:
        yield
    except (RuntimeError, ValueError, OSError) as error:
        text = str(error).split(", /root/")[0][:500]
        if "ommit conflict" in text or "Too many concurrent writers" in text:
            raise Transient(f"another writer was faster at {place}") from error
        raise VectorError(f"LanceDB at {place}: {text}") from error
