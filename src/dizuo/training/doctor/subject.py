"""The subject: a model, its plan and a few rows, ready to be asked by any check.

Two samples are taken. `rows` are many and only read as tokens. Of those that can be trained, a handful of short ones
of different lengths become a data set of their own, on which `small` is a real plan of a few steps; checks that run
the model run on it, in float32, with small random numbers in whatever starts at zero, so that every weight matters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dizuo.data import Dataset, Split
from dizuo.data.card import Card
from dizuo.data.dataset import SPLITS, SplitWriter
from dizuo.data.rendering.conversations import Rendered
from dizuo.errors import DizuoError, PlanError
from dizuo.records import Example, kind_of
from dizuo.training.building.build import build_network, build_stepper, load_quantized
from dizuo.training.method import MethodOptions
from dizuo.training.methods import METHODS
from dizuo.training.planning import defaults
from dizuo.training.planning.options import TrainOptions
from dizuo.training.planning.plan import Plan
from dizuo.training.planning.planner import plan as make_plan
from dizuo.training.planning.settings import Settings
from dizuo.training.stepping.stepper import Figures, Stepper
from dizuo.training.tokens.token_store import TokenStore
from dizuo.training.tokens.tokenizing import Faults, Rules, tokenize

if TYPE_CHECKING:
    from dizuo.data import Task
    from dizuo.data.rendering.tokenizer import Tokenizer
    from dizuo.models import Model
    from dizuo.training.building.network import Network

__all__ = ["Row", "Subject"]

SAMPLE = 8
"""Examples that the model runs on."""
SAMPLE_TOKENS = 400
"""Tokens of them together, where the data has rows that short."""
STEPS = 3
"""Optimizer steps of the small plan."""


@dataclass(slots=True)
class Row:
    """One training row and what the method made of it."""

    number: int
    """Its place in the training split, from 0."""
    place: str
    """`file:line`, where known."""
    example: Example
    sequences: tuple[Rendered, ...] = ()
    error: str = ""
    """Why it could not be written as tokens."""
    kept: bool = False
    """Whether `tokenize` takes it."""
    stored: int = -1
    """The first example of the subject's store that was made of it, where it is kept."""


@dataclass(slots=True)
class _Recorder:
    """The method's own `sequences`, with a note of what it gave for each row."""

    method_sequences: Callable[..., Sequence[Rendered]]
    rows: dict[int, Row]
    seen: list[Row] = field(default_factory=list)

    def __call__(
        self, example: Example, task: Task | None, tokenizer: Tokenizer, options: MethodOptions
    ) -> Sequence[Rendered]:
        row = self.rows[id(example)]
        try:
            sequences: Sequence[Rendered] = self.method_sequences(example, task, tokenizer, options)
        except DizuoError as error:
            row.error = error.message.removeprefix(f"{row.place}: ")
            raise
        row.sequences = tuple(sequences)
        return sequences


class Subject:
    """What checks look at.

    Args:
        model: loaded in float32.
        data: the data set.
        options: of the run; its defaults where None.
        method_options: of the method; its defaults where None.
        plan: an earlier plan whose layout and backend are followed.
        rows: training rows to read; None is all.
        folder: an empty folder for scratch files.

    Raises:
        PlanError: there are no training rows, or no such method.
    """

    def __init__(
        self,
        model: Model,
        data: Dataset,
        *,
        options: TrainOptions | None = None,
        method_options: MethodOptions | None = None,
        plan: Plan | None = None,
        rows: int | None = None,
        folder: Path,
    ) -> None:
        self.options = options or TrainOptions()
        self.model, self.data, self.folder = load_quantized(model, self.options.quantize), data, folder
        self.method = METHODS.load(self.options.method)
        self.method_options = self.method.Options() if method_options is None else method_options
        if not len(data.train):
            raise PlanError("the training split has no rows", hint="prepare data with training rows")
        self._given = plan
        self._network: Network | None = None
        self._first: Figures | None = None
        self.max_length = min(self.options.max_length or model.spec.context_length, model.spec.context_length)
        self.rows, self.store = self._read(len(data.train) if rows is None else min(rows, len(data.train)))

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer."""
        tokenizer: Tokenizer = self.model.tokenizer
        return tokenizer

    @property
    def batch_size(self) -> int:
        """Sequences per optimizer step of the run."""
        return self.options.batch_size or int(defaults.choose_batch_size(num_examples=len(self.data.train)).value)

    @property
    def trains_tokens(self) -> bool:
        """Whether the method trains tokens at all, and not only a head on the last states."""
        return not self.method.reads_last

    @property
    def kept(self) -> list[Row]:
        """The rows that can be trained."""
        return [row for row in self.rows if row.kept]

    @cached_property
    def sample(self) -> list[Row]:
        """The rows that the model runs on: few, short, and of different lengths; longer ones where there are no others.

        Raises:
            PlanError: no row can be trained.
        """
        ordered = sorted(self._some(), key=lambda row: (_trained(row), _size(row), row.number))
        for last in range(len(ordered), 0, -1):
            chosen = [ordered[index] for index in np.unique(np.linspace(0, last - 1, SAMPLE).round().astype(int))]
            if sum(_size(row) for row in chosen) <= SAMPLE_TOKENS:
                break
        return chosen if len(chosen) > 1 else sorted(self._some(), key=_size)[:SAMPLE]

    @cached_property
    def small(self) -> Plan:
        """A plan of `STEPS` steps on the sample, checkpointed after each, otherwise as the run is asked for.

        Raises:
            PlanError: this training cannot work.
        """
        self.rest()
        options = replace(
            self.options,
            max_steps=STEPS,
            epochs=None,
            batch_size=max(1, min(self.batch_size, len(self.sample) // 2)),
            checkpoint_every=1,
            eval_every=None,
            patience=None,
            keep="last",
        )
        data = self._data("sample", [row.example for row in self.sample])
        return self._as_given(self._planned(data, options, "small"))

    @cached_property
    def batch(self) -> TokenStore:
        """The tokens of the sample; `owner` tells whose an example is."""
        return TokenStore(self.small.folder / "tokens" / "train")

    def owner(self, example: int) -> Row:
        """Return the row that an example of `batch` was made of."""
        return self.sample[int(self.batch.rows[example])]

    @property
    def loss_options(self) -> MethodOptions:
        """The method's options as the small plan resolved them: what its loss is called with."""
        return self.small.method_options

    @cached_property
    def untrained(self) -> list[NDArray[np.float64]]:
        """Log-probabilities of the sample's trained tokens before training, by transformers alone."""
        self.rest()
        return self.run_plainly(self.model.module)

    @property
    def first(self) -> Figures:
        """Loss and gradient norm over the sample before the first step."""
        if self._first is None:
            self.rest()
            _ = self.network
        assert self._first is not None
        return self._first

    @property
    def network(self) -> Network:
        """The model made trainable, in float32, without dropout; what began at zero holds small random numbers."""
        if self._network is None:
            plan = self.exact
            self._network = build_network(plan, self.model)
            stepper = build_stepper(plan, self._network)
            everything = range(len(self.batch))
            if self.method.needs_reference:
                self.batch.keep_reference(stepper.log_probabilities(self.batch, everything))
            with torch.enable_grad():
                self._first = stepper.accumulate(self.batch, everything)
            stepper.optimizer.zero_grad(set_to_none=True)
            self._stir(self._network)
        return self._network

    @property
    def exact(self) -> Plan:
        """The small plan in float32, without dropout, every step in one block."""
        return self.small.with_use(replace(self.small.use, dtype="float32", dropout=0.0, tokens_per_block=2**40))

    def build_stepper(self, use: Settings | None = None) -> Stepper:
        """Return what takes steps with the network.

        Args:
            use: other values than those of the exact plan.
        """
        network = self.network
        return build_stepper(self.exact if use is None else self.exact.with_use(use), network)

    def rest(self) -> None:
        """Take everything off the model that checks put on it."""
        if self._network is not None:
            self._network.release()
            self._network = None

    @torch.no_grad()
    def run_plainly(self, module: nn.Module, *, everything: bool = False) -> list[NDArray[np.float64]]:
        """Return per sequence of the sample log p of its trained tokens, each sequence run alone by transformers.

        Nothing of the tree, the runner or the loop takes part.

        Args:
            module: the language model.
            everything: of all tokens but the first instead, the prompt's too.
        """
        log_probabilities = []
        device = next(module.parameters()).device
        for number in range(self.batch.num_sequences):
            ids = torch.from_numpy(self.batch.ids(number).astype(np.int64)).to(device)
            wanted = np.arange(1, len(ids)) if everything else np.flatnonzero(self.batch.weights(number))
            trained = torch.from_numpy(wanted).to(device)
            logits = module(input_ids=ids[None], use_cache=False).logits[0]
            table = torch.log_softmax(logits[trained - 1].double(), -1)
            log_probabilities.append(table[torch.arange(len(trained), device=device), ids[trained]].cpu().numpy())
        return log_probabilities

    def _some(self) -> list[Row]:
        kept = self.kept
        if not kept:
            raise PlanError(
                f"none of the {len(self.rows):,} rows looked at can be trained",
                hint="see the findings about rows, then run the doctor again",
            )
        return kept

    def _read(self, count: int) -> tuple[list[Row], TokenStore]:
        rows: list[Row] = []
        for number in range(count):
            example = self.data.train[number]
            place = str(example.origin) if example.origin.file else f"train row {number + 1}"
            rows.append(Row(number, place, example))
        recorder = _Recorder(self.method.sequences, {id(row.example): row for row in rows})
        rules = Rules(
            method=replace(self.method, sequences=recorder),
            options=self.method_options,
            name=self.options.method,
            task=self.data.task,
            tokenizer=self.tokenizer,
            max_length=self.max_length,
            over_length=self.options.over_length,
        )
        store = tokenize([row.example for row in rows], self.folder / "tokens", rules=rules, faults=Faults())
        for stored, number in reversed(list(enumerate(store.rows))):
            rows[int(number)].kept, rows[int(number)].stored = True, stored
        for row in rows:
            if not row.kept and not row.sequences and not row.error:
                row.error = f"a {kind_of(row.example)} row, but {self.options.method} takes {self._kinds()}"
        return rows, store

    def _kinds(self) -> str:
        return ", ".join(self.method.kinds)

    def _data(self, name: str, examples: Sequence[Example]) -> Dataset:
        folder = self.folder / name
        folder.mkdir()
        splits = {}
        for split in SPLITS:
            with SplitWriter(folder / f"{split}.arrow", kind=type(examples[0])) as writer:
                writer.write(examples if split == "train" else [])
            splits[split] = Split(folder / f"{split}.arrow", name=split)
        return Dataset(folder=folder, task=self.data.task, card=Card(digest=f"doctor:{name}"), **splits)

    def _planned(self, data: Dataset, options: TrainOptions, name: str) -> Plan:
        return make_plan(
            self.model,
            data,
            out=self.folder / name,
            options=options,
            method_options=self.method_options,
            measure=False,
        )

    def _as_given(self, plan: Plan) -> Plan:
        """Follow the layout and backend of an earlier plan."""
        if self._given is None:
            return plan
        plan = plan.with_use(replace(plan.use, layout=self._given.use.layout, backend=self._given.use.backend))
        plan.write()
        return plan

    def _stir(self, network: Network) -> None:
        """Fill what starts at zero: a zero B hides A's gradient, and everything that only an adapter would show."""
        source = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for weight in network.parameters.values():
                if weight.ndim == 2 and not weight.any():
                    noise = torch.randn(weight.shape, generator=source) * 0.02
                    weight.copy_(noise.to(weight.device))


def _size(row: Row) -> int:
    return sum(len(sequence.ids) for sequence in row.sequences)


def _trained(row: Row) -> int:
    return sum(int(np.count_nonzero(sequence.weights)) for sequence in row.sequences)
