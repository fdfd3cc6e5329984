"""Texts become ids: one BOS, no token that the model has no embedding for, and answers that leave their prompt alone.

Only `conversations.py` and `last_token.py` call this module, and evaluation where a raw prompt is asked.
"""

from __future__ import annotations

from dizuo.data.rendering.facts import GUARD, facts_of
from dizuo.data.rendering.faults import ModelFault, template_name
from dizuo.data.rendering.tokenizer import Tokenizer
from dizuo.errors import DataError
from dizuo.models.vocabulary import RESIZE, find_unreadable

__all__ = ["check_readable", "encode_after", "encode_prompt", "refuse_two_bos"]

_ENCODED_TEXTS = 10_000
"""Most short texts whose ids are kept."""


def _encode(tokenizer: Tokenizer, text: str) -> list[int]:
    ids: list[int] = []
    for piece in text.split(GUARD):
        ids += tokenizer(piece, add_special_tokens=False)["input_ids"]
    return check_readable(tokenizer, ids)


def check_readable(tokenizer: Tokenizer, ids: list[int]) -> list[int]:
    """Return ids that the model has an embedding for.

    Raises:
        ModelFault: it has none for one of them, since its tokenizer is longer than its embedding.
    """
    rows = facts_of(tokenizer).num_rows
    if rows is None or not ids or max(ids) < rows:
        return ids
    raise ModelFault(str(find_unreadable(tokenizer, ids)), hint=RESIZE)


def encode_prompt(tokenizer: Tokenizer, text: str, *, template: bool = True) -> list[int]:
    """Return ids with exactly one BOS where the tokenizer adds one: ids[0] is BOS and ids[1] is not.

    Never a count: SmolLM2's BOS is the token that opens every turn. One that the text brings along is not added again.

    Args:
        tokenizer: the model's.
        text: what a template wrote, or a text as it stands.
        template: whether a template wrote it, for errors.

    Raises:
        DataError: the text opens with BOS twice.
    """
    ids = _encode(tokenizer, text)
    bos = tokenizer.bos_token_id
    if bos is None:
        return ids
    if facts_of(tokenizer).adds_bos and ids[:1] != [bos]:
        ids = check_readable(tokenizer, [bos, *ids])
    refuse_two_bos(tokenizer, ids, template=template)
    return ids


def refuse_two_bos(tokenizer: Tokenizer, ids: list[int], *, template: bool) -> None:
    """Refuse ids that open with BOS twice: the model has never read that.

    Raises:
        ModelFault: its template writes both.
        DataError: they stand in the text.
    """
    bos = tokenizer.bos_token_id
    if bos is None or ids[:2] != [bos, bos]:
        return
    if template:
        raise ModelFault(
            f"{template_name(tokenizer)} opens with the BOS token {tokenizer.bos_token!r} twice",
            hint="choose a model whose template writes it once",
        )
    adds = ", or not at all: the tokenizer adds it" if facts_of(tokenizer).adds_bos else ""
    raise DataError(f"the text opens with the BOS token {tokenizer.bos_token!r} twice", hint=f"write it once{adds}")


def encode_after(tokenizer: Tokenizer, prompt_text: str, text: str) -> list[int]:
    """Return the ids of `text` as they stand after the prompt.

    Special tokens cut a text before anything is merged: what stands before the prompt's last one has no say.
    """
    facts = facts_of(tokenizer)
    start = max((prompt_text.rfind(token) for token in facts.cuts), default=0)
    before = prompt_text[max(start, 0) :]
    ids = facts.encoded.get((before, text))
    if ids is None:
        ids = _encode_beside(tokenizer, before, text)
        if len(before) + len(text) < 200 and len(facts.encoded) < _ENCODED_TEXTS:
            facts.encoded[before, text] = ids
    return ids


def _encode_beside(tokenizer: Tokenizer, before: str, text: str) -> list[int]:
    alone = _encode(tokenizer, text)
    if not before:
        return alone
    before_ids = _encode(tokenizer, before)
    together = _encode(tokenizer, before + text)
    if together == before_ids + alone:
        return alone
    # The tokenizer merges across the boundary, or writes a dummy space in front of a text of its own.
    decoded = tokenizer.decode(before_ids + alone, clean_up_tokenization_spaces=False)
    if decoded == tokenizer.decode(before_ids, clean_up_tokenization_spaces=False) + text.replace(GUARD, ""):
        return alone
    if together[: len(before_ids)] == before_ids:
        return together[len(before_ids) :]
    raise DataError(
        f"the tokenizer cannot write the answer {text[:40]!r} after its prompt without changing the prompt",
        hint="begin the answer with another character; white space at its start is the usual cause",
    )
