"""The Hugging Face hub, or the mirror that HF_ENDPOINT names, gives facts of a model and the bytes of its weights."""

from __future__ import annotations

import os
import time
from importlib.util import find_spec

from dizuo.artifacts import parse
from dizuo.artifacts.reaching import Unanswered
from dizuo.artifacts.sources import hf
from dizuo.machine.checks import Check
from dizuo.machine.findings import Finding, broken, look, skipped, well
from dizuo.machine.surroundings import Surroundings, unanswered

__all__ = ["CHECK", "KNOWN"]

KNOWN = "hf:sentence-transformers/all-MiniLM-L6-v2"
"""A model that mirrors have; asked where no recipe names one."""


def check(surroundings: Surroundings) -> Finding:
    """Ask for a model's files, and for the first bytes of its weights, which hubs keep on other servers."""
    named = surroundings.named("hf")
    needed = bool(named or os.environ.get("HF_ENDPOINT"))
    if find_spec("huggingface_hub") is None:
        hint = 'pip install "dizuo[hub]"'
        return broken("its client is not installed", hint=hint) if named else skipped(f"not installed; {hint}")
    began, came = time.monotonic(), ""
    for address in named or [parse(KNOWN)]:
        try:
            found = hf.ask(address)
            file = hf.choose(found, hf.wanted_of(address, found))
            came = hf.sample(address.name, found.kind, found.commit, file, seconds=surroundings.seconds)
        except Unanswered as error:
            return unanswered(error, needed=needed, instead=hf.INSTEAD)
        except OSError as error:  # the client's: there is no such model, or it wants a login
            said = (str(error).strip().splitlines() or [""])[0][:100]
            hint = "check the spelling; a private one needs: hf auth login; a mirror may lack it"
            measured = f"{hf.endpoint()} answers, and does not give {address.name}: {said}"
            return broken(measured, hint=hint) if named else look(measured, hint=hint)
    return well(f"{hf.endpoint()} gives facts and data ({came.split('/')[2]}) in {time.monotonic() - began:.1f} s")


CHECK = Check(title="Hugging Face hub", order=20, check=check, seconds=12.0)
