"""What a training method is: the contract that a file in `methods/` fulfils, and what passes between it and the loop.

A method states facts and pure functions; the loop does everything else. It is blind to the layout: whether its
sequences ran as a tree or padded, `loss` sees per-token log-probabilities of the weighted tokens in batch order and the
last states. The loop divides the sum of all totals of an optimizer step by the sum of all weights, over blocks and
ranks alike, so no method normalises by itself.

Shapes: N sequences of M examples, K outputs of a head, T targets of an example.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import Field, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol

from dizuo.plugins import check_fields
from dizuo.training.planning.learning_rates import Rates

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor
    from typing_extensions import TypeVar

    from dizuo.data import Task
    from dizuo.data.rendering.conversations import Rendered
    from dizuo.data.rendering.tokenizer import Tokenizer
    from dizuo.models.heads import HeadFacts
    from dizuo.records import Example
    from dizuo.trees import Outputs, Sequences
else:
    from typing import TypeVar

__all__ = ["Batch", "Entry", "Loss", "Method", "MethodOptions", "Rates"]


class MethodOptions(Protocol):
    """A method's own options: a frozen dataclass, which the method's file declares."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


if TYPE_CHECKING:  # `Method` alone is one whose options are not known; TypeVars have defaults from Python 3.13 on
    OptionsT = TypeVar("OptionsT", bound=MethodOptions, default=MethodOptions)
else:
    OptionsT = TypeVar("OptionsT")


@dataclass(frozen=True, slots=True)
class Batch:
    """One block of an optimizer step: N sequences of M examples."""

    sequences: Sequences
    """Token ids and weights; their order is the order of everything in `Outputs`."""
    group: NDArray[np.int64]
    """[N] which example of the block a sequence belongs to, 0 to M − 1, ascending."""
    member: NDArray[np.int64]
    """[N] its place among the sequences of its example, as `Method.sequences` returned them."""
    example: NDArray[np.int64]
    """[M] row of each example in its split."""
    targets: NDArray[np.float32]
    """[M, T] what `Method.targets` returned; T is 0 for methods without."""
    reference: NDArray[np.float64] | None = None
    """[N] Σ weight × log p of each sequence before training, in nats, for methods that need it."""
    context: Tensor | None = None
    """What `Method.before` returned, summed over the whole optimizer step."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One example as it is stored and trained: sequences that always stand in one block."""

    row: int
    """Its row in the split; of several rows the first."""
    sequences: Sequence[Rendered]
    """Token ids with weights, in the order in which `Batch.member` numbers them."""
    targets: Sequence[float] = ()
    """Its numbers that are not tokens."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Method(Generic[OptionsT]):
    """A training method. Four fields must be given; a method states the others only where it needs them."""

    Options: type[OptionsT]
    """A frozen dataclass of the method's own few options, which stand in the recipe's `train` section."""
    kinds: tuple[str, ...]
    """Which records it takes, as in `("chat", "labelled")`."""
    sequences: Callable[[Example, Task | None, Tokenizer, OptionsT], Sequence[Rendered]]
    """(example, task, tokenizer, options) -> the token sequences of one example, each token with a weight.
    Deterministic; reads nothing else."""
    loss: Callable[[Outputs, Batch, OptionsT], Loss]
    """(outputs, batch, options) -> the loss of one block. Pure."""
    name: str = ""
    """The name of its file; filled when it is loaded."""
    rates: Rates | None = None
    """Peak learning rates that the plan chooses from where the user names none; None is those for teaching new text."""
    needs_reference: bool = False
    """`loss` reads each sequence's log-probability under the model as it was before training (DPO, KTO). It is computed
    once, before the first step, and comes as `batch.reference`."""
    needs_last: bool = False
    """`loss` reads `outputs.last`, the last states themselves."""
    num_outputs: Callable[[Task | None, OptionsT], int] | None = None
    """(task, options) -> K: a linear head of K outputs on each sequence's last state, trained with the model
    (classification, regression, reward). `outputs.scores` has them."""
    head: Callable[[Task | None, OptionsT], HeadFacts] | None = None
    """(task, options) -> what those outputs mean, which is saved with them."""
    targets: Callable[[Example, Task | None, OptionsT], Sequence[float]] | None = None
    """(example, task, options) -> numbers of an example that are not tokens: a class, a value, a wish. `batch.targets`
    has them."""
    arrange: Callable[[Sequence[Entry], int, OptionsT], Iterable[Entry]] | None = None
    """(entries, max_length, options) -> the entries that are trained, made from those of all rows of a split together:
    windows of long texts, or a row's prompt with another row's answer."""
    before: Callable[[Outputs, Batch, OptionsT], Tensor] | None = None
    """(outputs, batch, options) -> a block's share of a sum over the whole optimizer step that each block's loss needs
    (KTO's KL term). It is called without gradients on blocks of the `members_before` alone; the sum over blocks and
    ranks comes as `batch.context`."""
    members_before: tuple[int, ...] = ()
    """Places of the sequences that only `before` sees: they are left out of the blocks that `loss` sees."""
    check: Callable[[Task | None, OptionsT], None] | None = None
    """(task, options) -> nothing; raises a PlanError when this task cannot be trained so."""
    check_targets: Callable[[NDArray[np.float32], OptionsT], Sequence[str]] | None = None
    """(targets [M, T] of the training split, options) -> notes for the plan; raises a PlanError when this data cannot
    be trained so."""
    resolve: Callable[[OptionsT, Task | None, NDArray[np.float32]], OptionsT] | None = None
    """(options, task, targets [M, T] of the training split) -> the options with what only the data can say, such as
    class weights or a mean. The plan holds these, and `head` and `loss` see them."""

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def reads_last(self) -> bool:
        """Whether the last states of the sequences are needed."""
        return self.needs_last or self.num_outputs is not None
