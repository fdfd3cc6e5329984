"""No question of the validation or test split was trained: a score on rows that were learnt by heart says nothing."""

from __future__ import annotations

from dizuo.data.checks.identity import question_keys
from dizuo.training.doctor import Check, Finding, Subject, green, red, skipped


def check(subject: Subject) -> Finding:
    """Compare every question of every training row, and its group, with the other splits.

    The earlier questions of a conversation count: their answers are trained as well.
    """
    data = subject.data
    others = {name: split for name, split in data.splits().items() if name != "train" and len(split)}
    if not others:
        return skipped("there is no validation or test split")
    held: dict[object, str] = {}
    openings: dict[int, str] = {}
    for name, split in others.items():
        for number, example in enumerate(split):
            place = f"{name} {example.origin}" if example.origin.file else f"{name} row {number + 1}"
            *earlier, question = question_keys(example)
            held.setdefault(question, place)
            for opening in earlier:
                openings.setdefault(opening, place)
            if group := getattr(example, "group", ""):
                held.setdefault(("group", group), place)
    wrong = []
    for number, example in enumerate(data.train):
        place = str(example.origin) if example.origin.file else f"train row {number + 1}"
        group = getattr(example, "group", "")
        *earlier, question = question_keys(example)
        if other := held.get(question):
            wrong.append(f"{place}: asks the same as {other}")
        elif other := openings.get(question):
            wrong.append(f"{place}: begins the conversation of {other}")
        elif other := next((held[opening] for opening in earlier if opening in held), None):
            wrong.append(f"{place}: goes on from {other}")
        elif group and (other := held.get(("group", group))):
            wrong.append(f"{place}: is of the same group ({group}) as {other}")
    if not wrong:
        return green(
            f"{len(data.train):,} training rows against {' and '.join(f'{len(s):,} {n}' for n, s in others.items())}"
        )
    return red(
        f"{len(wrong):,} of {len(data.train):,} training rows are in another split too",
        meaning="The model is scored on questions whose answers it has seen, so its score is too high.",
        lines=wrong,
        hint="prepare with duplicates: remove, and group_column where rows belong together",
    )


CHECK = Check(title="nothing is trained that is tested", trap=12, check=check)
