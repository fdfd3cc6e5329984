"""Exactly one BOS: the first id is BOS where the tokenizer adds one, and the second is not.

Never a count: for some models (SmolLM2) BOS is the token that opens every turn.
"""

from __future__ import annotations

from dizuo.records import Example
from dizuo.training.doctor import Check, Finding, Subject, green, red
from dizuo.training.doctor.turns import chats_of, raw_text


def check(subject: Subject) -> Finding:
    """Look at the first two ids of every sequence."""
    tokenizer = subject.tokenizer
    bos = tokenizer.bos_token_id
    if bos is None:
        return green("the tokenizer has none")
    adds = tokenizer("a")["input_ids"][:1] == [bos]
    wrong, seen = [], 0
    for row in subject.rows:
        for sequence in row.sequences:
            seen += 1
            first, second = int(sequence.ids[0]), int(sequence.ids[1]) if len(sequence.ids) > 1 else None
            if first == bos == second:
                wrong.append(f"{row.place}: begins with {tokenizer.bos_token} twice")
            elif adds and first != bos:
                wrong.append(f"{row.place}: the tokenizer puts {tokenizer.bos_token} first, the sequence does not")
        if row.error and _writes_two(subject, row.example):
            wrong.append(f"{row.place}: the template writes {tokenizer.bos_token} twice")
    if not wrong:
        return green(f"{seen:,} sequences, {tokenizer.bos_token}" + ("" if adds else " where the template writes it"))
    return red(
        f"{len(wrong):,} sequences have not",
        meaning="The model read exactly one BOS in all its training. With two, or none, every token after them is "
        "predicted from a place that it has never seen.",
        lines=wrong,
        hint="let the chat template write it once, or not at all where the tokenizer adds it",
    )


def _writes_two(subject: Subject, example: Example) -> bool:
    """Return whether the template by itself begins with two, in a row that could not be written."""
    bos = subject.tokenizer.bos_token
    assert bos is not None, "asked only where the tokenizer has one"
    texts = [raw_text(subject.tokenizer, chat) for chat, _ in chats_of(example, subject.data.task)]
    return any(text is not None and text.startswith(2 * bos) for text in texts)


CHECK = Check(title="one BOS, at the start", trap=4, check=check)
