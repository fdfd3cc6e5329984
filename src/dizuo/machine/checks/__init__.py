"""The checks of a machine, one file each. A check looks at one thing that networks and machines of companies break.

    from dizuo.machine.findings import broken, well

    def check(surroundings):                               # what it is told is `Surroundings`
        return well("what was measured") if holds() else broken("what was measured", hint="one thing to do")

    CHECK = Check(title="what it looks at", order=50, check=check)

The folder is the registry. A package of yours offers one through the entry-point group `dizuo.machine.checks`, and
`dizuo doctor --machine` runs it with the others. All run at once, in threads: a check changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dizuo.machine.findings import Finding
from dizuo.machine.surroundings import Surroundings
from dizuo.plugins import Kind, check_fields

__all__ = ["CHECKS", "Check"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that is looked at."""

    title: str
    """What it looks at, as in `package index`."""
    order: int
    """Checks are shown in this order."""
    check: Callable[[Surroundings], Finding]
    """(surroundings) -> well, look, broken, or skipped and why."""
    seconds: float = 8.0
    """It is given up after so long."""
    name: str = ""
    """The name of its file; filled when it is loaded."""

    def __post_init__(self) -> None:
        check_fields(self)


CHECKS = Kind("check of the machine", "dizuo.machine.checks", "CHECK", Check)
"""Every check, ours and third parties'."""
