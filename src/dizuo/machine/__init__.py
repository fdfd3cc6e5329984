"""What this machine has and what it can reach is looked at in seconds, before a run finds out in minutes.

    examine(addresses) -> Examination     runs every check of `checks/` at once, each within its own seconds

A check is a function of the `Surroundings`: which addresses are wanted, and for how long a server may be silent.
Nothing is changed, and what is fetched for a test is thrown away. `dizuo doctor --machine` shows what was found.

    examining.py       examine(), Examination
    surroundings.py    Surroundings: what checks are told
    findings.py        Finding, and how a check makes one: well(), look(), broken(), skipped()
    checks/            one file per check, each ending in CHECK = Check(title=…, order=…, check=…)
"""

from __future__ import annotations

from dizuo.machine.examining import Examination, Result, examine
from dizuo.machine.findings import Finding

__all__ = ["Examination", "Finding", "Result", "examine"]
