"""What a run ends with: its adapter or weights, then the file that says that it ended."""

from __future__ import annotations

from dizuo.artifacts.digests import digest_tree
from dizuo.artifacts.writing import write_json
from dizuo.training.building.build import build_network, load_quantized
from dizuo.training.checkpoints import Checkpoints, State
from dizuo.training.planning.facts import Facts
from dizuo.training.planning.plan import Plan
from dizuo.training.run import Ended
from dizuo.training.stepping.stepper import Stepper

__all__ = ["write_result"]


def write_result(plan: Plan, state: State, stepper: Stepper) -> None:
    """Write the adapter or the weights on rank 0, of the best step where the plan keeps that; then finished.json."""
    best = plan.use.keep == "best" and state.best_step is not None
    step = state.best_step if best else state.step
    assert step is not None
    stepper.ranks.from_first(lambda: _write(plan, state, stepper, step))


def _write(plan: Plan, state: State, stepper: Stepper, step: int) -> None:
    network = stepper.network
    if stepper.sharded:
        # Every checkpoint is whole, so the result needs no word from the other ranks.
        network = build_network(plan, load_quantized(plan.model, plan.use.quantize))
    if stepper.sharded or step != state.step:
        network.load_weights(Checkpoints(plan.folder / "checkpoints").load(step).weights())
    result = network.save(plan.folder)
    ended = Ended(
        step=state.step,
        best_step=state.best_step,
        best_score=state.best_score,
        stopped=state.stopped,
        seconds=state.seconds,
        result=result.name,
        digest=digest_tree(result),
        facts=Facts.of(plan, ranks=stepper.ranks.world),
    )
    write_json(plan.folder / "finished.json", ended.to_json())
