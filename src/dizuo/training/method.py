"""What a training method is: a module in `training/methods/` with facts and pure functions. The folder is the registry.

Every method has

    Options     a frozen dataclass of its own few options
    kinds       which records it takes, as in `("chat", "labelled")`
    sequences   one example -> its token sequences, each token with a weight
    loss        outputs of a block -> Loss(total, weight)

and, only where it needs them,

    needs_reference  each sequence's log-probability under the model as it was before training (DPO, KTO) comes as
                     `batch.reference`; it is computed once, before the first step
    num_outputs      (task, options) -> K: a linear head of K outputs on each sequence's last state, trained with the
                     model; `outputs.scores` has them (classification, regression, reward)
    head             (task, options) -> HeadFacts: what those outputs mean, which is saved with them
    resolve          (options, task, targets [m, k] of the training split) -> the options with what only the data can
                     say, such as class weights or a mean; the plan holds these, and `head` and `loss` see them
    needs_last       `loss` reads `outputs.last`, the states themselves
    targets          (example, task, options) -> numbers of an example that are not tokens: a class, a value, a wish;
                     `batch.targets` has them
    before, members_before
                     a sum over the whole optimizer step that each block's loss needs (KTO's KL term): `before` is
                     called without gradients on blocks of the `members_before` alone, the sum over blocks and ranks
                     comes as `batch.context`, and those members are left out of the blocks that `loss` sees
    arrange          (entries, max_length, options) -> the entries that are trained, made from those of all rows of a
                     split together: windows of long texts, or a row's prompt with another row's answer
    learning_rate    (adapter, parameters) -> the peak rate that `plan` chooses where the user names none
    check            (task, options) -> None, or a PlanError when this task cannot be trained so
    check_targets    (targets [m, k] of the training split, options) -> notes for the plan, or a PlanError when this
                     data cannot be trained so

A method is blind to the layout: whether its sequences ran as a tree or padded, `loss` sees per-token log-probabilities
of the weighted tokens in batch order, their per-sequence sums, and the last states. The loop divides the sum of all
totals of an optimizer step by the sum of all weights, over blocks and ranks alike, so no method normalises by itself.

A method module imports no torch at module level, so that options can be bound without loading it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from dizuo import plugins
from dizuo.errors import DizuoError, PlanError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from dizuo.data import Task
    from dizuo.data.rendering.conversations import Rendered
    from dizuo.models.heads import HeadFacts
    from dizuo.records import Example
    from dizuo.trees import Outputs, Sequences

__all__ = ["PACKAGE", "Batch", "Entry", "Loss", "Method", "MethodOptions", "find"]

PACKAGE = "dizuo.training.methods"


class MethodOptions(Protocol):
    """A method's own options: a frozen dataclass, which the method's file declares."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


@dataclass(frozen=True, slots=True)
class Batch:
    """One block of an optimizer step: n sequences of m examples."""

    sequences: Sequences
    """Token ids and weights; their order is the order of everything in `Outputs`."""
    group: NDArray[np.int64]
    """[n] which example of the block a sequence belongs to, 0 to m − 1, ascending."""
    member: NDArray[np.int64]
    """[n] its place among the sequences of its example, as `Method.sequences` returned them."""
    example: NDArray[np.int64]
    """[m] row of each example in its split."""
    targets: NDArray[np.float32]
    """[m, k] what `Method.targets` returned; k is 0 for methods without."""
    reference: NDArray[np.float64] | None = None
    """[n] Σ weight × log p of each sequence before training, in nats, for methods that need it."""
    context: Tensor | None = None
    """What `Method.before` returned, summed over the whole optimizer step."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One example as it is stored and trained: sequences that always stand in one block."""

    row: int
    """Its row in the split; of several rows the first."""
    sequences: Sequence[Rendered]
    targets: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Loss:
    """A block's share of the loss of its optimizer step."""

    total: Tensor
    """[] weighted sum over the block, differentiable, not yet divided by anything."""
    weight: float
    """What the step's totals are divided by, summed over the blocks: tokens, pairs, rows."""
    figures: Mapping[str, Tensor | tuple[Tensor, float]] = field(default_factory=dict)
    """Further sums worth watching, such as the pairs that are ranked right; divided by the weight like the total, or,
    given as (sum, weight), by their own. A figure whose weight is 0 over the whole step is left out of it."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method as the loop uses it; see the module's docstring for each part."""

    Options: type[Any]
    kinds: tuple[str, ...]
    sequences: Callable[[Example, Task | None, Any, Any], Sequence[Rendered]]
    """(example, task, tokenizer, options) -> the token sequences of one example. Deterministic; reads nothing else."""
    loss: Callable[[Outputs, Batch, Any], Loss]
    """(outputs, batch, options) -> the loss of one block. Pure."""
    name: str = ""
    needs_reference: bool = False
    needs_last: bool = False
    num_outputs: Callable[[Task | None, Any], int] | None = None
    head: Callable[[Task | None, Any], HeadFacts] | None = None
    resolve: Callable[[Any, Task | None, NDArray[np.float32]], Any] | None = None
    targets: Callable[[Example, Task | None, Any], Sequence[float]] | None = None
    before: Callable[[Outputs, Batch, Any], Tensor] | None = None
    members_before: tuple[int, ...] = ()
    arrange: Callable[[Sequence[Entry], int, Any], Iterable[Entry]] | None = None
    learning_rate: Callable[[str, int], float] | None = None
    check: Callable[[Task | None, Any], None] | None = None
    check_targets: Callable[[NDArray[np.float32], Any], Sequence[str]] | None = None

    @property
    def reads_last(self) -> bool:
        """Whether the last states of the sequences are needed."""
        return self.needs_last or self.num_outputs is not None


def find(name: str) -> Method:
    """Return the method of that name.

    Raises:
        PlanError: there is none; the message lists those that exist.
    """
    try:
        module = plugins.load(PACKAGE, name, noun="method")
    except DizuoError as error:
        raise PlanError(error.message, details=error.details, hint=error.hint) from None
    parts = {item.name: getattr(module, item.name) for item in fields(Method) if hasattr(module, item.name)}
    return Method(**{**parts, "name": name})
