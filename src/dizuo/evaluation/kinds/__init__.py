"""Kinds of tasks, one file each: which rows a report has, and how each is scored.

    classification   one label: cheap models, label likelihood over the token tree or a trained head, and text as served
    multi_label      several labels by a trained head, beside answers that the untuned model writes
    generation       answers that are written through the engine
    regression       numbers by a trained head
    reward           which of two answers is better, by a trained reward
    preference       which of two answers is likelier, before and after training on preferences

A kind is a file that ends in one value:

    KIND = TaskKind(
        title="ranking", answers="ranking", applies=applies, items=items, entries=entries,
        default_metric=lambda items: ("ndcg", "answers are rankings"),
    )

Exactly one kind applies to a task and a head; `choosing.choose_kind` finds it, and `evaluating` runs it.
A package of yours offers one through the entry-point group `dizuo.evaluation.kinds`, and `dizuo.testing.TaskKindSuite`
tests it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dizuo.errors import EvaluationError, PluginError
from dizuo.plugins import Kind, check_fields

if TYPE_CHECKING:
    from dizuo.data import Task
    from dizuo.data.rendering.tokenizer import Tokenizer
    from dizuo.evaluation.reporting.parts import Sample
    from dizuo.evaluation.reporting.report import Report
    from dizuo.evaluation.reporting.rows import Entry
    from dizuo.evaluation.scoring import Score
    from dizuo.evaluation.setting import Item, Setting
    from dizuo.models.heads import HeadFacts
    from dizuo.records import Example
    from dizuo.trees import Runner

__all__ = ["KINDS", "TaskKind"]


@dataclass(frozen=True, slots=True)
class TaskKind:
    """One kind of task: what it applies to, which rows its report has, and what they are scored by."""

    title: str
    """What people call it, such as `classification`."""
    answers: str
    """What its answers are: `label` (one of a task's), `labels` (several, joined), `text` (anything written), `number`,
    or `pair` (which of two is better). Metrics, figures and baselines say by these words which answers they suit."""
    applies: Callable[[Task, HeadFacts | None], bool]
    """(task, head of the tuned model) -> whether this is the kind that evaluates them."""
    items: Callable[[Sequence[Example], Task, int], list[Item]]
    """(rows of a split, task, limit; 0 is all) -> what is scored."""
    entries: Callable[[Setting, Score, dict[str, str]], list[Entry]]
    """(setting, score, absent) -> the answers of every row, cheap ones first; `absent` gets the title of each row that
    cannot be made here, with the reason."""
    default_metric: Callable[[Sequence[Item]], tuple[str, str]] | None = None
    """items -> (name of the metric of single items that `evaluate.metric: auto` means, why); None with `own_score`."""
    own_score: str = ""
    """Title of the score where the kind computes it itself, so that no other can be chosen."""
    figures: tuple[str, ...] = ()
    """Figures that are shown beside the score, in this order; others that suit its answers follow."""
    written: bool = False
    """Whether answers are written, which takes time: at most `generation_items` of them are asked for."""
    fits_cheap_models: bool = True
    """Whether baselines are fitted on training rows."""
    reported: str = ""
    """What `Report.kind` says, where it is not the task's own kind."""
    findings: Callable[[Report, Setting, Score, Sequence[Entry]], None] | None = None
    """Fills in what a report shows of such tasks alone, such as confusions."""
    samples: Callable[[Setting, Sequence[Entry]], Sequence[Sample]] | None = None
    """(setting, entries) -> a few answers of both models, side by side."""
    cheap: Callable[[Setting, Score, dict[str, str]], list[Entry]] | None = None
    """(setting, score, absent) -> the cheap rows alone, for a comparison of untrained models."""
    probe: Callable[[Setting, Score, Runner, Tokenizer], Entry] | None = None
    """(setting, score, runner, tokenizer) -> the untuned model's row alone; None where it cannot answer untrained."""
    name: str = ""
    """Filled in by `KINDS.load`."""

    def __post_init__(self) -> None:
        check_fields(self)
        if bool(self.own_score) == bool(self.default_metric):
            raise PluginError("a kind has either a default_metric or its own_score")
        if (self.cheap is None) != (self.probe is None):
            raise PluginError("a kind has both cheap and probe, or neither")


KINDS = Kind("kind of task", "dizuo.evaluation.kinds", "KIND", TaskKind, error=EvaluationError)
