"""Every trained turn ends with a token at which serving stops, and that token is trained: else no answer ever ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dizuo.records import Chat, Text
from dizuo.training.doctor import Check, Finding, Row, Subject, green, red, skipped
from dizuo.training.doctor.turns import chats_of, find_turns, raw_text

if TYPE_CHECKING:
    from dizuo.data.rendering.tokenizer import Tokenizer


def check(subject: Subject) -> Finding:
    """Follow each trained turn to the first token at which serving would stop."""
    if not subject.trains_tokens:
        return skipped("the method trains a head on the last states, and answers nothing")
    seen, wrong = 0, []
    for turn in find_turns(subject):
        if turn.sequence is None:
            continue  # what serving sends is not what was trained: template_identity's finding
        seen += 1
        if turn.stop is None:
            wrong.append(f"{turn.place}: no token that ends an answer follows it")
        elif not turn.sequence.weights[turn.stop] > 0:
            token = subject.tokenizer.convert_ids_to_tokens(int(turn.sequence.ids[turn.stop]))
            wrong.append(f"{turn.place}: {token} at its end has weight 0")
    for row in subject.rows:
        if isinstance(row.example, Text):
            seen += 1
            wrong += _check_text(subject.tokenizer, row)
        elif row.error:
            wrong += [f"{row.place}: {fault}" for fault in _check_template(subject, row)]
    if not wrong:
        return green(f"{seen:,} turns") if seen else skipped("no row could be written as tokens")
    return red(
        f"{len(wrong):,} turns do not",
        meaning="A model trained so is never taught to stop: it goes on after its answer until the token limit.",
        lines=wrong,
        hint="use a chat template that ends every assistant turn with a special token (and the last one too), and a "
        "method that trains that token",
    )


def _check_text(tokenizer: Tokenizer, row: Row) -> list[str]:
    """Return what is wrong with the end of running text."""
    if tokenizer.eos_token_id is None or not row.sequences:
        return []
    ends = [sequence.ids[-1] == tokenizer.eos_token_id and sequence.weights[-1] > 0 for sequence in row.sequences]
    return [] if np.all(ends) else [f"{row.place}: the text does not end with a trained {tokenizer.eos_token}"]


def _check_template(subject: Subject, row: Row) -> list[str]:
    """Return what the template itself does to a row that could not be written."""
    special = {str(token) for token in subject.tokenizer.added_tokens_decoder.values() if token.special}
    special |= set(subject.tokenizer.all_special_tokens)
    for chat, _ in chats_of(row.example, subject.data.task):
        last = max((n for n, message in enumerate(chat.messages) if message.role == "assistant"), default=None)
        if last is None or not chat.messages[last].content:
            continue
        text = raw_text(subject.tokenizer, Chat(chat.messages[: last + 1], chat.tools))
        content = chat.messages[last].content.strip()
        if text is None or content not in text:
            continue
        tail = text[text.rindex(content) + len(content) :]
        if not any(token in tail for token in special):
            return [f"after the answer the template writes {tail[:40]!r}, which no special token ends"]
    return []


CHECK = Check(title="every trained turn ends with a trained end of turn", trap=3, check=check)
