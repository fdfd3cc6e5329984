"""The engine inside this process: it batches requests over a transformers model and its adapters.

engine.py       `Embedded`: the engine's methods, one worker thread behind them
scheduler.py    which requests take part in the next step
backends.py     the two ways to advance sequences by one step
packed.py       many sequences in one pass, each over its own keys and values
sampling.py     drawing the next token

This file names the engine and loads neither torch nor transformers; they are imported when it is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dizuo.engines.kinds import EngineKind
from dizuo.engines.options import EngineOptions
from dizuo.engines.protocol import Engine

if TYPE_CHECKING:
    from dizuo.models import Model, ModelSpec

__all__ = ["ENGINE"]


def open_embedded(
    model: ModelSpec | Model, adapters: Mapping[str, Path], weights: Path | None, options: EngineOptions
) -> Engine:
    """Open the engine; see `EngineKind.open`."""
    from dizuo.engines.kinds.embedded.engine import open_engine

    return open_engine(model, adapters=adapters, weights=weights, options=options)


ENGINE = EngineKind(open=open_embedded, serves_adapters=True, reads_states=True)
