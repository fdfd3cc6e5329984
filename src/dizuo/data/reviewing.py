"""Looks at what was read before any row is split: keys that no format reads, and labels that are no classes."""

from __future__ import annotations

from collections import Counter

from dizuo.data.checks.label_names import check_label_names
from dizuo.data.dataset import Split
from dizuo.data.formats import FORMATS
from dizuo.data.options import PrepareOptions
from dizuo.data.reading.keys import Ignored
from dizuo.data.reading.learnt import family_of, refuse_unread
from dizuo.data.reading.sources import Part
from dizuo.data.reading.staging import Staged
from dizuo.errors import DataError
from dizuo.events import Note, Warned, Watcher
from dizuo.records import Labelled, Text

__all__ = ["check_keys", "check_labels", "remarks", "tell_beginnings", "tell_rows"]

BEGINNINGS = ("<s>", "<bos>", "[BOS]", "<|begin_of_text|>", "<|startoftext|>", "<｜begin▁of▁sentence｜>")
"""BOS tokens of the model families that add one, as a text that was written with a template brings them along."""
FEW = 10
"""Below so many rows a label that stands once says nothing."""


def remarks(parts: list[Part]) -> list[str]:
    """Return what a person should know of how the files were read."""
    return [f"{part.source.name}: {remark}" for part in parts for remark in part.source.remarks]


def tell_rows(staged: Staged, ignored: Ignored, watch: Watcher) -> None:
    """Say how many rows were read and what of them was not, also where an error follows."""
    watch(Note(f"rows: {len(staged):,} read, {len(staged.faults):,} bad"))
    for what, counts in (("not read", staged.unread), ("ignored", ignored.counts)):
        if counts.counts:
            watch(Note(f"{what}: {counts}"))


def tell_beginnings(staged: Staged, rows: Split, watch: Watcher) -> None:
    """Say where running texts begin with a BOS token; the first 100 are looked at."""
    if staged.kind is not Text:
        return
    begins = [example.prompt or example.text for example in rows[:100] if isinstance(example, Text)]
    for token in BEGINNINGS:
        count = sum(text.startswith(token) for text in begins)
        if 2 * count > len(begins):
            which = f"{count:,} of {'the first ' if len(rows) > len(begins) else ''}{len(begins):,}"
            watch(
                Warned(
                    f"{which} texts begin with {token!r}; for a model whose tokenizer adds this BOS token itself, "
                    "dizuo writes one and not two"
                )
            )


def check_keys(parts: list[Part], staged: Staged, ignored: Ignored, format_name: str) -> None:
    """Refuse unread keys that change what is learnt, and names of ignored keys that no row has."""
    ignored.check(staged.unread.counts)
    refuse_unread(
        staged.unread,
        family=family_of(FORMATS.load(format_name).makes),
        name=parts[0].source.name if len(parts) == 1 else f"{len(parts)} files",
        talks_by_template=staged.kind is not Text,
    )


def check_labels(parts: list[Part], staged: Staged, rows: Split, options: PrepareOptions) -> None:
    """Refuse labels that are no classes: missing ones, one class in several spellings, the name of the column."""
    if staged.kind is not Labelled:
        return
    counts: Counter[str] = Counter()
    by_number = list(staged.labels)
    for stratum, count in Counter(staged.strata).items():
        for label in by_number[stratum]:
            counts[label] += count
    name = parts[0].source.name if len(parts) == 1 else f"{len(parts)} files"
    check_label_names(counts, options=options, name=name)
    if len(staged) < FEW or parts[0].source.notes.get("header") != "no":
        return
    first = rows[0]
    (label, *others) = first.labels if isinstance(first, Labelled) else ("",)
    is_name = counts[label] == 1 and not others and label not in options.spellings
    if is_name and min(count for other, count in counts.items() if other != label) > 1 and label.isidentifier():
        raise DataError(
            f"{first.origin}: the label {label!r} stands in the first row alone, as the name of a column would",
            hint=f'set header: "yes" where it is one, or spellings: {{{label}: {label}}} where it is a label',
        )
