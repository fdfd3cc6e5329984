"""Evaluation: is the tuned model better, by how much, how sure is that, and would something cheap have done?

    evaluate   a model, a data set and what training left -> Report (report.json and report.html)
    Report     rows with intervals and paired tests, a verdict, what changed, answers side by side
    probe      an untrained model on a sample of the user's own data; `recommend` chooses among probes
    answer_now what a model that is being trained answers to a few validation rows

Importing this package loads the standard library only; each name is bound when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dizuo import lazy

if TYPE_CHECKING:
    from dizuo.evaluation.during import answer_now, watched_items
    from dizuo.evaluation.evaluating import evaluate
    from dizuo.evaluation.gate import unmet
    from dizuo.evaluation.options import EvaluateOptions
    from dizuo.evaluation.probing import Probe, cheap_rows, probe, recommend
    from dizuo.evaluation.reporting.report import Report, Row


__all__ = [
    "EvaluateOptions",
    "Probe",
    "Report",
    "Row",
    "answer_now",
    "cheap_rows",
    "evaluate",
    "probe",
    "recommend",
    "unmet",
    "watched_items",
]

__getattr__, __dir__ = lazy.names(
    __name__,
    {
        "EvaluateOptions": "options",
        "Probe": "probing",
        "Report": "reporting.report",
        "Row": "reporting.report",
        "answer_now": "during",
        "cheap_rows": "probing",
        "evaluate": "evaluating",
        "probe": "probing",
        "recommend": "probing",
        "unmet": "gate",
        "watched_items": "during",
    },
)
