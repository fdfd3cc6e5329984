"""How a model answers: one protocol, several engines. Importing this loads neither torch nor transformers.

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
from dizuo.errors import ServingError, did_you_mean

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

ENGINES = ("embedded",)


def open(
    model: ModelSpec | Model,
    *,
    engine: str = "embedded",
    adapters: Mapping[str, Path] | None = None,
    weights: Path | None = None,
    options: EngineOptions | None = None,
) -> Engine:
    """Open a model so that it answers.

    Args:
        model: the model's facts, or the model itself when it is loaded already; the engine then owns the module
            until it is closed.
        engine: `embedded`, the engine inside this process.
        adapters: PEFT folders by the name under which requests ask for them.
        weights: folder of a fully fine-tuned model of the same architecture, instead of the spec's own weights.
        options: batch, queue and memory bounds.

    Raises:
        ServingError: there is no such engine, or an adapter does not fit the model.
        ModelError: the model cannot be loaded.
    """
    if engine not in ENGINES:
        raise ServingError(
            f"no engine is called {engine!r}{did_you_mean(engine, ENGINES)}",
            hint=f"choose one of: {', '.join(ENGINES)}",
        )
    from dizuo.engines.kinds.embedded.engine import open_engine

    return open_engine(model, adapters=dict(adapters or {}), weights=weights, options=options or EngineOptions())
