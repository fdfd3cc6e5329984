"""Data sets: read, checked, split without leaks, written once, and rendered with the model's own template.

    prepare    files -> a dataset folder (and the Dataset over it)
    open       a dataset folder -> Dataset
    Dataset    train / validation / test, the task, and the card that accounts for every row
    Task       what the data asks of a model; chat_for and prompt_messages turn examples into conversations

Importing this package loads the standard library only; each name is bound when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dizuo import lazy

if TYPE_CHECKING:
    from dizuo.data.checks.characters import find_lost
    from dizuo.data.dataset import Dataset, Split, open, order
    from dizuo.data.options import PrepareOptions
    from dizuo.data.preparing import prepare
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

__getattr__, __dir__ = lazy.names(
    __name__,
    {
        "Dataset": "dataset",
        "PrepareOptions": "options",
        "Split": "dataset",
        "Task": "task",
        "chat_for": "task",
        "find_lost": "checks.characters",
        "open": "dataset",
        "order": "dataset",
        "prepare": "preparing",
        "prompt_messages": "task",
    },
)
