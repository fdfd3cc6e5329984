"""Resolving a plan's values: what the user gave, what dizuo chose, and why; and what stands in the way."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from dizuo.models import memory
from dizuo.training.checkpoints import KEPT
from dizuo.training.method import Method
from dizuo.training.planning import defaults, machine, placement
from dizuo.training.planning.costs import BlockMemory, Counts, Estimates
from dizuo.training.planning.measuring import measure_layout
from dizuo.training.planning.options import TrainOptions
from dizuo.training.planning.problems import Problems
from dizuo.training.planning.settings import Settings, Value, Why
from dizuo.training.planning.trial import TOO_LARGE
from dizuo.training.tokens.batching import Stream
from dizuo.training.tokens.token_store import TokenStore
from dizuo.trees import count_packed

if TYPE_CHECKING:
    from dizuo.models import Model, ModelSpec

__all__ = ["Draft"]

T = TypeVar("T")

SAMPLED_STEPS = 50
"""Steps whose tree is built to estimate packed tokens; shorter runs are counted exactly."""
FLOATS = {"alpha", "dropout", "epochs", "head_learning_rate", "learning_rate", "max_grad_norm", "weight_decay"}
"""Values that a user may write as whole numbers."""


class Draft:
    """A plan's values while they are resolved, each from those before it.

    Args:
        options: what the user said.
        origins: where the given values came from, by name.
        spec: the model.
        train: the rendered training split.
        validation: the rendered validation split, where there is one.
        method: what is trained.
        num_outputs: outputs of the method's head; 0 where it has none.
    """

    def __init__(
        self,
        options: TrainOptions,
        origins: Mapping[str, str],
        spec: ModelSpec,
        *,
        train: TokenStore,
        validation: TokenStore | None,
        method: Method,
        num_outputs: int,
    ) -> None:
        self.notes: list[str] = []
        self._options, self._origins, self._spec, self._method = options, origins, spec, method
        self._train, self._validation = train, validation
        self._values: dict[str, Value[Any]] = {}
        self._defaults = TrainOptions()
        self._memory: BlockMemory | None = None
        self._largest = self._free = 0
        self._backend = ""
        self.near_limit = False
        """Whether the estimate of memory is so near to what is free that only a trial can tell."""
        self._disk = 0
        self._layout_error: float | None = None
        if num_outputs:
            self._set("num_outputs", Value(num_outputs, "data", f"the head of {method.name}"))

    def resolve(self, problems: Problems) -> None:
        """Fill every value but layout and backend."""
        options, train = self._options, self._train
        for name in ("method", "adapter", "schedule", "weight_decay", "max_grad_norm", "over_length"):
            self._give(name)
        for name in ("quantize", "seed", "keep", "patience", "dropout", "targets"):
            self._give(name)
        batch = self._choose("batch_size", defaults.choose_batch_size(num_examples=len(train)))
        self.rank = self._choose("rank", self._rank())
        self._choose("alpha", defaults.choose_alpha(adapter=options.adapter, rank=self.rank))
        self._choose("learning_rate", self._learning_rate())
        if "num_outputs" in self._values:
            self._choose("head_learning_rate", defaults.choose_head_learning_rate(parameters=self._spec.parameters))
        self._choose("max_length", Value(self._spec.context_length, "model", "its context length"))
        self.stream = self._length_of_run(batch)
        steps = self.stream.num_steps
        validation = 0 if self._validation is None else len(self._validation)
        self._choose("checkpoint_every", defaults.choose_checkpoint_every(num_steps=steps))
        every = self._choose("eval_every", defaults.choose_eval_every(num_steps=steps, num_validation=validation))
        if not validation:
            if options.eval_every:
                self.notes.append("eval_every is set, but there are no validation rows to evaluate on")
            every = self._set("eval_every", Value(0, "data", "no validation rows"))
        self._note_patience(every, steps)
        self.device = self._set("device", placement.choose_device(options, self._origin("device"), problems))
        self.shard = self._set("shard", placement.choose_shard(options, self._origin("shard"), problems))
        chosen = placement.choose_optimizer(options, self._origin("optimizer"), self.device, problems)
        self._set("optimizer", chosen)
        self._compute()
        self._backend = self._guess_backend()
        self._fit_memory(batch, problems)
        self._fit_disk(problems)

    def _guess_backend(self) -> str:
        """Return how the model most likely runs; `choose_layout` measures it once it is loaded."""
        options = self._options
        if options.layout == "padded" or options.dropout > 0:
            return "padded"
        likely = memory.choose_backend(self._spec, method=options.adapter, quantize=options.quantize)
        return "hosted" if likely == "native" and (self.device != "cpu" or self.shard != "none") else likely

    def _set(self, name: str, value: Value[T]) -> T:
        self._values[name] = value
        return value.value

    def _give(self, name: str) -> None:
        """Take what the user gave, or the option's own default."""
        value = getattr(self._options, name)
        self._set(name, Value(_plain(name, value), self._origin(name)))

    def _choose(self, name: str, default: Value[T]) -> T:
        """Take what the user gave, or else what dizuo chooses."""
        given = getattr(self._options, name)
        value: Value[T] = default if given is None else Value(_plain(name, given), self._origin(name))
        return self._set(name, value)

    def _origin(self, name: str) -> str:
        if name in self._origins:
            return self._origins[name]
        return "default" if getattr(self._options, name) == getattr(self._defaults, name) else "call"

    def _rank(self) -> Value[int]:
        per_rank = memory.count_lora_parameters(self._spec, 1)
        return defaults.choose_rank(trained_tokens=self._train.counts.trained_tokens, parameters_per_rank=per_rank)

    def _learning_rate(self) -> Value[float]:
        adapter, parameters = self._options.adapter, self._spec.parameters
        if self._method.rates is None:
            return defaults.choose_learning_rate(adapter=adapter, parameters=parameters)
        why = f"{self._method.name}, {adapter}, a model of {parameters / 1e6:,.3g}M parameters"
        return Value(self._method.rates.peak(adapter=adapter, parameters=parameters), "default", why)

    def _note_patience(self, every: int, steps: int) -> None:
        """Note a patience that outlasts the run: the first evaluation is never a worse one, the last is at the end."""
        patience = self._options.patience
        evaluations = -(-steps // every) if every else 0
        if patience is not None and evaluations and patience + 1 >= evaluations:
            self.notes.append(
                f"patience is {patience}, but there are {evaluations} evaluations (eval_every is {every:,}): "
                "the run cannot stop early"
            )

    def _length_of_run(self, batch: int) -> Stream:
        options, n = self._options, len(self._train)
        epochs = self._choose("epochs", defaults.choose_epochs(num_examples=n))
        total = max(1, round(n * epochs))
        why = f"{epochs:g} epochs of {n:,} rows"
        if options.max_steps is not None and (options.epochs is None or total > options.max_steps * batch):
            total, why = options.max_steps * batch, "max_steps × batch_size"
            self._set("epochs", Value(total / n, self._origin("max_steps"), why))
        self._set("num_examples", Value(total, "data", why))
        stream = Stream(n, batch_size=batch, total=total, seed=options.seed)
        steps = stream.num_steps
        self._set("num_steps", Value(steps, "data", f"{total:,} examples, {batch} per step"))
        ratio = options.warmup_ratio
        warmup = min(steps - 1, round(steps * ratio) or int(ratio > 0))
        self._set("warmup_steps", Value(warmup, self._origin("warmup_ratio"), f"{ratio:g} of {steps:,} steps"))
        if batch > n:
            self.notes.append(f"batch_size is {batch}, but there are {n} training rows: every step sees rows twice")
        return stream

    def _compute(self) -> None:
        self.threads = self._choose("threads", Value(torch.get_num_threads(), "measured", "what torch chooses here"))
        has_bf16, what = machine.has_bf16(self.device), "GPU" if self.device == "cuda" else "processor"
        if self._options.dtype == "auto":
            if has_bf16:
                self._set("dtype", Value("bfloat16", "measured", f"the {what} has bfloat16 instructions"))
            else:
                self._set("dtype", Value("float32", "measured", f"the {what} has no bfloat16 instructions"))
        else:
            self._give("dtype")
            if self._options.dtype == "bfloat16" and not has_bf16:
                self.notes.append(f"this {what} has no bfloat16 instructions: float32 is faster")

    def _fit_memory(self, batch: int, problems: Problems) -> None:
        train, on = self._train, self.device
        moved = bool(self._options.offload_activations) and on != "cpu"
        asked = bool(self._options.checkpoint_activations) or bool(self._options.offload_activations)
        sizes = {tokens: self._estimate(tokens, asked, moved).total for tokens in defaults.BLOCK_TOKENS}
        default = defaults.choose_tokens_per_block(sizes, memory=machine.total_memory(on))
        # An example's sequences are never in different blocks.
        budget = max(self._choose("tokens_per_block", default), int(train.sizes.max()))
        largest = min(budget, int(_sum_of_largest(train, batch)))
        free = self._free = machine.available_memory(on)

        def needed(again: bool, away: bool) -> int:
            return self._estimate(largest, again, away and on != "cpu").total

        again = self._set(
            "checkpoint_activations",
            placement.choose_checkpointing(self._options, self._origin("checkpoint_activations"), needed, free),
        )
        self._set(
            "offload_activations",
            placement.choose_offloading(
                self._options, self._origin("offload_activations"), on=on, again=again, needed=needed, free=free
            ),
        )
        if self._options.offload_activations and on == "cpu":
            self.notes.append("offload_activations is for GPUs: this run is in the CPU's memory already")
        self._largest = largest
        self._judge_memory(problems)

    def _judge_memory(self, problems: Problems) -> None:
        """Estimate the largest block, and refuse it where it cannot fit however far the estimate may be wrong."""
        use, free = self._values, self._free
        again, away = use["checkpoint_activations"].value, use["offload_activations"].value
        self._memory = estimate = self._estimate(self._largest, again, away)
        self.near_limit = estimate.perhaps > free >= estimate.surely and self.shard == "none"
        if self.shard != "none" and estimate.total > free:
            self.notes.append(
                f"a rank alone would need about {estimate.total / 1e9:,.1f} GB, and {free / 1e9:.1f} GB are free: "
                "weights, gradients and optimizer states are divided by the number of ranks, activations are not"
            )
        elif estimate.surely > free:
            problems.add(
                f"training needs about {estimate.total / 1e9:,.1f} GB of memory, and {free / 1e9:.1f} GB are free",
                [f"{name}: {size / 1e9:,.2f} GB" for name, size in estimate.parts().items()],
                hint=TOO_LARGE,
            )

    def _fit_disk(self, problems: Problems) -> None:
        assert self._memory is not None
        # Weights and two moments in float32 per checkpoint, one more while it is written, and the result.
        trained = self._memory.gradients // 4
        self._disk = needed = trained * 12 * (KEPT + 2) + trained * 4
        free = shutil.disk_usage(self._train.folder).free
        if needed > free:
            problems.add(
                f"checkpoints and result need about {needed / 1e9:,.1f} GB on disk, and {free / 1e9:,.1f} GB are free",
                hint="make room, choose a folder on another disk, or use adapter: lora",
            )

    def _estimate(self, tokens: int, again: bool, away: bool) -> BlockMemory:
        use = self._values
        return BlockMemory.estimate(
            self._spec,
            self._train.counts,
            tokens=tokens,
            adapter=use["adapter"].value,
            rank=self.rank,
            quantize=use["quantize"].value,
            dtype=use["dtype"].value,
            backend=self._backend,
            optimizer=use["optimizer"].value,
            checkpoint_activations=again,
            offload_activations=away,
        )

    def choose_layout(self, model: Model, problems: Problems) -> None:
        """Measure which layout and backend run this model exactly; problems receives what that needs too much of."""
        if self._options.dropout > 0:
            self._set("layout", Value("padded", "default", "dropout above 0 is not exact where tokens are shared"))
            self._set("backend", Value("padded", "default"))
            return
        layout, use = self._options.layout, self._values
        choice = measure_layout(
            model,
            layout=layout,
            adapter=use["adapter"].value,
            rank=self.rank,
            alpha=use["alpha"].value,
            dropout=use["dropout"].value,
            targets=use["targets"].value,
            seed=use["seed"].value,
            dtype=use["dtype"].value,
            recompute=use["checkpoint_activations"].value,
            sharded=self.shard != "none",
        )
        origin = "measured" if layout == "auto" else self._origin("layout")
        self._set("layout", Value(choice.layout, origin, choice.reason))
        self._set("backend", Value(choice.backend, "measured", choice.reason))
        self._layout_error = choice.error
        if choice.backend != self._backend:  # it runs in another way than its names promised
            self._backend = choice.backend
            self._judge_memory(problems)

    def settings(self) -> Settings:
        """Return every value, once all are resolved."""
        return Settings.from_values({name: value.value for name, value in self._values.items()})

    def origins(self) -> dict[str, Why]:
        """Return where each value came from, in the order in which they were resolved."""
        return {name: Why(value.origin, value.why) for name, value in self._values.items()}

    def estimates(self) -> Estimates:
        """Return memory, disk and the error of the layout."""
        assert self._memory is not None
        return Estimates(
            memory=self._memory,
            disk=self._disk,
            layout_error_nats=self._layout_error,
            layout_probed=self._options.dropout == 0,
        )

    def counts(self) -> Counts:
        """Return rows, sequences and tokens of the splits, and tokens of an epoch summed and as trees."""
        train, stream = self._train, self.stream
        steps = range(1, min(SAMPLED_STEPS, stream.num_steps) + 1)
        summed = packed = 0
        for step in steps:
            sequences = [train.ids(s) for e in stream.examples(step) for s in train.sequences_of(e)]
            summed += sum(len(ids) for ids in sequences)
            packed += count_packed(sequences)
        splits = {"train": train, **({} if self._validation is None else {"validation": self._validation})}
        for name, store in splits.items():
            if store.counts.cut_rows:
                limit, lost = self._values["max_length"].value, store.counts.cut_tokens
                cut = f"{store.counts.cut_rows:,} {name} prompts"
                self.notes.append(f"{cut} were cut to {limit:,} tokens, {lost:,} tokens lost")
        return Counts(
            train=train.counts,
            validation=None if self._validation is None else self._validation.counts,
            tokens_per_epoch=train.counts.tokens,
            packed_tokens_per_epoch=round(train.counts.tokens * packed / summed),
            tokens_per_step=round(summed / len(steps)),
            packed_tokens_per_step=round(packed / len(steps)),
        )


def _plain(name: str, value: Any) -> Any:
    """Return 2 epochs as 2.0: the same plan must not have two digests."""
    return float(value) if name in FLOATS else list(value) if isinstance(value, tuple) else value


def _sum_of_largest(store: TokenStore, count: int) -> int:
    """Return the tokens of the `count` largest examples together: no step has more."""
    return int(np.sort(store.sizes)[::-1][:count].sum())
