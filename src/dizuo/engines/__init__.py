"""An engine answers requests with a model: token ids in, a stream of token ids out.

A `ModelSpec` (or a loaded `Model`) and adapters go into `open`; an `Engine` comes out, which streams answers to
`GenerateRequest`s and scores `ScoreRequest`s. Importing this package loads neither torch nor transformers.

options.py     EngineOptions: bounds of batch, queue and memory
kinds/         the engines, a plugin folder with one entry each: open() looks the engine up there
protocol.py    requests, answers, and what every engine must be able to do; generate_all and read_states for callers
               that wait

```python
engine = dizuo.engines.open(spec, adapters={"tickets": run.adapter})
results = dizuo.engines.generate_all(engine, [GenerateRequest(ids, Sampling(max_tokens=8), adapter="tickets")])
engine.close()
```
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dizuo.engines.kinds import ENGINES
from dizuo.engines.options import EngineOptions
from dizuo.engines.protocol import (
    Delta,
    Engine,
    EngineClosed,
    EngineStats,
    GenerateRequest,
    QueueFull,
    RequestRefused,
    Result,
    Sampling,
    ScoreRequest,
    StateEngine,
    TokenLogprob,
    generate_all,
    read_states,
)
from dizuo.errors import ServingError

if TYPE_CHECKING:
    from dizuo.models import Model, ModelSpec

__all__ = [
    "Delta",
    "Engine",
    "EngineClosed",
    "EngineOptions",
    "EngineStats",
    "GenerateRequest",
    "QueueFull",
    "RequestRefused",
    "Result",
    "Sampling",
    "ScoreRequest",
    "StateEngine",
    "TokenLogprob",
    "generate_all",
    "open",
    "read_states",
]


def open(
    model: ModelSpec | Model,
    *,
    engine: str = "embedded",
    adapters: Mapping[str, Path] | None = None,
    weights: Path | None = None,
    options: EngineOptions | None = None,
) -> Engine:
    """Open a model so that it answers requests.

    Args:
        model: the model's facts, or the model itself when it is loaded already; the engine then owns the module
            until it is closed.
        engine: the engine's name in `dizuo.engines.kinds`; `embedded` is the one inside this process.
        adapters: PEFT folders by the name under which requests ask for them.
        weights: folder of a fully fine-tuned model of the same architecture, instead of the spec's own weights.
        options: batch, queue and memory bounds.

    Raises:
        ServingError: there is no such engine, it serves no adapters, or an adapter does not fit the model.
        PluginError: another package's engine is none.
        ModelError: the model cannot be loaded.
    """
    kind = ENGINES.load(engine)
    if adapters and not kind.serves_adapters:
        raise ServingError(
            f"the engine {engine!r} serves no adapters",
            hint="choose another engine, or merge the adapter into the weights",
        )
    return kind.open(model, dict(adapters or {}), weights, options or EngineOptions())
