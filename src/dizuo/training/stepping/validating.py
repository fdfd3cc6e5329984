"""Evaluations during a run: the validation loss, a further evaluation of the caller's, and which one is the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, SupportsFloat

from dizuo.errors import TrainingError
from dizuo.training.checkpoints import State
from dizuo.training.stepping.stepper import Figures, Stepper

if TYPE_CHECKING:
    from dizuo.models import Model

__all__ = ["EvaluateFn", "judge"]

EvaluateFn = Callable[["Model", int], Mapping[str, float]]
"""Given the model and the step, returns figures for metrics.jsonl; `score` among them (higher is better) decides which
checkpoint is the best, instead of the validation loss. Names that the run writes itself (`OWN`) are refused."""
OWN = ("epoch", "grad_norm", "learning_rate", "loss", "packed_tokens", "seconds", "step", "tokens", "validation_loss")
"""Names in metrics.jsonl that belong to the run."""


def judge(
    figures: Figures,
    state: State,
    stepper: Stepper,
    *,
    patience: int | None,
    kept: Path,
    evaluate_fn: EvaluateFn | None = None,
) -> tuple[dict[str, float], bool]:
    """Return all figures of an evaluation and whether it is the best so far; the state notes that, and why to stop.

    Args:
        figures: of the validation split.
        state: gets the best step and score.
        stepper: with the weights that were evaluated.
        patience: evaluations without a better one, after which the run stops; None never stops it.
        kept: where checkpoints are, for the error.
        evaluate_fn: a further evaluation, run on rank 0.

    Raises:
        TrainingError: the loss is not finite, or `evaluate_fn` gave what cannot be kept.
    """
    if not figures.finite:
        raise TrainingError(
            f"the validation loss is {figures.loss} after step {state.step}",
            details=[f"the last whole checkpoint is kept in {kept}"],
            hint="lower learning_rate",
        )
    values = {"validation_loss": figures.loss, "seconds": figures.seconds}
    values |= {f"validation_{name}": value for name, value in figures.also.items()}
    if evaluate_fn is not None:
        values |= stepper.ranks.from_first(
            lambda: _check_figures(evaluate_fn(stepper.network.model, state.step), state.step)
        )
    score = values.get("score", -figures.loss)
    improved = state.best_score is None or score > state.best_score
    if improved:
        state.best_step, state.best_score, state.worse_evaluations = state.step, score, 0
    else:
        state.worse_evaluations += 1
        if patience is not None and state.worse_evaluations >= patience:
            state.stopped = f"{state.worse_evaluations} evaluations without a better one than at step {state.best_step}"
    return values, improved


def _check_figures(given: Mapping[str, float], step: int) -> dict[str, float]:
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
