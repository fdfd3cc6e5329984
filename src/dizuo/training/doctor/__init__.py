"""The self-test: every mistake that this field makes in training, looked for on the user's own model and data.

    examine(model, data, …) -> Diagnosis     every check of `checks/`, each a `Finding`: green, red, or skipped and why

One check is one file in `checks/`; the folder is the registry. A check has

    title     what holds when it is green, as in "every trained turn ends with its end of turn"
    trap      number of the line in the list of traps that it guards; checks are shown in this order
    check     (patient) -> Finding

It is a function of the patient alone: the plan, the model, and a few rows of the data. Nothing is written outside a
scratch folder, and the model is given back as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dizuo import lazy

if TYPE_CHECKING:
    from dizuo.training.doctor.examining import Diagnosis, Result, examine
    from dizuo.training.doctor.findings import Finding, green, red, skipped
    from dizuo.training.doctor.subject import Patient, Row

__all__ = ["Diagnosis", "Finding", "Patient", "Result", "Row", "examine", "green", "red", "skipped"]

__getattr__, __dir__ = lazy.names(
    __name__,
    {
        "Diagnosis": "examining",
        "Finding": "findings",
        "Patient": "subject",
        "Result": "examining",
        "Row": "subject",
        "examine": "examining",
        "green": "findings",
        "red": "findings",
        "skipped": "findings",
    },
)
