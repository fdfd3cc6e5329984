"""What a model needs in memory: for inference, LoRA and full training, from its configuration alone.

The parts are counted off the native decoder (`dizuo.trees.native.decoder`) on a CPU: what each layer keeps for its
backward pass, per token, plus what one layer needs for a moment. Two things are measured instead of counted: what the
process holds besides (tokenizer, code loaded lately), and how much of freed memory cannot be used again. The slow tests
compare the totals with peak resident memory, within 15 %.

Legend: D hidden, H query heads, N key heads, h head size, I intermediate, L layers, V vocabulary, r rank.
"""

from __future__ import annotations

from dataclasses import dataclass

from dizuo.errors import ModelError
from dizuo.models.spec import ModelSpec

__all__ = ["MemoryEstimate", "activation_bytes_per_token", "count_lora_parameters", "estimate"]

_ADAPTERS = ("lora", "dora", "rslora")
_BITS = {"none": 32.0, "nf4": 4.127, "int8": 8.0}
"""Bits per quantised weight (`models.quantization`)."""
_DENSE = {False: 1, True: 4}
"""Whole matrices of one layer that are there for a moment: a dequantised weight; for DoRA also ΔW, their sum, and the
identity that PEFT makes ΔW with."""
_DORA_HOLES = {False: 2.45, True: 3.0}
"""Of all linear weights in float32, without and with quantised ones. SmolLM2-135M peaks at 1.76 to 1.89 GB from 32 to
256 tokens; with nf4 at 1.07 to 1.68 GB at 128 tokens, from run to run, of which the most is planned for."""
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_FP32 = 4
_BLOCK_ROWS = 64
"""Queries that attention answers together (`trees.attention.blocks.ROWS`)."""
_HEAD_ROWS, _HEAD_KEEPS = 256, 128 * 2**20
"""Rows of the vocabulary projection at a time, and how much softmax is kept (`trees.head`)."""
_SPARE = 1.15
"""Peak over counted activations: freed blocks are not all used again. 1.05 to 1.3 measured, least for long batches."""
_STEP_BASE = 100 * 2**20
"""What the process holds besides during a step: tokenizer, code that was loaded lately, caches of the allocator."""
_LOAD_BASE, _LOAD_PER_TOKEN = 130 * 2**20, 900
"""What it holds while the model is loaded: reading a tokenizer takes about 900 bytes per entry beside the weights."""
_SANDWICH = {"gemma2", "gemma3_text"}
_HEAD_NORMS = {"gemma3_text", "qwen3", "qwen3_moe"}


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
    checkpoint_activations: bool = False,
    offload_activations: bool = False,
    optimizer: str = "adamw",
) -> MemoryEstimate:
    """Return what a step needs at its peak.

    Args:
        spec: the model.
        method: `"inference"`, `"lora"`, `"dora"`, `"rslora"` (each on all linear layers) or `"full"`.
        tokens: packed tokens of one forward pass.
        sequence_length: longest sequence in tokens.
        trained_tokens: tokens of one forward pass that reach the vocabulary projection.
        dtype: of activations; frozen weights are held in it too, trained ones in float32 and cast beside.
        rank: of the adapters.
        quantize: how the linear layers' weights are held: `"none"`, `"nf4"` or `"int8"`.
        optimizer: `"adamw"`, or `"adamw8bit"`, whose two moments take a byte each.
        checkpoint_activations: only what goes into each layer is kept, and one layer at a time is computed again.
        offload_activations: and that waits in the memory of another device, which is not counted.

    Raises:
        ModelError: the method, the dtype or the quantisation is unknown.
    """
    if method not in ("inference", "full", *_ADAPTERS):
        raise ModelError(
            f"no memory estimate is known for {method!r}", hint=f"choose inference, full, {', '.join(_ADAPTERS)}"
        )
    if quantize not in _BITS:
        raise ModelError(f"no quantisation is called {quantize!r}", hint=f"choose one of: {', '.join(_BITS)}")
    if dtype not in _BYTES:
        raise ModelError(f"no dtype is called {dtype!r}", hint=f"choose one of: {', '.join(_BYTES)}")
    size = _BYTES[dtype]
    adapter = count_lora_parameters(spec, rank) if method in _ADAPTERS else 0
    if method == "dora":
        adapter += _output_features(spec)
    trained = {"inference": 0, "full": spec.parameters}.get(method, adapter)
    # Products in 16 bits read a cast copy, of the output layer too; saving and merging refer to the fp32 weights.
    linear = count_linear_parameters(spec)
    cast = linear + spec.vocab_size * spec.hidden_size
    weights = (spec.parameters + adapter) * _FP32 + (cast * size if size < _FP32 else 0)
    if quantize != "none":
        weights = (spec.parameters - linear + adapter) * _FP32 + int(linear * _BITS[quantize] / 8)
    per_token = activation_bytes_per_token(spec, sequence_length=sequence_length, dtype=dtype, rank=rank)
    if method == "dora":
        # The product with the frozen weights and the adapters' own are both kept, for the magnitudes' gradient.
        per_token += 2 * _output_features(spec) * size
    if method == "dora" or quantize != "none":
        per_token += _hosted_bytes_per_token(spec, rank=rank)
    moment = tokens * per_token // max(spec.num_layers, 1)
    if method == "dora" or quantize != "none":
        moment += _DENSE[method == "dora"] * _largest_layer(spec) * _FP32
    kept = tokens * per_token
    if checkpoint_activations:
        # Residual sum and normed input of every layer, and all that the one being computed again keeps.
        inputs = 0 if offload_activations else tokens * 2 * spec.hidden_size * spec.num_layers * size
        kept = inputs + kept // max(spec.num_layers, 1)
    activations = moment if method == "inference" else int(kept * _SPARE) + moment
    if method == "dora":
        # What each layer allocates of its dense weights and gives back lies between what is kept, and stays as holes.
        activations = max(activations, int(_DORA_HOLES[quantize != "none"] * linear * _FP32))
    logits = _logits(spec, trained_tokens, kept=method == "full")
    gradients, moments = trained * _FP32, 2 * trained * (1 if optimizer == "adamw8bit" else _FP32)
    if method == "full":
        # First the activations are whole, beside the gradient of the output layer; at the end the gradients are, with
        # the embedding's arriving beside a tied output layer's. A quarter of the smaller does not fit into holes.
        table = spec.vocab_size * spec.hidden_size * _FP32
        early, late = activations + logits + table, gradients + (table if spec.tied_embeddings else 0) + moment
        changing = max(early, late) + min(activations, gradients) // 4
    else:
        changing = gradients + activations + logits
    step = weights + moments + changing + _STEP_BASE
    # Layers are quantised one by one, and each gives its float32 weights back.
    loading = spec.parameters * _FP32 + _LOAD_BASE + _LOAD_PER_TOKEN * spec.vocab_size
    total = max(step, loading)
    process = total - weights - moments - changing if total == loading else _STEP_BASE
    return MemoryEstimate(weights, gradients, moments, activations, logits, max(process, 0), total)


def activation_bytes_per_token(spec: ModelSpec, *, sequence_length: int, dtype: str = "float32", rank: int = 16) -> int:
    """Return the bytes that all layers together keep of one token for the backward pass.

    Per layer and token: residual sum and normed input of attention and of MLP (4 D); queries and the attention's
    output (2 H h); probabilities (H per key seen) and gathered keys and values (2 N h per key, shared by a block of 64
    queries); gate, up and their product (3 I); the adapters' inner values (7 r). Models that norm queries and keys
    keep them once more, and Gemma keeps the outputs of attention and MLP for the norms after them.
    """
    query, key = spec.num_heads * spec.head_dim, spec.num_kv_heads * spec.head_dim
    seen = mean_keys(sequence_length)
    values = 4 * spec.hidden_size + 2 * query + 3 * spec.intermediate_size + 7 * rank
    values += spec.num_heads * seen + 2 * key * seen // _BLOCK_ROWS
    if spec.architecture in _HEAD_NORMS:
        values += query + 2 * key
    if spec.architecture in _SANDWICH:
        values += 2 * spec.hidden_size
    return int(values) * spec.num_layers * _BYTES[dtype]


def mean_keys(sequence_length: int) -> int:
    """Return how many keys a query's block gathers on average, for sequences that share nothing.

    Blocks of 64 queries see 64, 128, … keys; three groups of them are padded to the largest of each.
    """
    return _BLOCK_ROWS + max(0, sequence_length - _BLOCK_ROWS) * 3 // 5


def _output_features(spec: ModelSpec) -> int:
    """Return the rows of all linear weights of the decoder: DoRA's magnitudes."""
    query, key = spec.num_heads * spec.head_dim, spec.num_kv_heads * spec.head_dim
    return (query + 2 * key + 2 * spec.hidden_size + 2 * spec.intermediate_size) * spec.num_layers


def _hosted_bytes_per_token(spec: ModelSpec, *, rank: int) -> int:
    """Return what transformers' modules keep of a token besides: rotated queries and keys, both norms in fp32, the
    adapters' outputs before they are added, and the activation before and after its gate."""
    query, key = spec.num_heads * spec.head_dim, spec.num_kv_heads * spec.head_dim
    values = 4 * spec.hidden_size + 2 * query + 4 * key + 2 * spec.intermediate_size + 7 * rank
    return values * spec.num_layers * _FP32


def _largest_layer(spec: ModelSpec) -> int:
    query = spec.num_heads * spec.head_dim
    return spec.hidden_size * max(spec.intermediate_size, query)


def count_linear_parameters(spec: ModelSpec) -> int:
    """Return the number of weights in the linear layers of the decoder."""
    query, key = spec.num_heads * spec.head_dim, spec.num_kv_heads * spec.head_dim
    layer = spec.hidden_size * (2 * query + 2 * key) + 3 * spec.hidden_size * spec.intermediate_size
    return layer * spec.num_layers


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
