"""One optimizer step: blocks forward and backward, one global normalisation, clipping, AdamW.

    gradient = Σ over ranks and blocks of ∂ total / Σ over ranks and blocks of weight

Ranks and blocks only decide how long a step takes and how much memory it needs. Nothing here knows how long a run is.
"""

from __future__ import annotations

import time
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dizuo.errors import TrainingError
from dizuo.training.building.network import Network
from dizuo.training.method import Batch, Method
from dizuo.training.preference_pairs import sum_logprobs
from dizuo.training.ranks.group import ALONE, Ranks
from dizuo.training.ranks.sharding import compute_norm, gather_whole, is_sharded, take_local_parts
from dizuo.training.stepping.figures import Figures, Sums, Tally
from dizuo.training.tokens.batching import cut_blocks, take_share
from dizuo.training.tokens.tokenizing import TokenStore
from dizuo.trees import Outputs, Runner

__all__ = ["Figures", "Stepper"]

REFERENCE_ROWS = 256
"""Examples whose log-probabilities are computed together: enough to share prefixes, few enough to sort."""
SHOWN = 10
"""Weights named in an error; the rest are counted."""


class Stepper:
    """Computes gradients and applies them.

    Args:
        network: the trainable model.
        runner: how it runs.
        method: the loss.
        method_options: the method's own options.
        budget: tokens per block.
        max_grad_norm: 0 turns clipping off.
        weight_decay: on matrices only.
        optimizer: `adamw`, or `adamw8bit` with both moments in 8 bits (Dettmers et al. 2022, arXiv:2110.02861).
        ranks: that take the step together. All are given the same examples, and each takes its share of them.
    """

    def __init__(
        self,
        network: Network,
        runner: Runner,
        *,
        method: Method,
        method_options: Any,
        budget: int,
        max_grad_norm: float,
        weight_decay: float,
        optimizer: str = "adamw",
        ranks: Ranks = ALONE,
    ) -> None:
        self.network, self.runner, self.ranks = network, runner, ranks
        self._method, self._options = method, method_options
        self._budget, self._max_grad_norm = budget, max_grad_norm
        self._parameters = list(network.parameters.values())
        # Sharded parameters pass through the hooks of their modules, which every rank must call equally often.
        self.sharded = any(is_sharded(parameter) for parameter in self._parameters)
        self._all_reached = False
        self._tensor_steps = optimizer == "adamw"  # bitsandbytes counts in plain numbers
        self.optimizer = _optimizer(optimizer, _groups(self._parameters, weight_decay))

    def accumulate(self, store: TokenStore, examples: Sequence[int]) -> Figures:
        """Put the step's gradient, normalised over the whole step but not clipped, into the parameters' `grad`.

        Args:
            store: the tokens.
            examples: of the whole step, over all ranks.

        Raises:
            TrainingError: the first step's gradient did not reach every trained weight.
        """
        started = time.perf_counter()
        self.network.mode(training=True)
        self.optimizer.zero_grad(set_to_none=True)
        tally = Tally()
        ranks = self.ranks
        mine = take_share(store, examples, rank=ranks.rank, world=ranks.world, layout=self.runner.choice.layout)
        for batch, outputs, counts in self._blocks(store, mine, filler=self._filler(store, examples), together=True):
            loss = self._method.loss(outputs, batch, self._options)
            if counts:
                loss.total.backward()  # type: ignore[no-untyped-call]
                tally.add(loss, outputs)
            else:
                (loss.total * 0.0).backward()  # type: ignore[no-untyped-call]
        # One message for both; where a rank had no example, its gradients are missing and its sums are zero.
        everyone = ranks.gather(([parameter.grad is not None for parameter in self._parameters], tally.sums()))
        reached = [any(column) for column in zip(*(flags for flags, _ in everyone), strict=True)]
        sums = Sums.over([own for _, own in everyone])
        ranks.sum_gradients([p for p, has in zip(self._parameters, reached, strict=True) if has and not is_sharded(p)])
        self._refuse_unreached(reached)
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        norm = compute_norm(gradients)
        for gradient in gradients:
            gradient.div_(sums.weight)
        return sums.figures(grad_norm=norm / sums.weight, seconds=time.perf_counter() - started)

    def _refuse_unreached(self, reached: Sequence[bool]) -> None:
        """Refuse, after the first step, weights that a run would leave as they are without a word."""
        if self._all_reached:
            return
        unused: set[int] = set()
        if self._method.reads_last:  # a loss on states need not read the output layer
            unused = {id(parameter) for parameter in self.runner.head.parameters()}
        missing = [
            name
            for (name, parameter), has in zip(self.network.parameters.items(), reached, strict=True)
            if not has and id(parameter) not in unused
        ]
        if missing:
            raise TrainingError(
                f"{len(missing):,} of {len(self._parameters):,} trained weights got no gradient: the model's forward "
                "does not use them",
                details=[*missing[:SHOWN], *([f"… and {len(missing) - SHOWN:,} more"] if len(missing) > SHOWN else [])],
                hint="set layout to padded, or choose other targets",
            )
        self._all_reached = True

    def apply(self, figures: Figures, *, learning_rate: float) -> None:
        """Clip the gradient that `accumulate` left and change the weights."""
        if self._max_grad_norm and figures.grad_norm > self._max_grad_norm:
            scale = self._max_grad_norm / figures.grad_norm
            for parameter in self._parameters:
                if parameter.grad is not None:
                    parameter.grad.mul_(scale)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def make_moments(self) -> None:
        """Make the optimizer's state, which its first step would make, without changing a weight."""
        for parameter in self._parameters:
            parameter.grad = torch.zeros_like(parameter)
        for group in self.optimizer.param_groups:
            group["lr"] = 0.0
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    @torch.no_grad()
    def evaluate(self, store: TokenStore, *, batch_size: int, examples: Sequence[int] | None = None) -> Figures:
        """Return the loss over a whole split, normalised over the whole split; ranks take its batches in turn.

        Args:
            store: the tokens.
            batch_size: examples run together.
            examples: those alone; None is all.
        """
        started = time.perf_counter()
        self.network.mode(training=False)
        tally = Tally()
        chosen = range(len(store)) if examples is None else examples
        filler = self._filler(store, chosen)
        for turn in self._turns(chosen, batch_size):
            for batch, outputs, counts in self._blocks(store, turn, filler=filler):
                if counts:
                    tally.add(self._method.loss(outputs, batch, self._options), outputs)
        return Sums.over(self.ranks.gather(tally.sums())).figures(grad_norm=0.0, seconds=time.perf_counter() - started)

    @torch.no_grad()
    def log_probabilities(self, store: TokenStore, examples: Iterable[int]) -> NDArray[np.float64]:
        """[n] Σ weight × log p of these examples' sequences, in nats, under the weights as they are; NaN for others.

        Ranks take parts in turn, and all get the whole.
        """
        self.network.mode(training=False)
        log_probabilities, known = np.zeros(store.num_sequences), np.zeros(store.num_sequences)
        ordered = sorted(set(examples))
        size = min(REFERENCE_ROWS, -(-len(ordered) // self.ranks.world))
        filler = self._filler(store, ordered)
        for part in self._turns(ordered, size):
            for block, counts in self._cut(store, part, filler=filler):
                outputs = self._outputs(store.batch(block))
                if counts:
                    numbers = [number for example in block for number in store.sequences_of(example)]
                    log_probabilities[numbers], known[numbers] = sum_logprobs(outputs).cpu().numpy(), 1.0
        log_probabilities, known = self.ranks.sum_array(log_probabilities), self.ranks.sum_array(known)
        log_probabilities[known == 0.0] = np.nan
        return log_probabilities

    def weights(self) -> dict[str, Tensor]:
        """Return the trained weights by name, whole; where they are sharded all ranks must ask, rank 0 gets them."""
        return gather_whole(self.network.weights(), ranks=self.ranks)

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Put whole weights in place; a rank keeps its part of sharded ones."""
        self.network.load_weights(take_local_parts(weights, self.network.parameters))

    def optimizer_tensors(self) -> dict[str, Tensor]:
        """Return AdamW's state as `name/slot`, whole; where it is sharded all ranks must ask, and rank 0 gets it."""
        state: dict[str, Tensor] = {}
        for name, parameter in self.network.parameters.items():
            for slot, value in self.optimizer.state.get(parameter, {}).items():
                tensor = torch.as_tensor(value).detach()
                state[f"{name}/{slot}"] = tensor if self._tensor_steps else tensor.clone()  # 8-bit states share tables
        return {key: value.contiguous() for key, value in gather_whole(state, ranks=self.ranks).items()}

    def load_optimizer(self, tensors: Mapping[str, Tensor]) -> None:
        """Put a saved AdamW state in place; a rank keeps its part of a sharded one."""
        self.optimizer.state.clear()
        for key, value in tensors.items():
            name, _, slot = key.rpartition("/")
            parameter = self.network.parameters[name]
            own = value.to(parameter.device, copy=True)
            if value.shape == parameter.shape:
                own = take_local_parts({name: own}, self.network.parameters)[name]
            self.optimizer.state[parameter][slot] = own if self._tensor_steps or slot != "step" else int(own)

    def _turns(self, examples: Sequence[int], size: int) -> Iterator[Sequence[int]]:
        """Cut examples into batches of one size and yield those that are this rank's turn; in lockstep, all as many."""
        batches = [examples[start : start + size] for start in range(0, len(examples), size)]
        rank, world = self.ranks.rank, self.ranks.world
        mine = batches[rank::world]
        yield from mine
        if self.sharded and len(mine) * world < len(batches):
            yield []

    def _filler(self, store: TokenStore, examples: Sequence[int]) -> list[int]:
        """Return the block that is run for its hooks and counts as nothing: the shortest example that all ranks see."""
        if not self.sharded:
            return []
        return [min(examples, key=lambda example: sum(len(store.ids(s)) for s in store.sequences_of(example)))]

    def _cut(self, store: TokenStore, examples: Sequence[int], *, filler: list[int]) -> list[tuple[list[int], bool]]:
        """Return the blocks of this rank, and whether each counts: in lockstep every rank runs equally many."""
        cut = cut_blocks(store, examples, budget=self._budget, layout=self.runner.choice.layout)
        blocks = [(block, True) for block in cut]
        if self.sharded:
            blocks += [(filler, False)] * (max(self.ranks.gather(len(blocks))) - len(blocks))
        return blocks

    def _blocks(
        self, store: TokenStore, examples: Sequence[int], *, filler: list[int], together: bool = False
    ) -> Iterator[tuple[Batch, Outputs, bool]]:
        """Run examples block by block, the members that come before the loss first and apart.

        Args:
            store: the tokens.
            examples: of this rank.
            filler: from `_filler`.
            together: the ranks' examples are one step, so what comes before the loss is summed over ranks.

        Yields:
            Each block, its outputs, and whether it counts.
        """
        cut = self._cut(store, examples, filler=filler)
        context: Tensor | None = None
        members: Container[int] | None = None
        if self._method.before is not None:
            context = self._before(store, cut, together=together)
            members = _Without(self._method.members_before)
        for block, counts in cut:
            batch = store.batch(block, members=members, context=context)
            yield batch, self._outputs(batch), counts

    @torch.no_grad()
    def _before(self, store: TokenStore, cut: Sequence[tuple[list[int], bool]], *, together: bool) -> Tensor:
        """Return the sum that every block's loss needs."""
        assert self._method.before is not None
        total: NDArray[np.float64] | None = None
        for block, counts in cut:
            part = store.batch(block, members=self._method.members_before)
            value = self._method.before(self._outputs(part), part, self._options).double().cpu().numpy()
            if counts:
                total = value if total is None else total + value
        if together:
            known = [value for value in self.ranks.gather(total) if value is not None]
            total = np.sum(known, axis=0)
        dtype = torch.promote_types(self.runner.dtype, torch.float32)
        return torch.as_tensor(0.0 if total is None else total, dtype=dtype, device=self.runner.device)

    def _outputs(self, batch: Batch) -> Outputs:
        outputs = self.runner.forward(batch.sequences, need_last=self._method.reads_last)
        if self.network.head is not None:
            assert outputs.last is not None
            outputs.scores = self.network.head(outputs.last.to(self.network.head.weight.dtype))
        return outputs


@dataclass(frozen=True, slots=True)
class _Without:
    """Every number but these."""

    out: tuple[int, ...]

    def __contains__(self, number: object) -> bool:
        return number not in self.out


def _optimizer(name: str, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=0.0, fused=True)
    optimizer: torch.optim.Optimizer = import_module("bitsandbytes.optim").AdamW8bit(groups, lr=0.0, eps=1e-8)
    return optimizer


def _groups(parameters: Sequence[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Return AdamW's groups: decay on matrices only, and sharded parameters apart, as its fused kernel wants them."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in parameters:
        groups.setdefault((parameter.ndim >= 2, is_sharded(parameter)), []).append(parameter)
    return [
        {"params": members, "weight_decay": weight_decay if decayed else 0.0}
        for (decayed, _), members in groups.items()
    ]
