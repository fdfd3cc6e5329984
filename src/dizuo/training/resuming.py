"""Going on exactly where a run stood, or refusing to, naming what is different."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout

from dizuo.errors import TrainingError
from dizuo.events import Note, Warned, Watcher
from dizuo.training.checkpoints import Checkpoints, State, capture_random_state, restore_random_state
from dizuo.training.planning.facts import Facts
from dizuo.training.planning.machine import Machine
from dizuo.training.planning.plan import Plan
from dizuo.training.ranks.group import ALONE, Ranks
from dizuo.training.run import Metrics
from dizuo.training.stepping.stepper import Stepper
from dizuo.training.tokens.tokenizing import TokenStore

__all__ = [
    "lock_folder",
    "open_store",
    "own_randomness",
    "refuse_other_plan",
    "refuse_other_ranks",
    "restore",
    "seed_step",
]


def restore(plan: Plan, stepper: Stepper, watch: Watcher) -> State:
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
    assert checkpoint.state.facts is not None
    there, now = checkpoint.state.facts, Facts.of(plan, ranks=ranks.world)
    refuse_other_plan(there, plan)
    changed = there.machine.differences(now.machine)
    if changed and not plan.allow_different_machine:
        raise TrainingError(
            f"{plan.folder} was trained on another machine up to step {checkpoint.state.step}; going on here would "
            "not give the same result",
            details=changed,
            hint="resume on the same machine, or accept the difference with allow_different_machine",
        )
    if changed:
        watch(Warned(f"resuming on another machine, the result is not bitwise the same: {'; '.join(changed)}"))
    if there.ranks != ranks.world:
        watch(
            Warned(
                f"trained by {there.ranks} ranks up to step {step}, now by {ranks.world}: the result is the same up to "
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


def refuse_other_ranks(plan: Plan, ranks: Ranks) -> None:
    """Refuse ranks whose plan, tokens or library versions are not rank 0's; the tokens were read and verified.

    Raises:
        TrainingError: on every rank, naming the ranks and what differs.
    """
    libraries = Machine.here(threads=plan.use.threads, device=plan.use.device).libraries
    tokens = {name: digest for name, digest in plan.inputs.items() if name.startswith("tokens.")}
    ranks.agree({"the plan": plan.digest, **tokens, **libraries})


def seed_step(seed: int, step: int, rank: int) -> None:
    """Make what a rank draws in a step (dropout) a function of the seed, the step and the rank alone."""
    torch.manual_seed(int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0]))


def refuse_other_plan(there: Facts, plan: Plan) -> None:
    """Refuse to go on from what another plan left.

    Raises:
        TrainingError: naming every value that differs.
    """
    changed = there.plan.differences(plan.trained(), inner=True)
    if changed:
        raise TrainingError(
            f"{plan.folder} holds another run",
            details=changed,
            hint="train with the same settings and data, choose another folder, or delete this one to start again",
        )


def open_store(plan: Plan, name: str) -> TokenStore | None:
    """Return the planned tokens of a split, verified; None where the plan has none.

    Raises:
        TrainingError: they are not those that were planned.
    """
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
def lock_folder(folder: Path) -> Iterator[None]:
    """Keep other processes out of the run's folder; a killed process lets go of it."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise TrainingError(
            f"another process is training in {folder}", hint="wait for it, or choose another folder"
        ) from None


@contextmanager
def own_randomness(*, seed: int, threads: int, ranks: Ranks = ALONE) -> Iterator[None]:
    """Use a seed and a number of threads (which ranks of one machine share), and give the caller back their own."""
    before, threads_before = capture_random_state(), torch.get_num_threads()
    torch.set_num_threads(max(1, threads // ranks.local_world))
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_num_threads(threads_before)
        restore_random_state(before)
