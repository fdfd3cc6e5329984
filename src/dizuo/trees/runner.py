"""Running a batch through a model, as a token tree or as padded sequences, and getting the same answer.

A `Runner` decides once, when it is made, how its model runs: natively (our own forward over the same weights),
hosted (inside transformers' modules) or padded. The decision is measured: a small tree runs against single sequences
on the model's real weights, and a layout that differs is not used.

Shapes: n sequences, W weighted tokens over all of them, T packed tokens, D hidden.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dizuo.errors import ModelError
from dizuo.trees import hosted
from dizuo.trees.capability import refusal
from dizuo.trees.casting import FrozenCast
from dizuo.trees.head import HeadForm, selected_logprobs
from dizuo.trees.native.decoder import Native, unsupported
from dizuo.trees.recomputing import Contexts, layers_of, recomputing
from dizuo.trees.tree import Sequences, build

__all__ = ["Choice", "Layout", "Outputs", "Runner", "score"]

Layout = Literal["auto", "tree", "padded"]
Backend = Literal["auto", "native", "hosted"]

ISOLATION_BOUND = {torch.float64: 1e-5, torch.float32: 1e-3, torch.bfloat16: 0.25, torch.float16: 0.05}
"""Largest difference of a log-probability (nats) between the probe's tree and its sequences one by one. Real models
of 30 fp32 layers stay below 1e-4 (bf16: 0.06); a leak between sequences shows up as 0.1 and more in fp32, 1 in bf16.
transformers norms and rotates in float32 whatever the model's dtype, hence the bound for float64."""
AGREEMENT_BOUND = {torch.float64: 1e-5, torch.float32: 1e-3, torch.bfloat16: 0.5, torch.float16: 0.1}
"""Mean absolute difference (nats) from transformers itself in the weights' own dtype; SmolLM2-135M in bf16: 0.10."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How a model runs, and why; it is written into the plan and not measured again."""

    layout: Literal["tree", "padded"]
    backend: Literal["native", "hosted", "padded"]
    reason: str
    error: float | None = None
    """Largest difference of a log-probability between the tree and single sequences, in nats, on the probe."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(slots=True)
class Outputs:
    """What a method's loss sees, in batch order whatever the layout."""

    logprobs: Tensor
    """[W] log p of every weighted token, sequence by sequence and token by token, in nats."""
    weights: Tensor
    """[W] its weight."""
    sequence: Tensor
    """[W] which sequence it belongs to."""
    num_sequences: int
    last: Tensor | None
    """[n, D] the state of each sequence's last token after the final norm, when asked for."""
    num_tokens: int
    """Tokens that went through the model: at most T, or n × longest when padded."""
    sum_lengths: int
    """Tokens over all sequences, before sharing or padding."""
    scores: Tensor | None = None
    """[n, K] what a trained head gives for each sequence's last state; set by who owns the head."""


class Runner:
    """A model with its measured way to run.

    Args:
        module: a transformers causal language model, plain or wrapped by PEFT. The runner owns its attention
            implementation from here on.
        layout: `tree`, `padded`, or `auto` (tree where it is exact).
        backend: `native`, `hosted`, or `auto` (native where it is exact).
        compute_dtype: dtype of activations and products; None is the dtype of the weights.
        choice: an earlier choice to follow without measuring, from a plan.
        recompute: keep only what goes into each layer, and compute the rest again in the backward pass.
        offload: with `recompute`, keep that in the CPU's memory.

    Raises:
        ModelError: a layout or backend was asked for that this model cannot run exactly, or its layers cannot be
            computed again.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        layout: Layout = "auto",
        backend: Backend = "auto",
        compute_dtype: torch.dtype | None = None,
        choice: Choice | None = None,
        recompute: bool = False,
        offload: bool = False,
    ) -> None:
        self.module = module
        self.base = _base(module)
        self.decoder, self.head = _parts_of(self.base)
        self.config = self.base.config.get_text_config()
        self.device = self.head.weight.device
        self._weight_dtype = self.head.weight.dtype
        self.dtype = compute_dtype or self._weight_dtype
        self._plain_attention = _plain_attention(self.base)
        self._native: Native | None = None
        self._probe_batch = _probe_sequences(self.config)
        self._head_cast = FrozenCast()
        self._own_head = not self._head_is_known()
        self._recompute, self._offload = recompute, recompute and offload
        self._layers: list[nn.Module] | None = None
        self.entrance: Any = None
        """A module whose forward does a pass given to it; set where weights are sharded, which it makes whole."""
        self.choice = choice or self._choose(layout, backend)
        self._settle(self.choice)

    def forward(self, sequences: Sequences, *, need_last: bool = False) -> Outputs:
        """Run a batch.

        Args:
            sequences: the batch; at least one sequence.
            need_last: also return the last token's state of every sequence.

        Returns:
            Log-probabilities of the weighted tokens, differentiable in every parameter that requires a gradient.
        """
        if self.entrance is None:
            return self._run(self.choice, sequences, need_last=need_last)
        found: list[Outputs] = []

        def work() -> tuple[Tensor, Tensor | None]:
            found.append(self._run(self.choice, sequences, need_last=need_last))
            return found[0].logprobs, found[0].last

        # Tensors go out through the entrance, so that their backward begins there too.
        found[0].logprobs, found[0].last = self.entrance(work)
        return found[0]

    def _run(self, choice: Choice, sequences: Sequences, *, need_last: bool) -> Outputs:
        if choice.layout == "padded":
            return self._run_padded(sequences, need_last=need_last)
        tree = build(sequences)
        parents = np.unique(tree.parent[tree.edge])
        wanted = np.union1d(parents, tree.last) if need_last else parents
        packed = tree.needed(wanted)
        if not len(packed):  # nothing is trained and no state is asked for
            states = self.head.weight.new_zeros(0, self.head.weight.shape[1], dtype=self.dtype)
        elif choice.backend == "native":
            assert self._native is not None
            states = self._native.hidden_states(packed)
        else:
            with self._attention(hosted.NAME), self._casting(), self._recomputing(self._hosted_again):
                everything = hosted.hidden_states(self.decoder, packed, expected_layers=self.config.num_hidden_layers)
            states = everything[self._tensor(packed.rows)]
        row_of = np.searchsorted(wanted, parents)
        edge_row = np.searchsorted(parents, tree.parent[tree.edge])
        per_edge = self._logprobs(states, row_of, edge_row, tree.ids[tree.edge])
        return Outputs(
            logprobs=per_edge[self._tensor(tree.path_edge)],
            weights=self._tensor(tree.path_weight).to(per_edge.dtype),
            sequence=self._tensor(tree.path_sequence),
            num_sequences=len(sequences),
            last=states[self._tensor(np.searchsorted(wanted, tree.last))] if need_last else None,
            num_tokens=len(packed),
            sum_lengths=sequences.sum_lengths,
        )

    def _run_padded(self, sequences: Sequences, *, need_last: bool) -> Outputs:
        lengths = np.array([len(ids) for ids in sequences.ids])
        n, longest = len(sequences), int(lengths.max())
        ids = np.zeros((n, longest), np.int64)
        mask = np.zeros((n, longest), np.int64)
        for s, row in enumerate(sequences.ids):
            ids[s, : len(row)], mask[s, : len(row)] = row, 1
        inputs = {"input_ids": self._tensor(ids), "attention_mask": self._tensor(mask), "use_cache": False}
        with self._casting(), self._recomputing():
            if need_last or not self._own_head:
                flat = self.decoder(**inputs).last_hidden_state.reshape(n * longest, -1)
            if self._own_head:
                logits = self.base(**inputs).logits.reshape(n * longest, -1)
        where = [(s, np.flatnonzero(weights)) for s, weights in enumerate(sequences.weights)]
        sequence = np.concatenate([np.full(len(t), s) for s, t in where])
        position = np.concatenate([t for _, t in where])
        parent = sequence * longest + position - 1
        rows, edge_row = np.unique(parent, return_inverse=True)
        token = ids[sequence, position]
        if self._own_head:
            chosen = logits[self._tensor(rows)]
            table = torch.log_softmax(chosen.to(torch.promote_types(chosen.dtype, torch.float32)), -1)
            logprobs = table[self._tensor(edge_row), self._tensor(token)]
        else:
            logprobs = self._logprobs(flat, rows, edge_row, token)
        return Outputs(
            logprobs=logprobs,
            weights=self._tensor(np.concatenate([sequences.weights[s][t] for s, t in where])).to(logprobs.dtype),
            sequence=self._tensor(sequence),
            num_sequences=n,
            last=flat[self._tensor(np.arange(n) * longest + lengths - 1)] if need_last else None,
            num_tokens=n * longest,
            sum_lengths=sequences.sum_lengths,
        )

    def _logprobs(
        self,
        states: Tensor,
        rows: NDArray[Any],
        edge_row: NDArray[Any],
        token: NDArray[Any],
        *,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """[E] log-probabilities of tokens, each predicted by `states[rows[edge_row]]`."""
        order = np.argsort(edge_row, kind="stable")
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        hidden, weight = states[self._tensor(rows)].to(dtype or self.dtype), self.head.weight
        if not weight.requires_grad:  # a table of 49,152 × 576 takes as long to cast as a tenth of a step's products
            weight = self._head_cast(weight, hidden.dtype, weight._version)
        ascending = selected_logprobs(
            hidden,
            weight,
            getattr(self.head, "bias", None),
            row=self._tensor(edge_row[order]),
            token=self._tensor(token[order]),
            form=_head_form(self.config),
        )
        return ascending[self._tensor(back)]

    def _choose(self, layout: Layout, backend: Backend) -> Choice:
        if layout == "padded":
            return Choice("padded", "padded", "asked for")
        with _adapters_that_show(self.module):
            return self._measure(layout, backend)

    def _measure(self, layout: Layout, backend: Backend) -> Choice:
        why = refusal(self.base)
        if why is None and self._own_head:
            why = "it changes its logits in a way that is not known here"
        if why is not None:
            if layout == "tree":
                raise ModelError(f"{self.config.model_type} cannot run as a token tree: {why}", hint="use layout: auto")
            return Choice("padded", "padded", why)
        tried: list[str] = []
        reference = self._probe(Choice("padded", "padded", "probe"), one_by_one=True)
        names: list[Literal["native", "hosted"]] = ["native", "hosted"] if backend == "auto" else [backend]
        for name in names:
            reason = unsupported(self.base) if name == "native" else None
            if reason is None:
                choice = Choice("tree", name, "measured")
                try:
                    self._settle(choice)
                    alone = self._probe(choice, one_by_one=True)
                    error = float((self._probe(choice) - alone).abs().max())
                    departure = float((alone - reference).abs().mean())
                except ModelError as fault:
                    reason = str(fault)
                else:
                    if error <= ISOLATION_BOUND[self.dtype] and departure <= AGREEMENT_BOUND[self.dtype]:
                        reason = "; ".join(["exact on the probe", *tried])
                        return Choice("tree", name, reason, error)
                    reason = f"the tree differs by {error:.1e} nats, single sequences by {departure:.1e} on average"
            tried.append(f"{name}: {reason}")
        if layout == "tree" or backend != "auto":
            raise ModelError(
                f"{self.config.model_type} cannot run as a token tree", details=tried, hint="use layout: auto"
            )
        return Choice("padded", "padded", "; ".join(tried))

    def _settle(self, choice: Choice) -> None:
        """Prepare what a choice needs before its first pass."""
        if choice.backend == "native" and self._native is None:
            self._native = Native(self.base, dtype=self.dtype, recompute=self._recompute, offload=self._offload)
        if choice.backend != "native" and self._recompute and self._layers is None:
            self._layers = layers_of(self.base)

    @contextlib.contextmanager
    def _attention(self, name: str) -> Iterator[None]:
        """Lend the module another attention for one pass; whoever calls it between passes finds its own."""
        self.base.set_attn_implementation(name)
        try:
            yield
        finally:
            self.base.set_attn_implementation(self._plain_attention)

    def _recomputing(self, contexts: Contexts | None = None) -> contextlib.AbstractContextManager[None]:
        """Have transformers' layers compute themselves again in the backward pass, where that was asked for."""
        if not self._recompute or not torch.is_grad_enabled():
            return contextlib.nullcontext()
        assert self._layers is not None
        return recomputing(self._layers, contexts, offload=self._offload)

    def _hosted_again(self) -> tuple[contextlib.AbstractContextManager[Any], contextlib.AbstractContextManager[Any]]:
        """Return the context of a layer in the pass that runs now, and that of its second computation."""
        return contextlib.nullcontext(), self._back_in(hosted.resumed())

    @contextlib.contextmanager
    def _back_in(self, now: contextlib.AbstractContextManager[None]) -> Iterator[None]:
        with self._attention(hosted.NAME), now:
            yield

    def _casting(self) -> contextlib.AbstractContextManager[Any]:
        """Run transformers' modules in the compute dtype when it is not that of the weights."""
        if self.dtype == self._weight_dtype:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    @torch.no_grad()
    def _probe(self, choice: Choice, *, one_by_one: bool = False) -> Tensor:
        """[W] log-probabilities of three sequences that share prefixes of different lengths."""
        was_training = self.module.training
        self.module.eval()
        try:
            batch = self._probe_batch
            if not one_by_one:
                return self._run(choice, batch, need_last=False).logprobs
            singles = [Sequences((i,), (w,)) for i, w in zip(batch.ids, batch.weights, strict=True)]
            return torch.cat([self._run(choice, single, need_last=False).logprobs for single in singles])
        finally:
            self.module.train(was_training)

    @torch.no_grad()
    def _head_is_known(self) -> bool:
        """Whether hidden states and our form of the head give the model's own log-probabilities."""
        was_training = self.module.training
        self.module.eval()
        ids = self._tensor(self._probe_batch.ids[0].astype(np.int64))[None]
        logits = self.base(input_ids=ids, use_cache=False).logits[0]
        own = torch.log_softmax(logits.to(torch.promote_types(logits.dtype, torch.float32)), -1)
        states = self.decoder(input_ids=ids, use_cache=False).last_hidden_state[0]
        count = ids.shape[1] - 1
        chain, following = np.arange(count), ids[0, 1:].cpu().numpy()
        ours = self._logprobs(states, chain, chain, following, dtype=self._weight_dtype)
        theirs = own[torch.arange(count), ids[0, 1:]]
        self.module.train(was_training)
        return bool((ours - theirs).abs().max() <= ISOLATION_BOUND[logits.dtype])

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)


@torch.no_grad()
def score(runner: Runner, sequences: Sequences, *, max_tokens: int = 4096) -> list[NDArray[np.float32]]:
    """Return the log-probabilities of every sequence's weighted tokens, without gradients.

    Args:
        runner: the model.
        sequences: any number of sequences; neighbours that share a prefix should stand together.
        max_tokens: packed tokens of one forward pass.

    Returns:
        Per sequence, log p of its tokens with weight ≠ 0 [number of them], in nats, in the order given.
    """
    results: list[NDArray[np.float32]] = []
    for part in _parts(sequences, max_tokens):
        outputs = runner.forward(part)
        values = outputs.logprobs.float().cpu().numpy()
        counts = [int(np.count_nonzero(weights)) for weights in part.weights]
        results += np.split(values, np.cumsum(counts)[:-1])
    return results


def _parts(sequences: Sequences, max_tokens: int) -> Iterator[Sequences]:
    """Cut a batch into runs of neighbours whose packed size stays within the budget."""
    start, size = 0, 0
    for s, ids in enumerate(sequences.ids):
        shared = sequences.num_shared(s - 1, s) if s > start else 0
        if s > start and size + len(ids) - shared > max_tokens:
            yield _slice(sequences, start, s)
            start, size, shared = s, 0, 0
        size += len(ids) - shared
    if len(sequences):
        yield _slice(sequences, start, len(sequences))


def _slice(sequences: Sequences, start: int, stop: int) -> Sequences:
    return Sequences(sequences.ids[start:stop], sequences.weights[start:stop], sequences.keys[start:stop])


def _base(module: nn.Module) -> Any:
    get = getattr(module, "get_base_model", None)
    return module if get is None else get()


def _plain_attention(base: Any) -> str:
    own = str(base.config._attn_implementation)
    return "sdpa" if own == hosted.NAME else own


def _head_form(config: Any) -> HeadForm:
    scale = getattr(config, "logit_scale", None) or 1.0  # Cohere
    if getattr(config, "logits_scaling", None):  # Granite
        scale = 1.0 / config.logits_scaling
    return HeadForm(scale=float(scale), softcap=getattr(config, "final_logit_softcapping", None))


def _parts_of(base: Any) -> tuple[nn.Module, nn.Linear]:
    """Return the decoder and the vocabulary projection of a causal language model."""
    decoder, head = getattr(base, base.base_model_prefix, None), base.get_output_embeddings()
    if decoder is None or head is None or not hasattr(head, "weight"):
        raise ModelError(f"{type(base).__name__} has no decoder with a vocabulary projection of its own")
    if getattr(head, "lora_A", None):
        raise ModelError(
            "an adapter on the vocabulary projection cannot be trained or scored",
            hint="leave lm_head out of the adapter's targets; all-linear does",
        )
    return decoder, head


@contextlib.contextmanager
def _adapters_that_show(module: nn.Module) -> Iterator[None]:
    """Give adapters that are still zero small values, so that a probe notices when one is not applied."""
    zero = [p for name, p in module.named_parameters() if ".lora_B." in name and not bool(p.detach().any())]
    draw = torch.Generator().manual_seed(20_26)
    with torch.no_grad():
        for parameter in zero:
            parameter.copy_(torch.randn(parameter.shape, generator=draw) * 0.02)
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter in zero:
                parameter.zero_()


def _probe_sequences(config: Any) -> Sequences:
    """Sequences of 24, 20 and 31 tokens (two share 12, the third 5), and one that outgrows the model's window."""
    vocabulary = config.vocab_size
    draw = np.random.default_rng(20_26).integers(min(10, vocabulary - 1), vocabulary, size=700)
    rows = [draw[:24], np.concatenate((draw[:12], draw[24:32])), np.concatenate((draw[:5], draw[32:58]))]
    window = getattr(config, "sliding_window", None) or 0
    room = getattr(config, "max_position_embeddings", None) or 700
    if window and window + 8 <= min(600, room):
        rows.append(np.concatenate((draw[:9], draw[58 : 58 + max(window, 31)])))
    # Of the long one only the last tokens are looked at: 500 rows of logits would take more memory than small runs.
    weights = [[0.0] * max(1, len(row) - 31) + [1.0] * min(31, len(row) - 1) for row in rows]
    return Sequences.of((row.tolist(), weight) for row, weight in zip(rows, weights, strict=True))
