"""Language models and encoders: an address goes in; facts, weights and what fits come out.

`inspect(address)` returns a `ModelSpec`: facts only, small enough to travel in manifests. `load(spec)` returns a
`Model`: weights and tokenizer. An address passes through these files, in this order:

inspecting.py     address → facts; fetches and converts what is needed, once
finding.py        which file or folder of what was fetched holds the model; its headers
gguf.py           a GGUF as fp32 safetensors with tokenizer and template: from then on only those are read
spec.py           `ModelSpec`, the facts
capability.py     what the configuration alone says about running as a token tree
loading.py        facts → `Model`: weights in memory, and the tokenizer
templates.py      chat templates for models without one; the tokens that end an answer
vocabulary.py     whose tokenizer it is; tokens for which the embedding has no row
quantization.py   frozen weights in 4 or 8 bits

What is put on a model, and what is known beside it:

adapters.py       LoRA, rsLoRA, DoRA: added to a model, written, read
merging.py        where an adapter is merged into the weights
heads.py          heads on the last token's state: classification, regression, reward
encoders.py       text encoders of the BERT family
memory.py         how much memory inference and training take
listing.py        which models there are to choose from
keeping.py        which models were fetched, how large they are, and how one is removed

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
