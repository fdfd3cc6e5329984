"""Evaluation: is the tuned model better, by how much, how sure is that, and would a cheap model be enough?

A model, a data set and what training left go in; a `Report` comes out. It passes through these files, in order:

    options             what can be set in a recipe's `evaluate`
    evaluating          `evaluate`: the walk through all of this
    choosing            which kind of task it is, and by which score; a metric that does not suit is refused
    setting             what is evaluated: the items, the training rows, the models
    kinds/              one file per kind of task: which rows a report has
    baselines/          what costs next to nothing: cheap models, and prompts of the untuned model
    answering/          how models are asked, and what they answer
    scoring             what the score column shows, and what an answer is worth
    metrics/            what a single answer is worth: accuracy, exact match, chrF, …
    figures/            what only a whole set has: macro F1, calibration, perplexity, …
    normalising         texts as metrics compare them
    calls               answers that are calls: as texts, and when two of them are the same
    reporting/          rows with intervals and paired tests, the one-line verdict, `Report`, report.json
    gate                what a report must show before the model is deployed

Beside it stand `probing` (an untrained model on a sample of the user's own data, and which model to tune) and
`training_samples` (what a model answers to a few validation rows while it is trained). Intervals and tests are computed
by `dizuo.significance`; report.html is drawn by `dizuo.pages`.

Importing this package loads the standard library only; each name is bound when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dizuo import lazy

if TYPE_CHECKING:
    from dizuo.evaluation.evaluating import evaluate
    from dizuo.evaluation.gate import unmet
    from dizuo.evaluation.options import EvaluateOptions
    from dizuo.evaluation.probing import Probe, cheap_rows, probe, recommend
    from dizuo.evaluation.reporting.report import Report, Row
    from dizuo.evaluation.training_samples import answer_now, watched_items


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
        "answer_now": "training_samples",
        "cheap_rows": "probing",
        "evaluate": "evaluating",
        "probe": "probing",
        "recommend": "probing",
        "unmet": "gate",
        "watched_items": "training_samples",
    },
)
