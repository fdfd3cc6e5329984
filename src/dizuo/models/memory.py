"""What a model needs in memory: for inference, adapters and full training, from its configuration alone.

The parts are counted: what each layer keeps of a token for its backward pass, and in which dtype, for each of the three
ways in which a batch runs (`dizuo.trees`); what one layer needs for a moment; and the weights in every form in which
they are held. `tests/models/test_memory_counts.py` holds the counts against what autograd saves. What cannot be counted
is measured: what the process holds besides, and how much of freed memory is not used again. `benchmarks/memory.py`
measures whole runs; docs/reference/memory.md shows both beside each other, on models that were not looked at here too.

Legend: D hidden, H query heads, N key heads, h head size, I intermediate, L layers, V vocabulary, r rank.
"""

from __future__ import annotations

from dataclasses import dataclass

from dizuo.errors import ModelError
from dizuo.models.capability import NATIVE
from dizuo.models.spec import ModelSpec

__all__ = ["MemoryEstimate", "activation_bytes_per_token", "choose_backend", "count_lora_parameters", "estimate"]

_ADAPTERS = ("lora", "dora", "rslora")
_BACKENDS = ("native", "hosted", "padded")
_BITS = {"none": 32.0, "nf4": 4.127, "int8": 8.0}
"""Bits per quantised weight (`models.quantization`)."""
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_FP32 = 4
_BLOCK_ROWS = 64
"""Queries that attention answers together (`trees.attention.blocks.ROWS`)."""
_HEAD_ROWS, _HEAD_KEEPS = 256, 128 * 2**20
"""Rows of the vocabulary projection at a time, and how much softmax is kept (`trees.head`)."""
_SPARE = 0.12
"""Of what is kept, for freed memory that is not used again: the native forward gives back few and large blocks."""
_HOSTED_SPARE = 0.57
"""The same where transformers' modules run, which make and give back much between what is kept (DoRA's outputs beside
are not counted: they fill holes)."""
_DENSE_SPARE = {(False, False): 0.0, (False, True): 0.25, (True, False): 0.35, (True, True): 1.25}
"""Of all linear weights in float32, by whether DoRA and whether quantised weights make dense ones in each layer, which
leave holes between what is kept."""
_SAFETY = 0.15
"""Of the holes of DoRA on quantised weights, which differ most from run to run."""
_PROCESS = {"float32": 40 * 10**6, "bfloat16": 90 * 10**6, "float16": 90 * 10**6}
"""What the process holds besides: code that was loaded lately, threads' buffers, kernels that oneDNN makes for 16
bits."""
_PROCESS_PER_TOKEN = 900
"""Bytes of an entry of the tokenizer."""
_LOAD_BASE, _LOAD_PER_TOKEN = 130 * 2**20, 900
"""What it holds while the model is loaded: reading a tokenizer takes about 900 bytes per entry beside the weights."""
_SANDWICH = {"gemma2", "gemma3_text"}
_HEAD_NORMS = {"gemma3_text", "qwen3", "qwen3_moe"}
_FUSED = {"phi3"}
"""Projections of one input are one product."""


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes at the peak, above what the process needs after its imports."""

    weights: int
    """The model, and the adapter where there is one."""
    gradients: int
    optimizer: int
    """AdamW's two moments in fp32."""
    activations: int
    """What the layers keep for the backward pass, or one layer's share for inference."""
    logits: int
    """Chunks of the vocabulary projection."""
    process: int
    """Tokenizer, caches of the allocator, code that was loaded late."""
    total: int
    """The peak. Less than the sum of the parts, because gradients grow while activations shrink."""


def choose_backend(spec: ModelSpec, *, method: str, quantize: str = "none") -> str:
    """Return how a model most likely runs on a CPU: `native`, `hosted` or `padded`; loaded, it is measured."""
    if not spec.capabilities.get("tree_attention", True):
        return "padded"
    plain = method != "dora" and quantize == "none" and spec.architecture in NATIVE
    return "native" if plain else "hosted"


def estimate(
    spec: ModelSpec,
    *,
    method: str,
    tokens: int,
    sequence_length: int,
    trained_tokens: int,
    dtype: str = "float32",
    rank: int = 16,
    quantize: str = "none",
    backend: str | None = None,
    checkpoint_activations: bool = False,
    offload_activations: bool = False,
    optimizer: str = "adamw",
) -> MemoryEstimate:
    """Return what a run needs at its peak.

    Args:
        spec: the model.
        method: `"inference"`, `"lora"`, `"dora"`, `"rslora"` (each on all linear layers) or `"full"`.
        tokens: packed tokens of one forward pass.
        sequence_length: longest sequence in tokens.
        trained_tokens: tokens of one forward pass that reach the vocabulary projection.
        dtype: of activations and products; frozen weights are held in it too, trained ones in float32 and cast beside.
        rank: of the adapters.
        quantize: how the linear layers' weights are held: `"none"`, `"nf4"` or `"int8"`.
        backend: how batches run: `"native"`, `"hosted"` or `"padded"`; None is what `choose_backend` says.
        checkpoint_activations: only what goes into each layer is kept, and one layer at a time is computed again.
        offload_activations: and that waits in the memory of another device, which is not counted.
        optimizer: `"adamw"`, or `"adamw8bit"`, whose two moments take a byte each.

    Raises:
        ModelError: the method, the dtype, the quantisation or the backend is unknown.
    """
    _refuse_unknown(method, dtype, quantize, backend)
    backend = backend or choose_backend(spec, method=method, quantize=quantize)
    size = _BYTES[dtype]
    adapter = count_lora_parameters(spec, rank) if method in _ADAPTERS else 0
    if method == "dora":
        adapter += _output_features(spec)
    trained = {"inference": 0, "full": spec.parameters}.get(method, adapter)
    linear = count_linear_parameters(spec)
    weights = _weights(spec, linear, size=size, quantize=quantize, frozen=method != "full") + adapter * _FP32
    kept = tokens * activation_bytes_per_token(
        spec, sequence_length=sequence_length, dtype=dtype, rank=rank, method=method, backend=backend
    )
    moment = kept // max(spec.num_layers, 1)
    holes = int(kept * _SPARE)
    if backend != "native":
        # What DoRA makes and gives back is multiplied by its magnitudes, which are float32.
        between = "float32" if method == "dora" else dtype
        plain = tokens * activation_bytes_per_token(
            spec, sequence_length=sequence_length, dtype=between, rank=rank, backend=backend
        )
        dense = (method == "dora", quantize != "none")
        holes = int(plain * _HOSTED_SPARE + linear * _FP32 * _DENSE_SPARE[dense])
        holes += int(holes * _SAFETY) if all(dense) else 0
        moment += _dense(spec, dora=dense[0], quantised=dense[1])
    if checkpoint_activations:
        # Residual sum and normed input of every layer, and all that the one being computed again keeps.
        inputs = 0 if offload_activations else tokens * 2 * spec.hidden_size * spec.num_layers * size
        kept = inputs + kept // max(spec.num_layers, 1)
        holes = int(kept * (_SPARE if backend == "native" else _HOSTED_SPARE))
    activations = moment if method == "inference" else kept + holes + moment
    logits = _logits(spec, trained_tokens, kept=method == "full")
    gradients, moments = trained * _FP32, 2 * trained * (1 if optimizer == "adamw8bit" else _FP32)
    if method == "full":
        # First the activations are whole, beside the gradient of the output layer; at the end the gradients are, with
        # the embedding's arriving beside a tied output layer's. Half of the smaller does not fit into holes.
        table = spec.vocab_size * spec.hidden_size * _FP32
        early, late = activations + logits + table, gradients + (table if spec.tied_embeddings else 0) + moment
        changing = max(early, late) + min(activations, gradients) // 2
    else:
        changing = gradients + activations + logits
    process = _PROCESS[dtype] + _PROCESS_PER_TOKEN * spec.vocab_size
    # Layers are quantised one by one, and each gives its float32 weights back.
    loading = spec.parameters * _FP32 + _LOAD_BASE + _LOAD_PER_TOKEN * spec.vocab_size
    total = max(weights + moments + changing + process, loading)
    return MemoryEstimate(
        weights, gradients, moments, activations, logits, max(total - weights - moments - changing, 0), total
    )


def _refuse_unknown(method: str, dtype: str, quantize: str, backend: str | None) -> None:
    if method not in ("inference", "full", *_ADAPTERS):
        raise ModelError(
            f"no memory estimate is known for {method!r}", hint=f"choose inference, full, {', '.join(_ADAPTERS)}"
        )
    if quantize not in _BITS:
        raise ModelError(f"no quantisation is called {quantize!r}", hint=f"choose one of: {', '.join(_BITS)}")
    if dtype not in _BYTES:
        raise ModelError(f"no dtype is called {dtype!r}", hint=f"choose one of: {', '.join(_BYTES)}")
    if backend not in (None, *_BACKENDS):
        raise ModelError(f"no backend is called {backend!r}", hint=f"choose one of: {', '.join(_BACKENDS)}")


def _weights(spec: ModelSpec, linear: int, *, size: int, quantize: str, frozen: bool) -> int:
    """Return the bytes of the model's weights in every form in which they are held.

    Products in 16 bits read a cast copy, of a frozen output layer too; saving and merging refer to the fp32 weights.
    Quantised ones are dequantised anew in each pass.
    """
    table = spec.vocab_size * spec.hidden_size
    cast = (table if frozen else 0) * size if size < _FP32 else 0
    if quantize != "none":
        return (spec.parameters - linear) * _FP32 + int(linear * _BITS[quantize] / 8) + cast
    return spec.parameters * _FP32 + cast + (linear * size if size < _FP32 else 0)


def activation_bytes_per_token(
    spec: ModelSpec,
    *,
    sequence_length: int,
    dtype: str = "float32",
    rank: int = 16,
    method: str = "lora",
    backend: str = "native",
) -> int:
    """Return the bytes that all layers together keep of one token for the backward pass.

    A value is kept once, whoever reads it. Per layer and token, in the dtype of the products unless it says float32:

    native  residual sum and normed input of attention and of MLP (4 D); queries and the attention's output (2 H h);
            probabilities (H per key seen) and gathered keys and values (2 N h per key, shared by a block of 64
            queries); gate, up and their product (3 I); the adapters' inner values (7 r). Models that norm queries and
            keys keep them once more, and Gemma keeps the outputs of attention and MLP for the norms after them. The
            last layer goes on with the rows that predict something, which are few.
    hosted  the same through transformers' modules, which keep the gate before and after its activation (4 I), and
            give all blocks as many keys as the widest. Under autocast the residual stream and what norms read is
            float32, and each projection has a cast of its own of its input (5 D instead of 2).
    padded  hosted without probabilities and gathered keys: queries, keys, values and the output.

    DoRA keeps the product with the frozen weights and the adapters' own for the magnitudes' gradient (twice all
    outputs); full training keeps what norms multiply by their weights.
    """
    D, H, I, L = spec.hidden_size, spec.num_heads, spec.intermediate_size, spec.num_layers  # noqa: E741 (the legend's)
    query, key = H * spec.head_dim, spec.num_kv_heads * spec.head_dim
    size = _BYTES[dtype]
    inner = 7 * rank if method in _ADAPTERS else 0
    if backend == "native":
        seen = mean_keys(sequence_length)
        values = 4 * D + 2 * query + H * seen + 2 * key * seen // _BLOCK_ROWS + 3 * I + inner
        values += query + 2 * key if spec.architecture in _HEAD_NORMS else 0
        values += 2 * D if spec.architecture in _SANDWICH else 0
        return (values * max(L - 1, 0) + 2 * D + 2 * key) * size
    cast = size < _FP32
    if backend == "padded":
        attention = 2 * query + 2 * key + (query if cast else 0)
    else:
        seen = sequence_length + _BLOCK_ROWS
        attention = 2 * query + H * seen + 2 * key * seen // _BLOCK_ROWS
    inputs = 5 if cast and spec.architecture not in _FUSED else 2
    values = inputs * D + attention + 4 * I + inner
    precise = 2 * D
    precise += query + key if spec.architecture in _HEAD_NORMS else 0
    precise += 2 * D if spec.architecture in _SANDWICH else 0
    if method == "dora":
        values += 2 * (_output_features(spec) // L)
    if method == "full":
        precise += 2 * D
    return (values * size + precise * _FP32) * L


def mean_keys(sequence_length: int) -> int:
    """Return how many keys a block of 64 queries gathers on average, for sequences that share nothing.

    Blocks of 64 queries see 64, 128, … keys, and those of the next sequence where one ends inside; three groups of them
    are padded to the largest of each.
    """
    return 48 + 2 * sequence_length // 3


def _output_features(spec: ModelSpec) -> int:
    """Return the rows of all linear weights of the decoder: DoRA's magnitudes."""
    query, key = spec.num_heads * spec.head_dim, spec.num_kv_heads * spec.head_dim
    return (query + 2 * key + 2 * spec.hidden_size + 2 * spec.intermediate_size) * spec.num_layers


def _dense(spec: ModelSpec, *, dora: bool, quantised: bool) -> int:
    """Return the bytes of whole matrices of one layer that are there for a moment: a dequantised weight, and for DoRA
    ΔW, its multiple, their sum, and the identity that PEFT makes ΔW with."""
    query = spec.num_heads * spec.head_dim
    widest = max(spec.intermediate_size, query)
    return (int(quantised) + 3 * int(dora)) * spec.hidden_size * widest * _FP32 + int(dora) * widest**2 * _FP32


def count_linear_parameters(spec: ModelSpec) -> int:
    """Return the number of weights in the linear layers of the decoder; at most, where its MLP has no gate."""
    query, key = spec.num_heads * spec.head_dim, spec.num_kv_heads * spec.head_dim
    layer = spec.hidden_size * (2 * query + 2 * key) + 3 * spec.hidden_size * spec.intermediate_size
    tables = spec.vocab_size * spec.hidden_size * (1 if spec.tied_embeddings else 2)
    return min(layer * spec.num_layers, spec.parameters - tables)


def count_lora_parameters(spec: ModelSpec, rank: int) -> int:
    """Return the number of LoRA weights on all linear layers of the decoder."""
    query, key = spec.num_heads * spec.head_dim, spec.num_kv_heads * spec.head_dim
    sides = 2 * (spec.hidden_size + query) + 2 * (spec.hidden_size + key)
    sides += 3 * (spec.hidden_size + spec.intermediate_size)
    return rank * sides * spec.num_layers


def _logits(spec: ModelSpec, rows: int, *, kept: bool) -> int:
    """Return the bytes of the logits, one more chunk for their normalisation, and the softmax that is kept."""
    row = spec.vocab_size * _FP32
    keep = rows * row if kept and rows * row <= _HEAD_KEEPS else 0
    return max(keep, min(rows, _HEAD_ROWS) * row) + min(rows, _HEAD_ROWS) * row
