"""The training loop: steps, evaluations, checkpoints, and going on exactly where a killed run stood.

Whatever a step depends on is a function of the plan and the step's number (rows, learning rate, randomness) or is in
the checkpoint (weights, optimizer, best evaluation), so k steps, a kill and the rest give the bits of an uninterrupted
run.

The loop is the same for one process and for several (`ranks.py`). Every rank walks through it with the same numbers:
what decides is summed over ranks in double precision before anything is decided. Rank 0 alone writes files, tells the
watcher, and runs an evaluation of the caller's.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, SupportsFloat, TypeVar

from dizuo.artifacts.digests import digest_tree
from dizuo.artifacts.writing import write_json
from dizuo.errors import TrainingError
from dizuo.events import Finished, Metric, Note, Progress, Started, Watcher, ignore
from dizuo.training.building.build import as_planned, guarded, make_network, make_stepper, placed
from dizuo.training.checkpoints import Checkpoints, State
from dizuo.training.methods import METHODS
from dizuo.training.planning.plan import Plan
from dizuo.training.ranks.group import ALONE, Ranks
from dizuo.training.resuming import (
    alone,
    begin,
    draw_from,
    facts,
    open_store,
    quiet_globals,
    refuse_other_plan,
    refuse_strangers,
)
from dizuo.training.run import Metrics, Run
from dizuo.training.stepping import reference
from dizuo.training.stepping.schedule import learning_rate
from dizuo.training.stepping.stepper import Figures, Stepper
from dizuo.training.tokens.batching import Stream
from dizuo.training.tokens.tokenizing import TokenStore

if TYPE_CHECKING:
    from dizuo.models import Model

__all__ = ["EvaluateFn", "train"]

T = TypeVar("T")

EvaluateFn = Callable[["Model", int], Mapping[str, float]]
"""Given the model and the step, returns figures for metrics.jsonl; `score` among them (higher is better) decides which
checkpoint is the best, instead of the validation loss. Names that the run writes itself (`OWN`) are refused."""
OWN = ("epoch", "grad_norm", "learning_rate", "loss", "packed_tokens", "seconds", "step", "tokens", "validation_loss")
"""Names in metrics.jsonl that belong to the run."""


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
    run = Run(plan.folder, plan)
    watch = watch if ranks.first else ignore
    sharded = plan["shard"] == "fsdp2" and ranks.world > 1
    if ranks.from_first(lambda: evaluate_fn is not None):
        evaluate_fn = evaluate_fn or _on_rank_0
    if sharded and evaluate_fn is not None:
        raise TrainingError(
            "an evaluation of your own needs whole weights on one rank, and shard: fsdp2 leaves none whole",
            hint="leave it out (the validation loss is computed all the same), or set shard: none",
        )
    finished = ranks.from_first(lambda: run.finished)
    if finished is not None:
        refuse_other_plan(finished["facts"], plan)
        return run
    if model is not None and model.spec.digest != plan.model.digest:
        raise TrainingError(
            f"the model given is {model.spec.id}, but the plan is for {plan.model.id}",
            details=[f"{model.spec.digest[:19]} given, {plan.model.digest[:19]} planned"],
            hint="plan with the model that is to be trained",
        )
    with contextlib.ExitStack() as stack:
        stack.enter_context(quiet_globals(plan, ranks))
        ranks.from_first(lambda: stack.enter_context(alone(plan.folder)))
        stores = {name: open_store(plan, name) for name in ("train", "validation")}
        refuse_strangers(plan, ranks)
        training = stores["train"]
        assert training is not None
        loaded = as_planned(model or plan.model, plan["quantize"])
        if not sharded:  # sharding moves the weights itself, block by block
            stack.enter_context(placed(loaded, plan["device"]))
        network = make_network(plan, loaded)
        try:
            stepper = make_stepper(plan, network, ranks)
            if METHODS.load(plan["method"]).needs_reference:
                _references(plan, stepper, stores, watch)
            state = begin(plan, stepper, watch)
            _loop(plan, state, stepper, training, stores["validation"], evaluate_fn, watch)
            _finish(plan, state, stepper)
        finally:
            if not sharded:  # what is spread over ranks stays so
                network.release()
    return run


def _on_rank_0(model: Model, step: int) -> Mapping[str, float]:
    raise AssertionError("an evaluation runs on rank 0 alone")


def _references(plan: Plan, stepper: Stepper, stores: Mapping[str, TokenStore | None], watch: Watcher) -> None:
    """Compute, once, what the sequences that the run will read are worth to the model before it is trained."""
    for name, store in stores.items():
        if store is not None:
            wanted = _stream(plan, store).every() if name == "train" else range(len(store))
            reference.compute(stepper, store, wanted, name=name, guard=lambda work: guarded(work, plan), watch=watch)


def _stream(plan: Plan, training: TokenStore) -> Stream:
    return Stream(len(training), batch_size=plan["batch_size"], total=plan["num_examples"], seed=plan["seed"])


def _loop(
    plan: Plan,
    state: State,
    stepper: Stepper,
    training: TokenStore,
    validation: TokenStore | None,
    evaluate_fn: EvaluateFn | None,
    watch: Watcher,
) -> None:
    stream, ranks = _stream(plan, training), stepper.ranks
    num_steps: int = plan["num_steps"]
    checkpoints, metrics = Checkpoints(plan.folder / "checkpoints"), Metrics(plan.folder / "metrics.jsonl")
    seconds: deque[float] = deque(maxlen=20)
    latest: dict[str, float] = {}
    started, before = time.perf_counter(), state.seconds
    watch(Started("train", num_steps, "steps"))
    while state.step < num_steps and state.stopped is None:
        begun = time.perf_counter()
        step = state.step + 1
        rate = learning_rate(
            step,
            peak=plan["learning_rate"],
            warmup_steps=plan["warmup_steps"],
            num_steps=num_steps,
            schedule=plan["schedule"],
        )
        examples = stream.examples(step)
        draw_from(plan["seed"], step, ranks.rank)
        figures = guarded(lambda rows=examples: stepper.accumulate(training, rows), plan)  # type: ignore[misc]
        if not figures.finite:
            raise _not_finite(plan, figures, step, training, examples)
        stepper.apply(figures, learning_rate=rate)
        figures = replace(figures, seconds=time.perf_counter() - begun)
        state.step = step
        line = _line(step, figures, epoch=step * plan["batch_size"] / len(training), learning_rate=rate)
        _write(metrics, line, ranks)
        watch(Metric(step, {name: value for name, value in line.items() if name != "step"}))

        improved = False
        last = step == num_steps
        if validation is not None and plan["eval_every"] and (step % plan["eval_every"] == 0 or last):
            values, improved = _evaluate(plan, state, stepper, validation, evaluate_fn)
            _write(metrics, {"step": step, **values}, ranks)
            watch(Metric(step, values))
            latest.update({name: value for name, value in values.items() if name != "seconds"})
        if improved or last or state.stopped is not None or step % plan["checkpoint_every"] == 0:
            state.facts = facts(plan, ranks)
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


def _write(metrics: Metrics, line: dict[str, Any], ranks: Ranks) -> None:
    if ranks.first:
        metrics.append(line)


def _checkpoint(state: State, stepper: Stepper, checkpoints: Checkpoints, metrics: Metrics) -> None:
    """Write a checkpoint, after making sure that the ranks still have the same weights."""
    stepper.refuse_drift(state.step)
    weights, optimizer = stepper.weights(), stepper.optimizer_tensors()
    if stepper.ranks.first:
        metrics.flush()
        checkpoints.save(state, weights, optimizer)


def _evaluate(
    plan: Plan, state: State, stepper: Stepper, validation: TokenStore, evaluate_fn: EvaluateFn | None
) -> tuple[dict[str, float], bool]:
    """Return the evaluation's figures and whether it is the best so far; update the state."""
    figures = guarded(lambda: stepper.evaluate(validation, batch_size=plan["batch_size"]), plan)
    if not figures.finite:
        raise TrainingError(
            f"the validation loss is {figures.loss} after step {state.step}",
            details=[f"the last whole checkpoint is kept in {plan.folder / 'checkpoints'}"],
            hint="lower learning_rate",
        )
    values = {"validation_loss": figures.loss, "seconds": figures.seconds}
    values |= {f"validation_{name}": value for name, value in figures.also.items()}
    if evaluate_fn is not None:
        values |= stepper.ranks.from_first(
            lambda: _own_figures(evaluate_fn(stepper.network.model, state.step), state.step)
        )
    score = values.get("score", -figures.loss)
    improved = state.best_score is None or score > state.best_score
    if improved:
        state.best_step, state.best_score, state.worse_evaluations = state.step, score, 0
    else:
        state.worse_evaluations += 1
        if plan["patience"] is not None and state.worse_evaluations >= plan["patience"]:
            state.stopped = f"{state.worse_evaluations} evaluations without a better one than at step {state.best_step}"
    return values, improved


def _own_figures(given: Mapping[str, float], step: int) -> dict[str, float]:
    """Return what an evaluation function gave, checked."""
    taken = sorted(given.keys() & set(OWN))
    if taken:
        raise TrainingError(
            f"the evaluation after step {step} gave figures under names of the run's own: {', '.join(taken)}",
            hint="return them under other names",
        )
    wrong = [
        f"{name} is {value!r}"
        for name, value in given.items()
        if not isinstance(value, SupportsFloat) or not math.isfinite(value)
    ]
    if wrong:
        raise TrainingError(f"the evaluation after step {step} gave figures that are not numbers", details=wrong)
    return {name: float(value) for name, value in given.items()}


def _finish(plan: Plan, state: State, stepper: Stepper) -> None:
    """Write the result on rank 0, then the file that says so."""
    best = plan["keep"] == "best" and state.best_step is not None
    step = state.best_step if best else state.step
    assert step is not None
    stepper.ranks.from_first(lambda: _write_result(plan, state, stepper, step))


def _write_result(plan: Plan, state: State, stepper: Stepper, step: int) -> None:
    network = stepper.network
    if stepper.sharded:
        # Every checkpoint is whole, so the result needs no word from the other ranks.
        network = make_network(plan, as_planned(plan.model, plan["quantize"]))
    if stepper.sharded or step != state.step:
        network.load_weights(Checkpoints(plan.folder / "checkpoints").load(step).weights())
    result = network.save(plan.folder)
    write_json(
        plan.folder / "finished.json",
        {
            "step": state.step,
            "best_step": state.best_step,
            "best_score": state.best_score,
            "stopped": state.stopped,
            "seconds": state.seconds,
            "result": result.name,
            "digest": digest_tree(result),
            "facts": facts(plan, stepper.ranks),
        },
    )


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
        hint=f"lower learning_rate (it is {plan['learning_rate']:g}), or look at these rows",
    )


def _line(step: int, figures: Figures, **more: float) -> dict[str, Any]:
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
