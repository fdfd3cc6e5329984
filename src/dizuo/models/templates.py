"""Chat templates: a default one for models that have none, and the tokens that end an answer."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from dizuo.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["default_template", "end_of_turn_ids"]

CHATML = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""

# The form of google/gemma-3-270m-it: no system role, so its text goes in front of the first user turn.
GEMMA = """\
{{- bos_token -}}
{%- set ns = namespace(system='') -%}
{%- for message in messages -%}
{%- if message['role'] in ('system', 'developer') -%}
{%- set ns.system = ns.system + (message['content'] | trim) + '\\n\\n' -%}
{%- else -%}
{{- '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\\n' -}}
{{- ns.system + (message['content'] | trim) + '<end_of_turn>\\n' -}}
{%- set ns.system = '' -%}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<start_of_turn>model\\n' -}}{%- endif -%}
"""

# For models with no turn tokens at all. A turn ends with the end-of-text token, which every model knows.
PLAIN = """\
{%- if bos_token and bos_token != eos_token -%}{{- bos_token -}}{%- endif -%}
{%- for message in messages -%}
{%- if message['role'] == 'assistant' -%}{{- 'Answer: ' + message['content'] + eos_token + '\\n' -}}
{%- else -%}{{- message['content'] + '\\n' -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'Answer:' -}}{%- endif -%}
"""

_SENTINEL = "dizuo-sentinel"


def default_template(vocabulary: Collection[str]) -> tuple[str, str]:
    """Return the name and the text of the chat template for a model that has none.

    Args:
        vocabulary: the tokenizer's tokens; the template uses turn tokens that the model already knows.
    """
    if "<start_of_turn>" in vocabulary and "<end_of_turn>" in vocabulary:
        return "gemma", GEMMA
    if "<|im_start|>" in vocabulary and "<|im_end|>" in vocabulary:
        return "chatml", CHATML
    return "plain", PLAIN


def end_of_turn_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Return the sorted ids that end an answer.

    They are the first special token after an assistant turn in the chat template, the tokenizer's end of text, and
    what the model's generation_config.json names.
    """
    ids: set[int] = set()
    if tokenizer.eos_token_id is not None:
        ids.add(int(tokenizer.eos_token_id))
    if tokenizer.chat_template:
        ids |= _end_of_template(tokenizer)
    path = Path(str(tokenizer.name_or_path)) / "generation_config.json"
    if path.is_file():
        stated = json.loads(path.read_text("utf-8")).get("eos_token_id")
        ids |= set(stated if isinstance(stated, list) else [] if stated is None else [stated])
    return tuple(sorted(ids))


def _end_of_template(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": _SENTINEL}]
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False)
    except Exception as error:  # jinja2's, and whatever the template raises itself
        raise ModelError(
            f"the chat template of {tokenizer.name_or_path} fails on a question and an answer: {error}",
            hint="repair chat_template.jinja in the model's folder",
        ) from error
    tail = text.rpartition(_SENTINEL)[2]
    special = set(tokenizer.all_special_ids) | {
        index for index, token in tokenizer.added_tokens_decoder.items() if token.special
    }
    ids = tokenizer.encode(tail, add_special_tokens=False) if tail else []
    return {next(index for index in ids if index in special)} if special & set(ids) else set()
