"""From a plan and a model to what takes the plan's steps. Nothing is measured here: the plan's choices are followed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

import torch

from dizuo.errors import TrainingError
from dizuo.training.building.network import Network
from dizuo.training.methods import METHODS
from dizuo.training.planning.plan import Plan
from dizuo.training.ranks.group import ALONE, Ranks
from dizuo.training.ranks.sharding import shard
from dizuo.training.stepping.stepper import Stepper
from dizuo.trees import Choice, Runner

if TYPE_CHECKING:
    from dizuo.models import Model, ModelSpec
    from dizuo.models.heads import HeadFacts

__all__ = ["as_planned", "guarded", "make_network", "make_stepper", "placed"]

T = TypeVar("T")

OUT_OF_MEMORY = ("can't allocate memory", "DefaultCPUAllocator", "not enough memory")
"""What torch's CPU allocator writes; on other devices it raises `torch.OutOfMemoryError`."""


def make_network(plan: Plan, model: Model) -> Network:
    """Make a model trainable as the plan says."""
    return Network(
        model,
        adapter=plan["adapter"],
        rank=plan["rank"],
        alpha=plan["alpha"],
        dropout=plan["dropout"],
        targets=plan["targets"],
        seed=plan["seed"],
        num_outputs=plan["num_outputs"] if "num_outputs" in plan.values else 0,
        head=_head_facts(plan),
        golden=_golden(plan, model),
        head_scale=_head_scale(plan),
    )


def as_planned(model: Model | ModelSpec, quantize: str) -> Model:
    """Return the model with its weights quantised as asked: the one that is loaded already, where it is so."""
    from dizuo import models

    if isinstance(model, models.Model):
        if model.quantize == quantize:
            return model
        model = model.spec
    return models.load(model, quantize=quantize)


def _head_scale(plan: Plan) -> float:
    """Return the head's learning rate over that of the rest."""
    return plan["head_learning_rate"] / plan["learning_rate"] if "head_learning_rate" in plan.values else 1.0


def _golden(plan: Plan, model: Model) -> list[tuple[str, list[int]]]:
    """Return texts of nobody's data, the first labels among them, with the ids that they become when they are asked."""
    from dizuo.data import Task
    from dizuo.data.rendering.last_token import render_for

    facts = _head_facts(plan)
    if facts is None or facts.kind == "reward":
        return []
    task = Task.from_json(plan.request["task"])
    texts = [*facts.labels[:3], "Where is it?", "The quick brown fox jumps over the lazy dog, 1,024 times."]
    rendered = [(text, render_for(facts, model.tokenizer, text, task)) for text in texts]
    return [(text, one.ids.tolist()) for text, one in rendered if len(one.ids) <= plan["max_length"]]


def _head_facts(plan: Plan) -> HeadFacts | None:
    """Return what the outputs of the plan's head mean."""
    from dizuo.data import Task

    method, task = METHODS.load(plan["method"]), plan.request["task"]
    if method.head is None:
        return None
    return method.head(None if task is None else Task.from_json(task), method.Options(**plan.method_options))


def make_stepper(plan: Plan, network: Network, ranks: Ranks = ALONE) -> Stepper:
    """Return what takes the plan's steps; nothing is measured, the plan's choices are followed.

    Where the plan shards weights and there are several ranks, the network is sharded here.
    """
    method = METHODS.load(plan["method"])
    bfloat16 = plan["dtype"] == "bfloat16"
    choice = Choice(layout=plan["layout"], backend=plan["backend"], reason=plan.values["layout"].why)
    runner = Runner(
        network.module,
        choice=choice,
        compute_dtype=torch.bfloat16 if bfloat16 else torch.float32,
        recompute=plan["checkpoint_activations"],
        offload=plan["offload_activations"],
    )
    if plan["shard"] == "fsdp2" and ranks.world > 1:
        shard(network, runner, ranks, bfloat16=bfloat16)
    return Stepper(
        network,
        runner,
        method=method,
        method_options=method.Options(**plan.method_options),
        budget=plan["tokens_per_block"],
        max_grad_norm=plan["max_grad_norm"],
        weight_decay=plan["weight_decay"],
        optimizer=plan["optimizer"],
        ranks=ranks,
    )


@contextlib.contextmanager
def placed(model: Model, device: str) -> Iterator[None]:
    """Have a model's weights on `cpu` or `cuda` (the current one) for the time of the context."""
    before = next(model.module.parameters()).device
    if before.type == device:
        yield
        return
    model.module.to(device)
    try:
        yield
    finally:
        model.module.to(before)


def guarded(work: Callable[[], T], plan: Plan) -> T:
    """Do a piece of work; running out of memory becomes an error that says what to change."""
    try:
        return work()
    except (MemoryError, RuntimeError) as error:
        known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not known and not any(text in str(error) for text in OUT_OF_MEMORY):
            raise
        raise TrainingError(
            f"out of memory with {plan['tokens_per_block']:,} tokens per block",
            hint=f"set tokens_per_block to {max(16, plan['tokens_per_block'] // 2):,}, or shorten max_length",
        ) from error
