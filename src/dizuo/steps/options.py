"""Options of a recipe's sections that no room has: model, start of training, gate, name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from dizuo.training.tracking import check_names

__all__ = ["DeployOptions", "GateOptions", "LaunchOptions", "Require", "SampleOptions", "SelectOptions"]

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class SelectOptions:
    """Which model."""

    model: str = ""
    """Address of the model: a folder or file, `pypi:name`, `hf:org/name` or `modelscope:org/name`."""


@dataclass(frozen=True, slots=True)
class LaunchOptions:
    """How training is started."""

    ranks: int = 1
    """Processes that train together on this machine, one per GPU, started by torchrun. Batch size and learning rate
    stay as they are: the result is that of one process up to rounding, and a run goes on with another number."""

    def __post_init__(self) -> None:
        if self.ranks < 1:
            raise ValueError(f"ranks must be a number of processes from 1, not {self.ranks}")


@dataclass(frozen=True, slots=True)
class SampleOptions:
    """What is written down while training runs, for people to read."""

    samples: int = 3
    """Validation rows whose greedy answers go to `samples.jsonl` at every evaluation; 0 writes none. They cost a few
    answers' time and change nothing else about the run."""
    track: tuple[str, ...] = ()
    """Tools that the run is shown in as well: `tensorboard`, `mlflow`, `wandb`, `swanlab`, `trackio`. None of them can
    stop or change it."""

    def __post_init__(self) -> None:
        if self.samples < 0:
            raise ValueError(f"samples must be a number of rows from 0, not {self.samples}")
        check_names(self.track)


@dataclass(frozen=True, slots=True)
class Require:
    """What must hold before anything is deployed."""

    better_than_untuned: bool = True
    """The tuned model scores higher than the untuned one, and the paired test says that it is no accident
    (p below 0.05)."""
    better_than_baselines: bool = False
    """The same against the best cheap baseline."""
    min_score: float | None = None
    """Lowest score of the tuned model, 0 to 1."""

    def __post_init__(self) -> None:
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            raise ValueError(f"min_score must be from 0 to 1, not {self.min_score}")


@dataclass(frozen=True, slots=True)
class GateOptions:
    """The gate between evaluation and deployment."""

    require: Require = field(default_factory=Require)
    """What must hold before anything is deployed."""


@dataclass(frozen=True, slots=True)
class DeployOptions:
    """Where the trained model goes."""

    name: str | None = None
    """Name in the registry. None is the recipe's name."""
    alias: str | None = "default"
    """Alias that is moved to the new version; `default` is what a bare name means. None moves none."""
    include_samples: bool = False
    """Keep the rows of your data that report and data card quote in the bundle; a bundle may travel."""
    include_base: bool = False
    """Copy the base model into the bundle, so that it can be served where the base cannot be fetched: one that is a
    folder on this machine, or a machine without a network."""

    def __post_init__(self) -> None:
        for name, value in (("name", self.name), ("alias", self.alias)):
            if value is not None and not _NAME.fullmatch(value):
                raise ValueError(f"{name} must be lower-case letters, digits, '.', '_' and '-', not {value!r}")
