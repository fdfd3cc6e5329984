"""The training loop: steps, evaluations, checkpoints, and going on exactly where a killed run stood.

Whatever a step depends on is a function of the plan and the step's number (rows, learning rate, randomness) or is in
the checkpoint (weights, optimizer, best evaluation), so k steps, a kill and the rest give the bits of an uninterrupted
run.

The loop is the same for one process and for several (`ranks/`). Every rank walks through it with the same numbers:
what decides is summed over ranks in double precision before anything is decided. Rank 0 alone writes files, tells the
watcher, and runs an evaluation of the caller's.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from dizuo.errors import TrainingError
from dizuo.events import Finished, Metric, Note, Progress, Started, Watcher, ignore
from dizuo.training.building.build import build_network, build_stepper, explain_out_of_memory, load_quantized, on_device
from dizuo.training.building.result import write_result
from dizuo.training.checkpoints import Checkpoints, State
from dizuo.training.methods import METHODS
from dizuo.training.planning.facts import Facts
from dizuo.training.planning.plan import Plan
from dizuo.training.planning.settings import Settings
from dizuo.training.ranks.drift import refuse_drift
from dizuo.training.ranks.group import ALONE, Ranks
from dizuo.training.resuming import (
    lock_folder,
    open_store,
    own_randomness,
    refuse_other_plan,
    refuse_other_ranks,
    restore,
    seed_step,
)
from dizuo.training.run import Metrics, Run
from dizuo.training.stepping import reference
from dizuo.training.stepping.schedule import scheduled_rate
from dizuo.training.stepping.stepper import Figures, Stepper
from dizuo.training.stepping.validating import EvaluateFn, judge
from dizuo.training.tokens.batching import Stream
from dizuo.training.tokens.tokenizing import TokenStore

if TYPE_CHECKING:
    from dizuo.models import Model

__all__ = ["train"]

T = TypeVar("T")


def train(
    plan: Plan,
    *,
    model: Model | None = None,
    watch: Watcher = ignore,
    evaluate_fn: EvaluateFn | None = None,
    ranks: Ranks = ALONE,
) -> Run:
    """Train a plan to its end, going on from its last checkpoint where there is one.

    Args:
        plan: from `dizuo.training.plan`.
        model: the loaded model, to save loading it again. With adapter `lora` it comes back unchanged; with `full`
            its weights are the trained ones afterwards. Where weights are sharded over ranks it is used up.
        watch: told progress and the figures of every step, on rank 0.
        evaluate_fn: a further evaluation, run when the validation split is, on rank 0. It needs whole weights there,
            so it cannot be given where they are sharded.
        ranks: from `dizuo.training.ranks.group.join`, where several processes train this plan together. Their number
            may differ from that before the last checkpoint: the result then is the same up to rounding.

    Returns:
        The finished run; at once, without loading anything, when it was finished before.

    Raises:
        TrainingError: loss or gradient is not finite; the folder holds another run, or was begun on another machine;
            another process is training in it; ranks differ in plan, tokens or versions. No result is written, and the
            last checkpoint stays.
    """
    run, use = Run(plan.folder, plan), plan.use
    watch = watch if ranks.first else ignore
    sharded = use.shard == "fsdp2" and ranks.world > 1
    if ranks.from_first(lambda: evaluate_fn is not None):
        evaluate_fn = evaluate_fn or _on_rank_0
    if sharded and evaluate_fn is not None:
        raise TrainingError(
            "an evaluation of your own needs whole weights on one rank, and shard: fsdp2 leaves none whole",
            hint="leave it out (the validation loss is computed all the same), or set shard: none",
        )
    ended = ranks.from_first(lambda: run.ended)
    if ended is not None:
        refuse_other_plan(ended.facts, plan)
        return run
    if model is not None and model.spec.digest != plan.model.digest:
        raise TrainingError(
            f"the model given is {model.spec.id}, but the plan is for {plan.model.id}",
            details=[f"{model.spec.digest[:19]} given, {plan.model.digest[:19]} planned"],
            hint="plan with the model that is to be trained",
        )
    with contextlib.ExitStack() as stack:
        stack.enter_context(own_randomness(seed=use.seed, threads=use.threads, ranks=ranks))
        ranks.from_first(lambda: stack.enter_context(lock_folder(plan.folder)))
        training, validation = open_store(plan, "train"), open_store(plan, "validation")
        refuse_other_ranks(plan, ranks)
        assert training is not None
        loaded = load_quantized(model or plan.model, use.quantize)
        if not sharded:  # sharding moves the weights itself, block by block
            stack.enter_context(on_device(loaded, use.device))
        network = build_network(plan, loaded)
        try:
            stepper = build_stepper(plan, network, ranks)
            if METHODS.load(use.method).needs_reference:
                _compute_references(use, stepper, training, validation, watch)
            state = restore(plan, stepper, watch)
            _loop(plan, state, stepper, training, validation, evaluate_fn, watch)
            write_result(plan, state, stepper)
        finally:
            if not sharded:  # what is spread over ranks stays so
                network.release()
    return run


def _on_rank_0(model: Model, step: int) -> Mapping[str, float]:
    raise AssertionError("an evaluation runs on rank 0 alone")


def _compute_references(
    use: Settings, stepper: Stepper, training: TokenStore, validation: TokenStore | None, watch: Watcher
) -> None:
    """Compute, once, what the sequences that the run will read are worth to the model before it is trained."""

    def compute(store: TokenStore, examples: Iterable[int], name: str) -> None:
        def guard(work: Callable[[], T]) -> T:
            return explain_out_of_memory(work, tokens_per_block=use.tokens_per_block)

        reference.compute(stepper, store, examples, name=name, guard=guard, watch=watch)

    compute(training, _stream(use, training).every(), "train")
    if validation is not None:
        compute(validation, range(len(validation)), "validation")


def _stream(use: Settings, training: TokenStore) -> Stream:
    return Stream(len(training), batch_size=use.batch_size, total=use.num_examples, seed=use.seed)


def _loop(
    plan: Plan,
    state: State,
    stepper: Stepper,
    training: TokenStore,
    validation: TokenStore | None,
    evaluate_fn: EvaluateFn | None,
    watch: Watcher,
) -> None:
    use, ranks = plan.use, stepper.ranks
    stream, num_steps = _stream(use, training), use.num_steps
    checkpoints, metrics = Checkpoints(plan.folder / "checkpoints"), Metrics(plan.folder / "metrics.jsonl")
    seconds: deque[float] = deque(maxlen=20)
    latest: dict[str, float] = {}
    started, before = time.perf_counter(), state.seconds
    watch(Started("train", num_steps, "steps"))
    while state.step < num_steps and state.stopped is None:
        begun = time.perf_counter()
        step = state.step + 1
        rate = scheduled_rate(
            step,
            peak=use.learning_rate,
            warmup_steps=use.warmup_steps,
            num_steps=num_steps,
            schedule=use.schedule,
        )
        examples = stream.examples(step)
        seed_step(use.seed, step, ranks.rank)
        figures = explain_out_of_memory(
            lambda rows=examples: stepper.accumulate(training, rows),  # type: ignore[misc]
            tokens_per_block=use.tokens_per_block,
        )
        if not figures.finite:
            raise _not_finite(plan, figures, step, training, examples)
        stepper.apply(figures, learning_rate=rate)
        figures = replace(figures, seconds=time.perf_counter() - begun)
        state.step = step
        line = _line(step, figures, epoch=step * use.batch_size / len(training), learning_rate=rate)
        _write(metrics, line, ranks)
        watch(Metric(step, {name: value for name, value in line.items() if name != "step"}))

        improved = False
        last = step == num_steps
        if validation is not None and use.eval_every and (step % use.eval_every == 0 or last):
            evaluated = explain_out_of_memory(
                lambda: stepper.evaluate(validation, batch_size=use.batch_size), tokens_per_block=use.tokens_per_block
            )
            values, improved = judge(
                evaluated,
                state,
                stepper,
                patience=use.patience,
                kept=checkpoints.folder,
                evaluate_fn=evaluate_fn,
            )
            _write(metrics, {"step": step, **values}, ranks)
            watch(Metric(step, values))
            latest.update({name: value for name, value in values.items() if name != "seconds"})
        if improved or last or state.stopped is not None or step % use.checkpoint_every == 0:
            state.facts = Facts.of(plan, ranks=ranks.world)
            state.seconds = before + time.perf_counter() - started
            _checkpoint(state, stepper, checkpoints, metrics)
        seconds.append(time.perf_counter() - begun)
        mean = sum(seconds) / len(seconds)
        live = {"loss": figures.loss, "tokens/s": figures.tokens / figures.seconds, "learning_rate": rate, **latest}
        live["packed tokens/s"] = figures.packed_tokens / figures.seconds
        watch(Progress("train", step, num_steps, "steps", 1 / mean, mean * (num_steps - step), live))
    if state.stopped is not None:
        watch(Note(f"stopped at step {state.step}: {state.stopped}"))
    watch(Finished("train", time.perf_counter() - started, f"{state.step:,} steps"))


def _write(metrics: Metrics, line: Mapping[str, float], ranks: Ranks) -> None:
    if ranks.first:
        metrics.append(line)


def _checkpoint(state: State, stepper: Stepper, checkpoints: Checkpoints, metrics: Metrics) -> None:
    """Write a checkpoint, after making sure that the ranks still have the same weights."""
    refuse_drift(stepper.network.parameters, ranks=stepper.ranks, step=state.step)
    weights, optimizer = stepper.weights(), stepper.optimizer_tensors()
    if stepper.ranks.first:
        metrics.flush()
        checkpoints.save(state, weights, optimizer)


def _not_finite(plan: Plan, figures: Figures, step: int, store: TokenStore, examples: list[int]) -> TrainingError:
    what = "loss" if not math.isfinite(figures.loss) else "gradient norm"
    value = figures.loss if what == "loss" else figures.grad_norm
    rows = ", ".join(str(int(store.rows[example]) + 1) for example in examples[:16])
    kept = Checkpoints(plan.folder / "checkpoints").steps()
    return TrainingError(
        f"the {what} is {value} at step {step}; training stopped and wrote no result",
        details=[
            f"training rows of this step: {rows}",
            f"the checkpoint of step {kept[-1]} is kept" if kept else "there was no checkpoint yet",
        ],
        hint=f"lower learning_rate (it is {plan.use.learning_rate:g}), or look at these rows",
    )


def _line(step: int, figures: Figures, **more: float) -> dict[str, float]:
    return {
        "step": step,
        "loss": figures.loss,
        "grad_norm": figures.grad_norm,
        **more,
        **figures.also,
        "tokens": figures.tokens,
        "packed_tokens": figures.packed_tokens,
        "seconds": figures.seconds,
    }
