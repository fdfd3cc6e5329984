"""Linear heads on the state of a sequence's last token: what they say, and how they lie on disk.

    score = W h        W [K, D], no bias; h the last token's state after the final norm

This is the head of transformers' `…ForSequenceClassification`, so both results of training load there unchanged: an
adapter folder with the head among its tensors (PEFT's SEQ_CLS form), and a folder of a whole model. `head.json` beside
them says what transformers has no place for: the kind, the labels, how targets were standardised, and the digest of
the chat template that inputs were rendered with.

Shapes: n sequences, D hidden, K outputs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dizuo.artifacts.writing import write_json
from dizuo.errors import ModelError
from dizuo.records import Json

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

__all__ = [
    "FILE", "KINDS", "WEIGHT", "Head", "HeadFacts", "digest_template", "find_classifier_fault",
    "make_classifier_config", "make_classifier_state", "read", "write_facts",
]  # fmt: skip

FILE = "head.json"
KINDS = ("classification", "multi_label", "regression", "reward")
WEIGHT = "score.weight"
"""Its name in a whole model; in an adapter PEFT puts `base_model.model.` before it."""


@dataclass(frozen=True, slots=True)
class HeadFacts:
    """What a head's outputs mean."""

    kind: str
    """`classification` (softmax), `multi_label` (a sigmoid per label), `regression` (one number) or `reward`."""
    labels: tuple[str, ...] = ()
    """Of the outputs, in their order; none for a regression or a reward."""
    mean: float = 0.0
    scale: float = 1.0
    """A number is mean + scale × output: targets were standardised with the training rows' mean and deviation."""
    form: str = "chat"
    """How inputs are rendered: `chat` or `text` (`dizuo.data.rendering.last_token`)."""
    cue: str = ""
    """What every answer begins with; the head reads the state of its last token."""
    template: str | None = None
    """`sha256:…` of the chat template's text."""

    @property
    def num_outputs(self) -> int:
        """K."""
        return len(self.labels) or 1

    def to_json(self) -> dict[str, Json]:
        """Return plain JSON values; `from_json` is the inverse."""
        return {**asdict(self), "labels": list(self.labels)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> HeadFacts:
        """Return the facts that `to_json` wrote.

        Raises:
            ModelError: fields that this version does not know, or no known kind.
        """
        unknown = sorted(value.keys() - {item.name for item in fields(cls)})
        if unknown or value.get("kind") not in KINDS:
            wrong = f"unknown fields: {', '.join(unknown)}" if unknown else f"the kind {value.get('kind')!r}"
            raise ModelError(f"{FILE} has {wrong}", hint="it was written by a newer dizuo: pip install -U dizuo")
        return cls(**{**value, "labels": tuple(value.get("labels", ()))})


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A head in memory."""

    facts: HeadFacts
    weight: NDArray[np.float32]
    """[K, D]."""

    def outputs(self, states: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return [n, K] for states [n, D].

        Each row is a product of its own, so that a sequence's outputs do not depend on what else is asked.
        """
        out = np.empty((len(states), len(self.weight)), np.float32)
        for row, state in enumerate(states):
            out[row] = self.weight @ state
        return out

    def probabilities(self, outputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return [n, K]: a softmax over the labels, or a sigmoid for each of several."""
        assert self.facts.labels, "only labels have probabilities"
        values = outputs.astype(np.float64)
        if self.facts.kind == "multi_label":
            tail = np.exp(-np.abs(values))
            return np.where(values >= 0, 1 / (1 + tail), tail / (1 + tail))
        shifted = np.exp(values - values.max(axis=1, keepdims=True))
        shares: NDArray[np.float64] = shifted / shifted.sum(axis=1, keepdims=True)
        return shares

    def numbers(self, outputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return [n] predicted numbers in the units of the data, or rewards."""
        assert not self.facts.labels
        return self.facts.mean + self.facts.scale * outputs[:, 0].astype(np.float64)


def digest_template(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """Return `sha256:…` of a tokenizer's chat template, or None where it has none."""
    template = getattr(tokenizer, "chat_template", None)
    return f"sha256:{hashlib.sha256(template.encode('utf-8')).hexdigest()}" if isinstance(template, str) else None


def read(folder: str | Path) -> Head | None:
    """Return the head in an adapter's or a model's folder; None where it holds a plain language model.

    Raises:
        ModelError: head.json is damaged, or its weights are missing or of another shape.
    """
    from safetensors import SafetensorError, safe_open

    folder = Path(folder)
    if not (folder / FILE).is_file():
        return None
    try:
        facts = HeadFacts.from_json(json.loads((folder / FILE).read_text("utf-8")))
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(str(path), framework="numpy") as tensors:
                for name in tensors.keys():  # noqa: SIM118 (not a mapping)
                    if name == WEIGHT or name.endswith(f".{WEIGHT}"):
                        weight = np.asarray(tensors.get_tensor(name), np.float32)
                        if weight.shape[0] != facts.num_outputs:
                            raise ModelError(
                                f"the head in {folder} has {weight.shape[0]} outputs, and {FILE} names "
                                f"{facts.num_outputs}",
                                hint="train or fetch it again",
                            )
                        return Head(facts, weight)
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        raise ModelError(f"the head in {folder} cannot be read: {error}", hint="train or fetch it again") from error
    raise ModelError(f"{folder} has a {FILE}, but no {WEIGHT}", hint="train or fetch it again")


def write_facts(folder: Path, facts: HeadFacts) -> None:
    """Write head.json."""
    write_json(folder / FILE, facts.to_json())


def find_classifier_fault(config: PretrainedConfig) -> str | None:
    """Return why a model cannot have a head that transformers loads, or None."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES as NAMES

    kind = config.get_text_config().model_type
    if kind not in NAMES:
        return f"transformers has no sequence classification for {kind}"
    return None


def make_classifier_config(module: PreTrainedModel, facts: HeadFacts, *, pad_token_id: int | None) -> PretrainedConfig:
    """Return the configuration of transformers' classifier on a language model.

    Args:
        module: the causal language model.
        facts: of the head.
        pad_token_id: the tokenizer's; the classifier looks for the last token that is another.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    config = type(module.config).from_dict(module.config.to_dict())
    names = facts.labels or ("score",)
    config.id2label = dict(enumerate(names))
    config.label2id = {name: number for number, name in enumerate(names)}
    config.problem_type = {
        "classification": "single_label_classification",
        "multi_label": "multi_label_classification",
    }.get(facts.kind, "regression")
    config.get_text_config().pad_token_id = pad_token_id
    with torch.device("meta"):
        shell = AutoModelForSequenceClassification.from_config(config)
    config.architectures = [type(shell).__name__]
    expected = set(shell.state_dict())
    assert WEIGHT in expected, f"{type(shell).__name__} keeps its head under another name"
    return config


def make_classifier_state(tensors: Mapping[str, torch.Tensor], weight: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return a language model's tensors with the head in the place of the output layer."""
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("lm_head.")}
    return {**kept, WEIGHT: weight.detach().float().contiguous()}
