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
from dizuo.training.planning.settings import Device, Quantize
from dizuo.training.ranks.group import ALONE, Ranks
from dizuo.training.ranks.sharding import shard
from dizuo.training.stepping.stepper import Stepper
from dizuo.trees import Choice, Runner

if TYPE_CHECKING:
    from dizuo.data import Task
    from dizuo.models import Model, ModelSpec
    from dizuo.models.heads import HeadFacts

__all__ = ["build_network", "build_stepper", "explain_out_of_memory", "load_quantized", "on_device"]

T = TypeVar("T")

OUT_OF_MEMORY = ("can't allocate memory", "DefaultCPUAllocator", "not enough memory")
"""What torch's CPU allocator writes; on other devices it raises `torch.OutOfMemoryError`."""


def build_network(plan: Plan, model: Model) -> Network:
    """Make a model trainable as the plan says."""
    use, head = plan.use, _head_facts(plan)
    return Network(
        model,
        adapter=use.adapter,
        rank=use.rank,
        alpha=use.alpha,
        dropout=use.dropout,
        targets=use.targets if isinstance(use.targets, str) else list(use.targets),
        seed=use.seed,
        num_outputs=use.num_outputs,
        head=head,
        golden=_golden(head, model, plan.request.task, max_length=use.max_length),
        head_scale=use.head_scale,
    )


def load_quantized(model: Model | ModelSpec, quantize: Quantize) -> Model:
    """Return the model with its weights quantised as asked; one that is loaded so already comes back itself."""
    from dizuo import models

    if isinstance(model, models.Model):
        if model.quantize == quantize:
            return model
        model = model.spec
    return models.load(model, quantize=quantize)


def _golden(head: HeadFacts | None, model: Model, task: Task | None, *, max_length: int) -> list[tuple[str, list[int]]]:
    """Return texts of nobody's data, the first labels among them, with the ids that they become when they are asked."""
    from dizuo.data.rendering.last_token import render_for

    if head is None or head.kind == "reward":
        return []
    assert task is not None
    texts = [*head.labels[:3], "Where is it?", "The quick brown fox jumps over the lazy dog, 1,024 times."]
    rendered = [(text, render_for(head, model.tokenizer, text, task)) for text in texts]
    return [(text, asked.ids.tolist()) for text, asked in rendered if len(asked.ids) <= max_length]


def _head_facts(plan: Plan) -> HeadFacts | None:
    """Return what the outputs of the plan's head mean."""
    method = METHODS.load(plan.use.method)
    return None if method.head is None else method.head(plan.request.task, plan.method_options)


def build_stepper(plan: Plan, network: Network, ranks: Ranks = ALONE) -> Stepper:
    """Return what takes the plan's steps.

    Where the plan shards weights and there are several ranks, the network is sharded here.
    """
    use = plan.use
    bfloat16 = use.dtype == "bfloat16"
    runner = Runner(
        network.module,
        choice=Choice(layout=use.layout, backend=use.backend, reason=plan.why["layout"].why),
        compute_dtype=torch.bfloat16 if bfloat16 else torch.float32,
        recompute=use.checkpoint_activations,
        offload=use.offload_activations,
    )
    if use.shard == "fsdp2" and ranks.world > 1:
        shard(network, runner, ranks, bfloat16=bfloat16)
    return Stepper(
        network,
        runner,
        method=METHODS.load(use.method),
        method_options=plan.method_options,
        budget=use.tokens_per_block,
        max_grad_norm=use.max_grad_norm,
        weight_decay=use.weight_decay,
        optimizer=use.optimizer,
        ranks=ranks,
    )


@contextlib.contextmanager
def on_device(model: Model, device: Device) -> Iterator[None]:
    """Keep a model's weights on `cpu` or `cuda` (the current one) for the time of the context."""
    before = next(model.module.parameters()).device
    if before.type == device:
        yield
        return
    model.module.to(device)
    try:
        yield
    finally:
        model.module.to(before)


def explain_out_of_memory(work: Callable[[], T], *, tokens_per_block: int) -> T:
    """Do a piece of work; running out of memory becomes an error that says what to change.

    Raises:
        TrainingError: memory ran out.
    """
    try:
        return work()
    except (MemoryError, RuntimeError) as error:
        known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not known and not any(text in str(error) for text in OUT_OF_MEMORY):
            raise
        raise TrainingError(
            f"out of memory with {tokens_per_block:,} tokens per block",
            hint=f"set tokens_per_block to {max(16, tokens_per_block // 2):,}, or shorten max_length",
        ) from error
