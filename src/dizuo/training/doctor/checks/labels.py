"""The trained tokens of every trained turn spell that turn, and nothing of what was only read is trained."""

from __future__ import annotations

import numpy as np

from dizuo.training.doctor import Check, Finding, Subject, green, red, skipped
from dizuo.training.doctor.turns import find_turns, same_text


def check(subject: Subject) -> Finding:
    """Decode what is trained of every turn and compare it with the row."""
    if not subject.trains_tokens:
        return skipped("the method trains a head on the last states, not tokens")
    seen, wrong = 0, []
    covered: dict[int, int] = {}
    for turn in find_turns(subject):
        if turn.sequence is None:
            continue
        seen += 1
        start, stop = len(turn.prompt), len(turn.prompt) + len(turn.ids())
        weights = turn.sequence.weights[start:stop]
        covered[id(turn.sequence)] = covered.get(id(turn.sequence), 0) + int(np.count_nonzero(weights))
        if not (weights > 0).any():
            wrong.append(f"{turn.place}: no token of it is trained")
        elif not (weights[: -1 if turn.stop is not None else None] > 0).all():
            wrong.append(f"{turn.place}: {int((weights == 0).sum())} of its {len(weights)} tokens are not trained")
        elif not turn.message.tool_calls and not same_text(turn.message.content, subject.tokenizer.decode(turn.ids())):
            wrong.append(f"{turn.place}: what is trained does not hold its text")
    if not getattr(subject.method_options, "prompt_weight", 0):
        for row in subject.rows:
            for sequence in row.sequences:
                more = int(np.count_nonzero(sequence.weights)) - covered.get(id(sequence), 0)
                if id(sequence) in covered and more > 0:
                    wrong.append(f"{row.place}: {more} trained tokens are of no answer")
    if not seen and not wrong:
        return skipped("no row is a conversation")
    if not wrong:
        return green(f"{seen:,} turns")
    return red(
        f"{len(wrong):,} of {seen:,} turns are not trained as the data says",
        meaning="The model is taught something else than these answers, or less.",
        lines=wrong,
        hint="check the method's weights, and that the chat template writes every answer as it is",
    )


CHECK = Check(title="the trained tokens are the answers", trap=3, check=check)
