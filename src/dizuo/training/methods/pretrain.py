"""Continued pretraining: maximise the likelihood of running text, every token of every document exactly once an epoch.

    loss = − Σ log p(token | tokens before it in its window) / number of tokens        over the whole optimizer step

A document is its head (BOS where the tokenizer adds one, and the row's prompt, if it has one; read, not trained), its
text, and the end-of-text token. One that is longer than a window is cut into several: each begins with the head, goes
on with `overlap` tokens of what came before as context, and trains the tokens after them. Nothing is lost and nothing
is trained twice. A window that could have neither head nor overlap takes one token of context, since the first token
of a sequence has nothing that could predict it.

Short pieces are put together until their tokens fill a window, so that an example is about `window` tokens and steps
are counted in tokens rather than in documents. Put together does not mean joined: each piece is a sequence of its own
in the token tree and sees nothing of the others.

References:
    Radford et al. 2019, "Language Models are Unsupervised Multitask Learners": documents to windows.
    Ibrahim et al. 2024, "Simple and Scalable Strategies to Continually Pre-train Large Language Models"
    (arXiv:2403.08763): warm the rate up again, and decay it again.
    Krell et al. 2021, "Efficient Sequence Packing without Cross-contamination" (arXiv:2107.02027).

Left out on purpose: replay of the original data, which is the data set's business; attention across documents.

Shapes: W weighted tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dizuo.errors import PlanError
from dizuo.training.method import Batch, Entry, Loss, Method

if TYPE_CHECKING:
    from dizuo.data import Task
    from dizuo.data.rendering.conversations import Rendered
    from dizuo.data.rendering.tokenizer import Tokenizer
    from dizuo.records import Example
    from dizuo.trees import Outputs


@dataclass(frozen=True, slots=True)
class Options:
    """Options of continued pretraining."""

    window: int = 1024
    """Tokens of a window, at most `max_length`. Longer ones see farther and cost more memory."""
    overlap: int = 0
    """Tokens of a long document that a further window repeats as context, below half a window."""
    pack: bool = True
    """Put short documents together into examples of about `window` tokens. Without it every document, or every window
    of a long one, is an example by itself."""

    def __post_init__(self) -> None:
        if isinstance(self.window, bool) or not isinstance(self.window, int) or self.window < 8:
            raise PlanError(f"window must be a whole number of tokens, at least 8, not {self.window!r}")
        if not 0 <= self.overlap < self.window // 2:
            raise PlanError(f"overlap must be from 0 to below half of window ({self.window}), not {self.overlap!r}")


def sequences(example: Example, task: Task | None, tokenizer: Tokenizer, options: Options) -> Sequence[Rendered]:
    """Return the document as one sequence, however long; `num_prompt` is the length of its head."""
    from dizuo.data.rendering.conversations import num_before_text, render_text
    from dizuo.records import Text

    assert isinstance(example, Text)
    return [replace(render_text(tokenizer, example), num_prompt=num_before_text(tokenizer, example))]


def arrange(entries: Sequence[Entry], max_length: int, options: Options) -> Iterator[Entry]:
    """Yield the entries that are trained: windows, short ones put together in the order of their rows."""
    size = min(options.window, max_length)
    pieces = (Entry(entry.row, [part]) for entry in entries for part in cut_windows(entry.sequences[0], size, options))
    if not options.pack:
        yield from pieces
        return
    filling: Entry | None = None
    used = 0
    for piece in pieces:
        length = len(piece.sequences[0].ids)
        if filling is not None and used + length <= size:
            filling, used = replace(filling, sequences=[*filling.sequences, *piece.sequences]), used + length
            continue
        if filling is not None:
            yield filling
        filling, used = piece, length
    if filling is not None:
        yield filling


def cut_windows(document: Rendered, size: int, options: Options) -> Iterator[Rendered]:
    """Yield a document's windows of at most `size` tokens.

    A document whose head and overlap take more than half a window comes back whole: it fits the length limit as it
    is, or is cut or refused like any other row.
    """
    import numpy as np

    length, head = len(document.ids), document.num_prompt
    context = max(options.overlap, 0 if head else 1)
    if length <= size or head + context > size // 2:
        yield document
        return
    start = head  # of what is trained next
    while start < length:
        before = context if start > head else 0
        stop = min(length, start + size - head - before)
        keep = np.concatenate((np.arange(head), np.arange(start - before, stop)))
        weights = np.array(document.weights)[keep]
        weights[: head + before] = 0.0
        yield replace(document, ids=np.asarray(document.ids)[keep], weights=weights, num_prompt=head + before)
        start = stop


def loss(outputs: Outputs, batch: Batch, options: Options) -> Loss:
    """Return Σ weight × cross-entropy of the block, and Σ weight."""
    gains_W = outputs.weights * outputs.logprobs
    return Loss(-gains_W.sum(), batch.sequences.total_weight)


METHOD = Method(Options=Options, kinds=("text",), sequences=sequences, loss=loss, arrange=arrange)
