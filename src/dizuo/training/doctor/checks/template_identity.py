"""What the model reads before a trained answer is, id for id, what serving sends before it asks for one."""

from __future__ import annotations

import numpy as np

from dizuo.training.doctor import Check, Finding, Subject, green, red, skipped
from dizuo.training.doctor.turns import find_turns


def check(subject: Subject) -> Finding:
    """Render every prompt as serving does and look for it at the start of a training sequence."""
    seen, wrong = 0, []
    for turn in find_turns(subject):
        seen += 1
        if turn.sequence is None:
            trained = [sequence.ids for sequence in turn.row.sequences]
            wrong.append(f"{turn.place}: {_say_where_they_part(turn.prompt, trained, subject)}")
        elif subject.trains_tokens and not (turn.sequence.weights[len(turn.prompt) :][:1] > 0).any():
            wrong.append(f"{turn.place}: the token after the prompt is not trained")
    if not seen:
        return skipped("no row is a conversation")
    if wrong:
        return red(
            f"{len(wrong):,} of {seen:,} prompts are served differently from how they are trained",
            meaning="The model would be asked in another form than it was taught in. Scores drop, and nothing says "
            "why.",
            lines=wrong,
            hint="let the method render prompts with dizuo.data.rendering.conversations, as serving does",
        )
    several = sum(len(row.sequences) > 1 for row in subject.rows if not subject.method.needs_reference)
    note = f"; the template writes earlier turns anew, so {several:,} rows train one sequence per turn"
    return green(f"{seen:,} prompts{note if several and _is_chat(subject) else ''}")


def _is_chat(subject: Subject) -> bool:
    return any(row.example.__class__.__name__ == "Chat" for row in subject.rows)


def _say_where_they_part(prompt: tuple[int, ...], sequences: list[np.ndarray], subject: Subject) -> str:
    """Return where the best of the sequences leaves the served prompt, in words."""
    shared = 0
    for ids in sequences:
        count = min(len(ids), len(prompt))
        different = np.flatnonzero(np.asarray(ids[:count]) != np.asarray(prompt[:count]))
        shared = max(shared, int(different[0]) if len(different) else count)
    served = subject.tokenizer.decode(list(prompt[shared : shared + 6]))
    return f"they part at token {shared}, where serving sends {served!r}"


CHECK = Check(title="training and serving write prompts alike", trap=4, check=check)
