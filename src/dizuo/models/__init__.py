"""Language models and encoders: facts (`inspect`), weights (`load`), memory, adapters, and what to choose from.

`inspect(address)` returns a `ModelSpec`: facts only, small enough to travel in manifests. `load(spec)` returns the
weights. A GGUF is turned once into fp32 safetensors with tokenizer and template; from then on only that is read.
Importing this package loads neither torch nor transformers.
"""

from __future__ import annotations

from dizuo.models.encoders import Encoder, load_encoder
from dizuo.models.inspecting import inspect
from dizuo.models.listing import Candidate, listing
from dizuo.models.loading import Model, load, load_tokenizer
from dizuo.models.spec import ModelSpec
from dizuo.models.templates import end_of_turn_ids

__all__ = [
    "Candidate",
    "Encoder",
    "Model",
    "ModelSpec",
    "end_of_turn_ids",
    "inspect",
    "listing",
    "load",
    "load_encoder",
    "load_tokenizer",
]
