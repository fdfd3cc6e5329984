"""Running every check of the machine at once, each within its own seconds."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from dizuo.artifacts.reaching import patience, within
from dizuo.errors import DizuoError
from dizuo.events import Watcher, ignore
from dizuo.machine.checks import CHECKS, Check
from dizuo.machine.findings import Finding, broken, look
from dizuo.machine.surroundings import Surroundings

__all__ = ["Examination", "Result", "examine"]


@dataclass(frozen=True, slots=True)
class Result:
    """One check and its finding."""

    check: str
    """Name of its file, as in `package_index`."""
    title: str
    finding: Finding
    seconds: float


@dataclass(frozen=True, slots=True)
class Examination:
    """Every check of this machine."""

    results: tuple[Result, ...]
    seconds: float

    @property
    def healthy(self) -> bool:
        """Whether nothing is broken."""
        return all(result.finding.state != "broken" for result in self.results)

    def __getitem__(self, check: str) -> Finding:
        """Return one check's finding by its name."""
        return next(result.finding for result in self.results if result.check == check)


def examine(
    addresses: Sequence[str] = (), *, only: Sequence[str] | None = None, watch: Watcher = ignore
) -> Examination:
    """Return what every check finds on this machine.

    Args:
        addresses: what a recipe names: its sources must be reachable, others need not be.
        only: names of checks; None is all of them.
        watch: not told anything yet; all checks together take seconds.

    Raises:
        DizuoError: no check has one of these names, or `DIZUO_PATIENCE` is no number.
    """
    began = time.perf_counter()
    for name in only or ():
        CHECKS.check(name)
    surroundings = Surroundings(tuple(addresses), patience())
    checks = [CHECKS.load(name) for name in CHECKS.names() if only is None or name in only]
    checks.sort(key=lambda check: (check.order, check.name))
    results: dict[str, Result] = {}

    def run(check: Check) -> None:
        begun = time.perf_counter()
        finding = _find(check, surroundings)
        results[check.name] = Result(check.name, check.title, finding, time.perf_counter() - begun)

    threads = [threading.Thread(target=run, args=(check,), daemon=True) for check in checks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Examination(tuple(results[check.name] for check in checks), time.perf_counter() - began)


def _find(check: Check, surroundings: Surroundings) -> Finding:
    limit = max(check.seconds, surroundings.seconds * 2)
    try:
        return within(limit, lambda: check.check(surroundings))
    except TimeoutError:
        return look(f"not done after {limit:g} s", hint="the machine is busy, or what it asks hangs: try it again")
    except DizuoError as error:
        said = "; ".join([error.message, *error.details])
        return broken(said, hint=error.hint or "see the message")
    except Exception as error:  # a check asks drivers and clients, which may raise anything
        frame = traceback.extract_tb(error.__traceback__)[-1]
        text = (str(error).splitlines() or ["no message"])[0][:160]
        return look(f"the check failed: {type(error).__name__}: {text}", hint=f"see {frame.filename}:{frame.lineno}")
