"""Resolving a plan's values: what the user gave, what dizuo chose, and why; and what stands in the way."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dizuo.models import memory
from dizuo.training.checkpoints import KEPT
from dizuo.training.method import Method
from dizuo.training.planning import defaults, machine, placement
from dizuo.training.planning.measuring import measure_layout
from dizuo.training.planning.options import TrainOptions
from dizuo.training.planning.plan import Value
from dizuo.training.planning.problems import Problems
from dizuo.training.tokens.batching import Stream, packed_size
from dizuo.training.tokens.tokenizing import TokenStore

if TYPE_CHECKING:
    from dizuo.models import Model, ModelSpec

__all__ = ["Draft"]

SAMPLED_STEPS = 50
"""Steps whose tree is built to estimate packed tokens; shorter runs are counted exactly."""
FLOATS = {"alpha", "dropout", "epochs", "head_learning_rate", "learning_rate", "max_grad_norm", "weight_decay"}
"""Values that a user may write as whole numbers."""


class Draft:
    """Values being resolved.

    Args:
        options: what the user said.
        origins: where the given values came from, by name.
        spec: the model.
        stores: the rendered splits, with `train` among them.
        method: what is trained.
    """

    def __init__(
        self,
        options: TrainOptions,
        origins: dict[str, str],
        spec: ModelSpec,
        stores: dict[str, TokenStore],
        method: Method,
    ) -> None:
        self.options, self.origins, self.spec, self.stores = options, origins, spec, stores
        self._method = method
        self.values: dict[str, Value] = {}
        self.estimates: dict[str, Any] = {}
        self.notes: list[str] = []
        self._defaults = TrainOptions()

    def resolve(self, problems: Problems) -> None:
        """Fill every value but layout and backend."""
        options, train = self.options, self.stores["train"]
        for name in ("method", "adapter", "schedule", "weight_decay", "max_grad_norm", "over_length"):
            self._given(name)
        for name in ("quantize", "seed", "keep", "patience", "dropout", "targets"):
            self._given(name)
        self._choose("batch_size", defaults.batch_size(num_examples=len(train)))
        self._choose("rank", self._rank(train))
        self._choose("alpha", defaults.alpha(adapter=options.adapter, rank=self.values["rank"].value))
        self._choose("learning_rate", self._learning_rate())
        if self._method.num_outputs is not None:
            self._choose("head_learning_rate", defaults.head_learning_rate(parameters=self.spec.parameters))
        self._choose("max_length", Value(self.spec.context_length, "model", "its context length"))
        self._length_of_run(train)
        steps = self.values["num_steps"].value
        validation = len(self.stores["validation"]) if "validation" in self.stores else 0
        self._choose("checkpoint_every", defaults.checkpoint_every(num_steps=steps))
        self._choose("eval_every", defaults.eval_every(num_steps=steps, num_validation=validation))
        if not validation:
            if options.eval_every:
                self.notes.append("eval_every is set, but there are no validation rows to evaluate on")
            self.values["eval_every"] = Value(0, "data", "no validation rows")
        self._patience(steps)
        self._place(problems)
        self._compute()
        self._memory(train, problems)
        self._disk(problems)

    def _rank(self, train: TokenStore) -> Value:
        per_rank = memory.lora_parameters(self.spec, 1)
        return defaults.rank(trained_tokens=int(train.facts["trained_tokens"]), parameters_per_rank=per_rank)

    def _learning_rate(self) -> Value:
        adapter, parameters = self.options.adapter, self.spec.parameters
        if self._method.rates is None:
            return defaults.learning_rate(adapter=adapter, parameters=parameters)
        why = f"{self._method.name}, {adapter}, a model of {parameters / 1e6:,.3g}M parameters"
        return Value(self._method.rates.peak(adapter=adapter, parameters=parameters), "default", why)

    def _patience(self, steps: int) -> None:
        """Note a patience that outlasts the run: the first evaluation is never a worse one, the last is at the end."""
        patience, every = self.options.patience, self.values["eval_every"].value
        evaluations = -(-steps // every) if every else 0
        if patience is not None and evaluations and patience + 1 >= evaluations:
            self.notes.append(
                f"patience is {patience}, but there are {evaluations} evaluations (eval_every is {every:,}): "
                "the run cannot stop early"
            )

    def _given(self, name: str) -> None:
        value = getattr(self.options, name)
        self.values[name] = Value(list(value) if isinstance(value, tuple) else _plain(name, value), self._origin(name))

    def _choose(self, name: str, default: Value) -> None:
        value = getattr(self.options, name)
        self.values[name] = default if value is None else Value(_plain(name, value), self._origin(name))

    def _origin(self, name: str) -> str:
        if name in self.origins:
            return self.origins[name]
        return "default" if getattr(self.options, name) == getattr(self._defaults, name) else "call"

    def _length_of_run(self, train: TokenStore) -> None:
        options, n = self.options, len(train)
        batch = self.values["batch_size"].value
        self._choose("epochs", defaults.epochs(num_examples=n))
        total = max(1, round(n * self.values["epochs"].value))
        why = f"{self.values['epochs'].value:g} epochs of {n:,} rows"
        if options.max_steps is not None and (options.epochs is None or total > options.max_steps * batch):
            total, why = options.max_steps * batch, "max_steps × batch_size"
            self.values["epochs"] = Value(total / n, self._origin("max_steps"), why)
        self.values["num_examples"] = Value(total, "data", why)
        steps = Stream(n, batch_size=batch, total=total, seed=options.seed).num_steps
        self.values["num_steps"] = Value(steps, "data", f"{total:,} examples, {batch} per step")
        ratio = options.warmup_ratio
        warmup = min(steps - 1, round(steps * ratio) or int(ratio > 0))
        self.values["warmup_steps"] = Value(warmup, self._origin("warmup_ratio"), f"{ratio:g} of {steps:,} steps")
        if batch > n:
            self.notes.append(f"batch_size is {batch}, but there are {n} training rows: every step sees rows twice")

    def _place(self, problems: Problems) -> None:
        """Choose the device and what of the model each rank keeps there."""
        options, values = self.options, self.values
        values["device"] = placement.device(options, self._origin("device"), problems)
        values["shard"] = placement.shard(options, self._origin("shard"), problems)
        on = values["device"].value
        values["optimizer"] = placement.optimizer(options, self._origin("optimizer"), on, problems)

    def _compute(self) -> None:
        self._choose("threads", Value(torch.get_num_threads(), "measured", "what torch chooses here"))
        on = self.values["device"].value
        has_bf16, what = machine.has_bf16(on), "GPU" if on == "cuda" else "processor"
        if self.options.dtype == "auto":
            if has_bf16:
                self.values["dtype"] = Value("bfloat16", "measured", f"the {what} has bfloat16 instructions")
            else:
                self.values["dtype"] = Value("float32", "measured", f"the {what} has no bfloat16 instructions")
        else:
            self._given("dtype")
            if self.options.dtype == "bfloat16" and not has_bf16:
                self.notes.append(f"this {what} has no bfloat16 instructions: float32 is faster")

    def _memory(self, train: TokenStore, problems: Problems) -> None:
        longest = int(train.lengths.max())
        largest_example = int(train.sizes.max())  # its sequences are never in different blocks
        trained = train.facts["trained_tokens"] / train.facts["tokens"]
        on = self.values["device"].value
        moved = bool(self.options.offload_activations) and on != "cpu"
        asked = bool(self.options.checkpoint_activations) or bool(self.options.offload_activations)
        sizes = {
            tokens: self._estimate(tokens, longest, trained, asked, moved)["total"] for tokens in defaults.BLOCK_TOKENS
        }
        self._choose("tokens_per_block", defaults.tokens_per_block(sizes, memory=machine.total_memory(on)))
        budget = max(self.values["tokens_per_block"].value, largest_example)
        largest = min(budget, int(_sum_of_largest(train, self.values["batch_size"].value)))
        free = machine.available_memory(on)

        def needed(again: bool, away: bool) -> int:
            return int(self._estimate(largest, longest, trained, again, away and on != "cpu")["total"])

        self.values["checkpoint_activations"] = placement.checkpointing(
            self.options, self._origin("checkpoint_activations"), needed, free
        )
        again = self.values["checkpoint_activations"].value
        self.values["offload_activations"] = placement.offloading(
            self.options, self._origin("offload_activations"), on=on, again=again, needed=needed, free=free
        )
        if self.options.offload_activations and on == "cpu":
            self.notes.append("offload_activations is for GPUs: this run is in the CPU's memory already")
        estimate = self._estimate(largest, longest, trained, again, self.values["offload_activations"].value)
        self.estimates["memory"] = {**estimate, "tokens": largest}
        if estimate["total"] > free and self.values["shard"].value != "none":
            self.notes.append(
                f"a rank alone would need about {estimate['total'] / 1e9:,.1f} GB, and {free / 1e9:.1f} GB are free: "
                "weights, gradients and optimizer states are divided by the number of ranks, activations are not"
            )
        elif estimate["total"] > free:
            problems.add(
                f"training needs about {estimate['total'] / 1e9:,.1f} GB of memory, and {free / 1e9:.1f} GB are free",
                [f"{name}: {size / 1e9:,.2f} GB" for name, size in estimate.items() if name != "total"],
                hint="lower max_length or tokens_per_block, use adapter: lora, or choose a smaller model",
            )

    def _disk(self, problems: Problems) -> None:
        # Weights and two moments in float32 per checkpoint, one more while it is written, and the result.
        trained = self.estimates["memory"]["gradients"] // 4
        needed = trained * 12 * (KEPT + 2) + trained * 4
        self.estimates["disk"] = needed
        folder = self.stores["train"].folder
        free = shutil.disk_usage(folder).free
        if needed > free:
            problems.add(
                f"checkpoints and result need about {needed / 1e9:,.1f} GB on disk, and {free / 1e9:,.1f} GB are free",
                hint="make room, choose a folder on another disk, or use adapter: lora",
            )

    def _estimate(self, tokens: int, longest: int, trained: float, again: bool, away: bool) -> dict[str, int]:
        estimate = memory.estimate(
            self.spec,
            method=self.options.adapter,
            tokens=tokens,
            sequence_length=longest,
            trained_tokens=max(1, round(tokens * trained)),
            dtype="float32",
            rank=self.values["rank"].value,
            quantize=self.options.quantize,
            checkpoint_activations=again,
            offload_activations=away,
            optimizer=self.options.optimizer,
        )
        return {**asdict(estimate), "total": estimate.total}

    def choose_layout(self, model: Model) -> None:
        """Measure which layout and backend run this model exactly."""
        layout = self.options.layout
        if self.options.dropout > 0:
            self.values["layout"] = Value("padded", "default", "dropout above 0 is not exact where tokens are shared")
            self.values["backend"] = Value("padded", "default")
            return
        choice = measure_layout(self.values, model, layout=layout)
        origin = "measured" if layout == "auto" else self._origin("layout")
        self.values["layout"] = Value(choice.layout, origin, choice.reason)
        self.values["backend"] = Value(choice.backend, "measured", choice.reason)
        self.estimates["layout_error_nats"] = choice.error

    def counts(self) -> dict[str, Any]:
        """Return rows, sequences and tokens of the splits, and tokens of an epoch summed and as trees."""
        train = self.stores["train"]
        stream = Stream(
            len(train),
            batch_size=self.values["batch_size"].value,
            total=self.values["num_examples"].value,
            seed=self.options.seed,
        )
        steps = range(1, min(SAMPLED_STEPS, stream.num_steps) + 1)
        summed = packed = 0
        for step in steps:
            sequences = [train.ids(s) for e in stream.examples(step) for s in train.sequences_of(e)]
            summed += sum(len(ids) for ids in sequences)
            packed += packed_size(sequences)
        for name, store in self.stores.items():
            if store.facts["cut_rows"]:
                limit = self.values["max_length"].value
                rows, lost = store.facts["cut_rows"], store.facts["cut_tokens"]
                self.notes.append(f"{rows:,} {name} prompts were cut to {limit:,} tokens, {lost:,} tokens lost")
        per_epoch = train.facts["tokens"]
        return {
            **{name: {k: v for k, v in store.facts.items() if k != "digest"} for name, store in self.stores.items()},
            "tokens_per_epoch": per_epoch,
            "packed_tokens_per_epoch": round(per_epoch * packed / summed),
            "tokens_per_step": round(summed / len(steps)),
            "packed_tokens_per_step": round(packed / len(steps)),
        }


def _plain(name: str, value: Any) -> Any:
    """Return 2 epochs as 2.0: the same plan must not have two digests."""
    return float(value) if name in FLOATS else value


def _sum_of_largest(store: TokenStore, count: int) -> int:
    """Return the tokens of the `count` largest examples together: no step has more."""
    return int(np.sort(store.sizes)[::-1][:count].sum())
