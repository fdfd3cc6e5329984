"""Answers of Redis as Python's values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["pairs", "text_of"]


def pairs(flat: Sequence[Any]) -> dict[bytes, Any]:
    """Return a flat list of keys and values as a dictionary."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def text_of(value: Any) -> str:
    """Return a text that may have come as bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)
