"""ModelScope, or the mirror that MODELSCOPE_ENDPOINT names, gives the files of a model and the bytes of its weights."""

from __future__ import annotations

import os
import time
from importlib.util import find_spec

from dizuo.artifacts import parse
from dizuo.artifacts.hubs import choose_files, choose_sample
from dizuo.artifacts.reaching import Unanswered
from dizuo.artifacts.sources import modelscope
from dizuo.machine.checks import Check
from dizuo.machine.findings import Finding, broken, look, skipped, well
from dizuo.machine.surroundings import Surroundings, unanswered

__all__ = ["CHECK", "KNOWN"]

KNOWN = "modelscope:Qwen/Qwen2.5-0.5B-Instruct"
"""Asked where no recipe names one."""


def check(surroundings: Surroundings) -> Finding:
    """Ask for a model's files, and for the first bytes of its weights, which hubs keep on other servers."""
    named = surroundings.named("modelscope")
    if find_spec("modelscope") is None:
        hint = 'pip install "dizuo[hub]"'
        return broken("its client is not installed", hint=hint) if named else skipped(f"not installed; {hint}")
    began = time.monotonic()
    for address in named or [parse(KNOWN)]:
        try:
            files = modelscope.ask(address)
            file = choose_sample(modelscope.wanted_of(files or (), choose_files(address, files)))
            modelscope.sample(address.name, address.version, file, seconds=surroundings.seconds)
        except Unanswered as error:
            needed = bool(named or os.environ.get("MODELSCOPE_ENDPOINT"))
            return unanswered(error, needed=needed, instead=modelscope.INSTEAD)
        if not files:
            measured = f"{modelscope.endpoint()} answers, and does not give {address.name}"
            hint = "check the spelling; a private one needs: modelscope login; a mirror may lack it"
            return broken(measured, hint=hint) if named else look(measured, hint=hint)
    return well(f"{modelscope.endpoint()} gives facts and data in {time.monotonic() - began:.1f} s")


CHECK = Check(title="ModelScope", order=30, check=check, seconds=12.0)
