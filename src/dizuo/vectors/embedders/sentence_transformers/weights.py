"""The BERT family's tensors by what they are for, whatever a checkpoint calls them: of torch, or numpy's arrays.

Covers BERT, RoBERTa, XLM-RoBERTa, CamemBERT and DistilBERT with absolute positions. What runs them is `forward.py`
with torch, `forward_numpy.py` without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from dizuo.errors import VectorError

__all__ = ["Layer", "Shape", "Weights", "read_weights", "unsupported"]

Array = TypeVar("Array")
FAMILY = {"bert", "roberta", "xlm-roberta", "camembert", "distilbert"}
_ACTIVATIONS = {"gelu": "none", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh"}


def unsupported(config: Mapping[str, Any]) -> str | None:
    """Return why a transformer has no packed forward, or None."""
    kind = config.get("model_type")
    if kind not in FAMILY:
        return f"no packed forward for {kind}"
    if config.get("position_embedding_type", "absolute") != "absolute":
        return f"{config['position_embedding_type']} positions"
    activation = config.get("activation" if kind == "distilbert" else "hidden_act", "gelu")
    if activation not in _ACTIVATIONS:
        return f"the activation {activation}"
    if config.get("is_decoder"):
        return "it is a decoder"
    return None


@dataclass(frozen=True, slots=True)
class Shape:
    """What a config.json says of the network."""

    dim: int
    heads: int
    num_layers: int
    epsilon: float
    approximate: str
    """Of GELU: `none` or `tanh`."""
    first_position: int
    """Row of the position embeddings that the first token of a text has."""
    distil: bool

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Shape:
        """Return the shape of a model for which `unsupported` returns None."""
        distil = config["model_type"] == "distilbert"
        roberta = config["model_type"] in ("roberta", "xlm-roberta", "camembert")
        return cls(
            dim=int(config["dim" if distil else "hidden_size"]),
            heads=int(config["n_heads" if distil else "num_attention_heads"]),
            num_layers=int(config["n_layers" if distil else "num_hidden_layers"]),
            epsilon=1e-12 if distil else float(config.get("layer_norm_eps", 1e-12)),
            approximate=_ACTIVATIONS[str(config.get("activation" if distil else "hidden_act", "gelu"))],
            first_position=int(config.get("pad_token_id", 1)) + 1 if roberta else 0,
            distil=distil,
        )


Pair: TypeAlias = tuple[Array, Array]
"""Weight and bias."""


@dataclass(slots=True)
class Layer(Generic[Array]):
    """One layer; each field is a weight [out, in] and its bias."""

    qkv: Pair[Array]
    out: Pair[Array]
    norm: Pair[Array]
    up: Pair[Array]
    down: Pair[Array]
    final_norm: Pair[Array]


@dataclass(slots=True)
class Weights(Generic[Array]):
    """All of a network's tensors, in float32."""

    words: Array
    positions: Array
    """Those of the token type 0, which every token has, are added where there are any."""
    norm: Pair[Array]
    layers: list[Layer[Array]]


def read_weights(
    tensors: Mapping[str, Any],
    shape: Shape,
    *,
    convert: Callable[[Any], Array],
    concatenate: Callable[[Sequence[Array]], Array],
) -> Weights[Array]:
    """Return a checkpoint's tensors by what they are for.

    Args:
        tensors: by name, whatever prefix or age the names have.
        shape: of the network.
        convert: makes float32 of a tensor, contiguous.
        concatenate: joins several along their first axis.

    Raises:
        VectorError: a tensor is missing.
    """
    read = _Reader(tensors, convert, concatenate)
    positions = read("embeddings.position_embeddings.weight")
    if not shape.distil:
        positions = positions + read("embeddings.token_type_embeddings.weight")[0]
    layer = _distil_layer if shape.distil else _bert_layer
    return Weights(
        words=read("embeddings.word_embeddings.weight"),
        positions=positions,
        norm=read.pair("embeddings.LayerNorm"),
        layers=[layer(read, number) for number in range(shape.num_layers)],
    )


class _Reader:
    """Tensors of a checkpoint by the names of a bare model."""

    def __init__(self, tensors: Mapping[str, Any], convert: Callable[[Any], Any], concatenate: Callable[..., Any]):
        anchor = "embeddings.word_embeddings.weight"
        self._prefix = next((name.removesuffix(anchor) for name in tensors if name.endswith(anchor)), "")
        self._tensors, self._convert, self._concatenate = tensors, convert, concatenate

    def __call__(self, name: str) -> Any:
        old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        for candidate in (self._prefix + name, self._prefix + old):
            if candidate in self._tensors:
                return self._convert(self._tensors[candidate])
        raise VectorError(f"the checkpoint has no tensor {self._prefix + name}", hint="fetch the model again")

    def pair(self, name: str) -> tuple[Any, Any]:
        return self(f"{name}.weight"), self(f"{name}.bias")

    def joined(self, *names: str) -> tuple[Any, Any]:
        pairs = [self.pair(name) for name in names]
        return self._concatenate([weight for weight, _ in pairs]), self._concatenate([bias for _, bias in pairs])


def _bert_layer(read: _Reader, number: int) -> Layer[Any]:
    at = f"encoder.layer.{number}"
    own = f"{at}.attention.self"
    return Layer(
        qkv=read.joined(f"{own}.query", f"{own}.key", f"{own}.value"),
        out=read.pair(f"{at}.attention.output.dense"),
        norm=read.pair(f"{at}.attention.output.LayerNorm"),
        up=read.pair(f"{at}.intermediate.dense"),
        down=read.pair(f"{at}.output.dense"),
        final_norm=read.pair(f"{at}.output.LayerNorm"),
    )


def _distil_layer(read: _Reader, number: int) -> Layer[Any]:
    at = f"transformer.layer.{number}"
    own = f"{at}.attention"
    return Layer(
        qkv=read.joined(f"{own}.q_lin", f"{own}.k_lin", f"{own}.v_lin"),
        out=read.pair(f"{own}.out_lin"),
        norm=read.pair(f"{at}.sa_layer_norm"),
        up=read.pair(f"{at}.ffn.lin1"),
        down=read.pair(f"{at}.ffn.lin2"),
        final_norm=read.pair(f"{at}.output_layer_norm"),
    )
