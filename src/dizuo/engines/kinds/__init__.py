"""The engines, one entry each: a file or a package that ends in `ENGINE = EngineKind(…)`. The folder is the registry.

embedded/    the engine inside this process, for CPUs and a single small GPU

How an engine is written:

    from dizuo.engines.kinds import EngineKind

    def open_mine(model, adapters, weights, options):
        from my_package.engine import Mine      # what is heavy is imported here, when the engine is opened

        return Mine(model, adapters, weights, options)      # has the methods of dizuo.engines.Engine

    ENGINE = EngineKind(open=open_mine, serves_adapters=True, reads_states=False)

Put the file into this folder, or name it from another package in the entry-point group `dizuo.engines.kinds`. Then
`dizuo.engines.open(model, engine="mine")` opens it, and `dizuo.testing.EngineSuite` says whether it keeps the protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dizuo import plugins
from dizuo.engines.options import EngineOptions
from dizuo.engines.protocol import Engine
from dizuo.errors import ServingError

if TYPE_CHECKING:
    from dizuo.models import Model, ModelSpec

__all__ = ["ENGINES", "EngineKind"]


@dataclass(frozen=True, slots=True)
class EngineKind:
    """What an engine's file ends in."""

    open: Callable[[ModelSpec | Model, Mapping[str, Path], Path | None, EngineOptions], Engine]
    """Called as `open(model, adapters, weights, options)`, with the arguments of `dizuo.engines.open`; returns the
    engine, ready for requests."""
    serves_adapters: bool
    """Whether LoRA adapters can be loaded beside the base model. Without it `dizuo.engines.open` refuses them before
    the model is loaded."""
    reads_states: bool
    """Whether the opened engine is a `StateEngine`, which is what a model that was trained with a head needs."""
    name: str = ""
    """The entry's name in the folder or of the entry point; filled in when the engine is loaded."""

    def __post_init__(self) -> None:
        plugins.check_fields(self)


ENGINES = plugins.Kind("engine", "dizuo.engines.kinds", "ENGINE", EngineKind, error=ServingError)
"""The one place that finds engines."""
