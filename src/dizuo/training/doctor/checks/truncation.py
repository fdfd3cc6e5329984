"""Cutting a long row never cuts what it trains, and never happens unasked."""

from __future__ import annotations

import numpy as np

from dizuo.training.doctor import Check, Finding, Row, Subject, green, red


def check(subject: Subject) -> Finding:
    """Compare the trained ids of rows over the limit before and after cutting."""
    limit = subject.max_length
    long = [row for row in subject.rows if any(len(sequence.ids) > limit for sequence in row.sequences)]
    if not long:
        return green(f"the longest row looked at has {_longest(subject.rows):,} tokens, the limit is {limit:,}")
    wrong = [f"{row.place}: {fault}" for row in long if (fault := _fault(subject, row))]
    if not wrong:
        return green(f"{len(long):,} prompts are cut to {limit:,} tokens, every target is whole")
    return red(
        f"{len(wrong):,} of {len(subject.rows):,} rows do not fit in {limit:,} tokens",
        meaning="Cut where they are too long, these rows would be trained on part of their answer, or on none of it.",
        lines=wrong,
        hint=_hint(subject),
    )


def _fault(subject: Subject, row: Row) -> str:
    limit = subject.max_length
    longest = max(row.sequences, key=lambda sequence: len(sequence.ids))
    if not row.kept:
        target = len(longest.ids) - longest.num_prompt
        alone = f", and its target alone has {target:,}" if target >= limit - 1 else ""
        return f"{len(longest.ids):,} tokens{alone}"
    if subject.method.arrange is not None:
        return ""  # the method itself cuts rows into what fits
    for sequence, number in zip(row.sequences, subject.store.sequences_of(row.stored), strict=True):
        whole = sequence.ids[sequence.num_prompt :][sequence.weights[sequence.num_prompt :] > 0]
        left = subject.store.ids(number)[subject.store.weights(number) > 0]
        if len(left) < len(whole) or not np.array_equal(left[len(left) - len(whole) :], whole):
            return f"{len(whole):,} trained tokens, of which cutting leaves {len(left):,}"
    return ""


def _longest(rows: list[Row]) -> int:
    return max((len(sequence.ids) for row in rows for sequence in row.sequences), default=0)


def _hint(subject: Subject) -> str:
    if subject.options.over_length == "refuse":
        return "remove the rows, raise max_length, or cut long prompts with over_length: cut_prompt"
    return "remove the rows or raise max_length: these answers are too long for it, however short their prompt"


CHECK = Check(title="no target is cut off", trap=10, check=check)
