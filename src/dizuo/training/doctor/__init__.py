"""The self-test looks for every known mistake of training on the user's own model and data.

    examine(model, data, …) -> Diagnosis     runs every check of `checks/`; each returns a `Finding`: green, red, or
                                             skipped and why

A check is a function of the `Subject` alone: the plan, the model, and a few rows of the data. Nothing is written
outside a scratch folder, and the model is given back as it was.

    examining.py    examine(): one check after the other, in the order of the list of mistakes
    subject.py      Subject: what checks look at, made ready once
    checks/         one file per check, each ending in CHECK = Check(title=…, trap=…, check=…)
    findings.py     Finding, and how a check makes one: green(), red(), skipped()

    turns.py        where each trained answer stands in its token sequences
    losses.py       the method's loss on log-probabilities that no model made
    trials.py       short real runs, stopped where a kill would stop them
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dizuo import lazy

if TYPE_CHECKING:
    from dizuo.training.doctor.checks import Check
    from dizuo.training.doctor.examining import Diagnosis, Result, examine
    from dizuo.training.doctor.findings import Finding, green, red, skipped
    from dizuo.training.doctor.subject import Row, Subject

__all__ = [
    "Check", "Diagnosis", "Finding", "Result", "Row", "Subject", "examine", "green", "red", "skipped",
]  # fmt: skip

__getattr__, __dir__ = lazy.names(
    __name__,
    {
        "Check": "checks",
        "Diagnosis": "examining",
        "Finding": "findings",
        "Subject": "subject",
        "Result": "examining",
        "Row": "subject",
        "examine": "examining",
        "green": "findings",
        "red": "findings",
        "skipped": "findings",
    },
)
