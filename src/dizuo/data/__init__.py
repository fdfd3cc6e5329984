"""Files go in; a data set folder comes out whose every row is checked, split without leaks and accounted for.

    prepare    files -> a data set folder, and the Dataset over it
    open       a data set folder -> Dataset
    Dataset    train, validation, test, the task, and the card

A row passes through these files, in this order:

    options.py        what a user may ask of `prepare`
    preparing.py      the whole journey on a page
    reading/          finds the files and the record format, and turns rows into examples
    readers/          container formats, one file each: CSV, JSON lines, Parquet, …
    formats/          record formats, one file each: a text and its label, messages, preference pairs, …
    reviewing.py      what of the rows was not read, and labels that are no classes
    splitting.py      which row goes to which split, and which rows go to none
    checks/           copies, leaks, conflicts, the account of every row, characters that a tokenizer cannot write
    stratifying.py    cuts rows in the labels' proportions, with groups whole
    statistics.py     labels and lengths of a split
    card.py           the card: what `dataset.json` holds
    dataset.py        a data set on disk, and the order in which an epoch visits it
    task.py           what the data asks of a model
    rendering/        examples as token ids, through the model's own chat template

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
    from dizuo.data.rendering.prompts import chat_for, prompt_messages
    from dizuo.data.task import Task

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
        "chat_for": "rendering.prompts",
        "find_lost": "checks.characters",
        "open": "dataset",
        "order": "dataset",
        "prepare": "preparing",
        "prompt_messages": "rendering.prompts",
    },
)
