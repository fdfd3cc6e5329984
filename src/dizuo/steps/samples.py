"""At every evaluation the model answers the same few validation rows, and the answers go to samples.jsonl of the run.

Training calls an evaluation function and knows nothing of answers; this one writes them down. It changes neither the
weights nor the random state, so a run with samples ends in the bits of one without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from dizuo.data import Dataset
from dizuo.errors import DizuoError
from dizuo.events import Warned, Watcher
from dizuo.training.checkpoints import capture_random_state, restore_random_state
from dizuo.training.run import Metrics

if TYPE_CHECKING:
    from dizuo.evaluation.setting import Item
    from dizuo.models import Model

__all__ = ["SampleWriter", "sample_writer"]


class SampleWriter:
    """Writes the answers: an evaluation function for training that returns no figures and appends one line per item.

    Args:
        path: samples.jsonl of the run.
        items: the validation rows.
        labels: of a classification.
        watch: told where answers could not be made; training goes on without them.
    """

    def __init__(self, path: Path, items: list[Item], labels: tuple[str, ...], *, watch: Watcher) -> None:
        self._log, self._items, self._labels, self._watch = Metrics(path), items, labels, watch
        self._failed = False

    def __call__(self, model: Model, step: int) -> Mapping[str, float]:
        """Write the answers after a step; lines that a killed run wrote after its last checkpoint are cut off first."""
        from dizuo import evaluation

        if self._failed:
            return {}
        state = capture_random_state()
        try:
            written = evaluation.answer_now(model, self._items, labels=self._labels)
        except DizuoError as error:
            self._failed = True
            self._watch(Warned(f"no answers are written to samples.jsonl: {error.message}"))
            return {}
        finally:
            restore_random_state(state)
        self._log.cut_back(step - 1)
        for answer in written:
            self._log.append({"step": step, **asdict(answer)})
        self._log.flush()
        return {}


def sample_writer(data: Dataset, folder: Path, *, count: int, watch: Watcher) -> SampleWriter | None:
    """Return the writer of `count` rows' answers in a run's folder, or None where there is nothing to ask."""
    from dizuo import evaluation

    items = evaluation.watched_items(data, count=count)
    one_label = data.task is not None and data.task.kind == "classification" and not data.task.multi_label
    labels = data.task.labels if data.task is not None and one_label else ()
    return SampleWriter(folder / "samples.jsonl", items, labels, watch=watch) if items else None
