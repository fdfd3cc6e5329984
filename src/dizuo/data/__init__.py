"""Data sets: read, checked, split without leaks, written once, and rendered with the model's own template.

    prepare    files -> a dataset folder (and the Dataset over it)
    open       a dataset folder -> Dataset
    Dataset    train / validation / test, the task, and the card that accounts for every row
    Task       what the data asks of a model; chat_for and prompt_messages turn examples into conversations

Importing this package loads the standard library only; each name is bound when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dizuo.data.dataset import Dataset, Split, open, order
    from dizuo.data.options import PrepareOptions
    from dizuo.data.preparing import prepare
    from dizuo.data.representing import find_lost
    from dizuo.data.task import Task, chat_for, prompt_messages

__all__ = [
    "Dataset",
    "PrepareOptions",
    "Split",
    "Task",
    "chat_for",
    "find_lost",
    "open",
    "order",
    "prepare",
    "prompt_messages",
]

_HOMES = {
    "Dataset": "dataset",
    "PrepareOptions": "options",
    "Split": "dataset",
    "Task": "task",
    "chat_for": "task",
    "find_lost": "representing",
    "open": "dataset",
    "order": "dataset",
    "prepare": "preparing",
    "prompt_messages": "task",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
