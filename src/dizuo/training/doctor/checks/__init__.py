"""The doctor's checks, one file each. A check looks for one known mistake, on the user's own model and data.

    from dizuo.training.doctor.findings import green, red

    def check(subject):                                    # what it can ask is `Subject` in `doctor/subject.py`
        worst = ...                                        # measure something of `subject`
        return green(f"{worst:.1e}") if worst < 1e-5 else red(f"{worst:.1e}", meaning="…", hint="…")

    CHECK = Check(title="what holds when it is green", trap=1, check=check)

The folder is the registry. `docs/concepts/mistakes.md` lists the mistakes by number, and names the check there, too.
A check begins with a docstring that says what holds when it is green. `dizuo.testing.CheckSuite` tests a
check. A package of yours offers one through the entry-point group `dizuo.training.doctor.checks`, and `dizuo doctor`
runs it with the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dizuo.errors import PlanError
from dizuo.plugins import Kind, check_fields

if TYPE_CHECKING:
    from dizuo.training.doctor.findings import Finding
    from dizuo.training.doctor.subject import Subject

__all__ = ["CHECKS", "Check"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that the doctor looks at."""

    title: str
    """What holds when it is green, as in "every trained turn ends with its end of turn"."""
    trap: int
    """Number of the mistake that it looks for in `docs/concepts/mistakes.md`; checks are shown in this order."""
    check: Callable[[Subject], Finding]
    """(subject) -> green, red, or skipped and why. It writes nothing outside the subject's scratch folder, and leaves
    the model as it was."""
    name: str = ""
    """The name of its file; filled when it is loaded."""

    def __post_init__(self) -> None:
        check_fields(self)


CHECKS = Kind("check", "dizuo.training.doctor.checks", "CHECK", Check, error=PlanError)
"""Every check, ours and third parties'."""
