"""Going on exactly where a run stood, or refusing to, naming what is different."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout

from dizuo.errors import TrainingError
from dizuo.events import Note, Warned, Watcher
from dizuo.training.checkpoints import Checkpoints, State, random_state, restore_random_state
from dizuo.training.planning import machine
from dizuo.training.planning.plan import Plan, request_differences
from dizuo.training.ranks.group import ALONE, Ranks
from dizuo.training.run import Metrics
from dizuo.training.stepping.stepper import Stepper
from dizuo.training.tokens.tokenizing import TokenStore

__all__ = [
    "alone",
    "begin",
    "draw_from",
    "facts",
    "open_store",
    "quiet_globals",
    "refuse_other_plan",
    "refuse_strangers",
]


def begin(plan: Plan, stepper: Stepper, watch: Watcher) -> State:
    """Return the state to go on from, with weights, optimizer and random states in place on every rank."""
    ranks = stepper.ranks
    checkpoints, metrics = Checkpoints(plan.folder / "checkpoints"), Metrics(plan.folder / "metrics.jsonl")
    checkpoint = checkpoints.latest(watch=watch)
    step = None if checkpoint is None else checkpoint.state.step
    ranks.agree({"the newest whole checkpoint": "none" if step is None else f"of step {step}"})
    if checkpoint is None:
        if ranks.first:
            metrics.cut_back(0)
        return State()
    refuse_other_plan(checkpoint.state.facts, plan)
    changed = machine.differences(checkpoint.state.facts["machine"], facts(plan, ranks)["machine"])
    if changed and not plan.allow_different_machine:
        raise TrainingError(
            f"{plan.folder} was trained on another machine up to step {checkpoint.state.step}; going on here would "
            "not give the same result",
            details=changed,
            hint="resume on the same machine, or accept the difference with allow_different_machine",
        )
    if changed:
        watch(Warned(f"resuming on another machine, the result is not bitwise the same: {'; '.join(changed)}"))
    before = checkpoint.state.facts.get("ranks", 1)
    if before != ranks.world:
        watch(
            Warned(
                f"trained by {before} ranks up to step {step}, now by {ranks.world}: the result is the same up to "
                "rounding, not bitwise"
            )
        )
    stepper.load_weights(checkpoint.weights())
    stepper.load_optimizer(checkpoint.optimizer())
    restore_random_state(checkpoint.random)
    if ranks.first:
        metrics.cut_back(checkpoint.state.step)
    watch(Note(f"resuming after step {checkpoint.state.step}"))
    return checkpoint.state


def facts(plan: Plan, ranks: Ranks = ALONE) -> dict[str, Any]:
    """Return what a checkpoint must agree with to be resumed; the number of ranks may change."""
    return {
        "inputs": dict(plan.inputs),
        "values": {name: value.value for name, value in plan.values.items()},
        "method_options": dict(plan.method_options),
        "machine": machine.facts(threads=plan["threads"], device=plan["device"]),
        "ranks": ranks.world,
    }


def refuse_strangers(plan: Plan, ranks: Ranks) -> None:
    """Refuse ranks whose plan, tokens or library versions are not rank 0's; the tokens were read and verified.

    Raises:
        TrainingError: on every rank, naming the ranks and what differs.
    """
    libraries = machine.facts(threads=plan["threads"], device=plan["device"])["libraries"]
    tokens = {name: digest for name, digest in plan.inputs.items() if name.startswith("tokens.")}
    ranks.agree({"the plan": plan.digest, **tokens, **libraries})


def draw_from(seed: int, step: int, rank: int) -> None:
    """Make what a rank draws in a step (dropout) a function of the seed, the step and the rank alone."""
    torch.manual_seed(int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0]))


def refuse_other_plan(there: Mapping[str, Any], plan: Plan) -> None:
    here = json.loads(json.dumps(facts(plan)))
    changed: list[str] = []
    for part in ("inputs", "values", "method_options"):
        changed += request_differences(there[part], here[part])
    if changed:
        raise TrainingError(
            f"{plan.folder} holds another run",
            details=changed,
            hint="train with the same settings and data, choose another folder, or delete this one to start again",
        )


def open_store(plan: Plan, name: str) -> TokenStore | None:
    if f"tokens.{name}" not in plan.inputs:
        return None
    folder = plan.folder / "tokens" / name
    try:
        store = TokenStore(folder)
        whole = store.digest == plan.inputs[f"tokens.{name}"] and store.verify()
    except (OSError, ValueError, KeyError):
        whole = False
    if not whole:
        raise TrainingError(
            f"{folder} does not hold the tokens that were planned",
            hint=f"delete {plan.folder / 'plan.json'} and plan again",
        )
    return store


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the run's folder against other processes; a killed process lets go of it."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise TrainingError(
            f"another process is training in {folder}", hint="wait for it, or choose another folder"
        ) from None


@contextmanager
def quiet_globals(plan: Plan, ranks: Ranks = ALONE) -> Iterator[None]:
    """Use the plan's seed and threads (ranks of one machine share them), and give the caller back their own."""
    before, threads = random_state(), torch.get_num_threads()
    torch.set_num_threads(max(1, plan["threads"] // ranks.local_world))
    torch.manual_seed(plan["seed"])
    np.random.seed(plan["seed"] % 2**32)
    random.seed(plan["seed"])
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        restore_random_state(before)
