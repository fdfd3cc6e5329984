"""The other methods and adapters, two steps each: the same files as of longer training."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import samples
from recording_training import trained

__all__ = ["things"]


def things(given: argparse.Namespace) -> Iterator[tuple[str, Callable[[], Any]]]:
    for name in samples.SHORT:
        yield from trained(name)
