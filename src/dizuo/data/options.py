"""The options of `prepare`. This module imports the standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dizuo.errors import DataError, did_you_mean

__all__ = ["PrepareOptions"]

_CHOICES: dict[str, tuple[str, ...]] = {
    "duplicates": ("remove", "keep"),
    "conflicts": ("remove", "first", "keep"),
    "references": ("merge", "keep"),
    "header": ("auto", "yes", "no"),
}


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """How files become a data set."""

    source: str | tuple[str, ...] = ""
    """File, folder or address, or several; what is not given as its own split file below."""
    train: str = ""
    """File or address of the training rows, where the split is given."""
    validation: str | float | int = 0.0
    """Validation rows: a share (below 1) or a number of rows cut from the training rows, or a given file."""
    test: str | float | int | None = None
    """Test rows: a share or number cut from the training rows, or a given file. Unset: 0.1 unless a file is given."""
    format: str = "auto"
    """Record format, such as `messages` or `classification`; found from keys and values when `auto`."""
    reader: str = "auto"
    """Container format, such as `csv`; found from the file's name and content when `auto`."""
    text_column: str = ""
    """Column with the text of a classification or of running text; a number counts columns from 1."""
    label_column: str = ""
    """Column with the label."""
    group_column: str = ""
    """Column whose equal values (a user, a document) never straddle a split."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Further roles and their columns, such as `{"prompt": "mr", "completion": "ref"}`."""
    ignore: tuple[str, ...] = ()
    """Keys of rows, or of their turns, that are not read, such as `[images]`; or paths: `["messages[user].weight"]`."""
    header: str = "auto"
    """Whether the first row of CSV and TSV names the columns: `auto`, `yes` or `no`."""
    delimiter: str = ""
    """Column separator of CSV and TSV; found when empty."""
    encoding: str = "auto"
    """Encoding of text files, such as `gb18030`; found when `auto`."""
    instruction: str | None = None
    """Put before every input, with a blank line between. Unset: one that lists the labels, for classification."""
    input_template: str = "{text}"
    """How the input is written, with `{text}` once."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Names of the labels in the file, such as `{"0": "negative", "1": "positive"}`; must then name all of them."""
    spellings: Mapping[str, str] = field(default_factory=dict)
    """Other spellings of labels and the label that they mean, such as `{"Billing": "billing"}`; others stay."""
    missing: tuple[str, ...] | None = None
    """Values of the label column that stand for none; their rows are bad rows. Unset: `nan`, `None`, … are refused."""
    label_separator: str = ""
    """Stands between several labels of one cell, such as `;`; `list` reads cells such as `['x', 'y']`."""
    as_chat: bool = False
    """Write prompt/completion strings with the chat template; an `instruction` implies it."""
    rows: int | str = "all"
    """Training rows to keep, drawn evenly over the labels; a smaller draw is part of a larger one."""
    text_words: int = 0
    """Keep this many words from the start of a text (its headline and opening); 0 keeps all."""
    max_chars: int = 0
    """Keep this many characters from the start of a text, cut at white space where there is some; 0 keeps all."""
    duplicates: str = "remove"
    """Rows that teach the same for questions that read the same (case and typography folded): `remove` all but the
    first, or `keep`."""
    conflicts: str = "remove"
    """One text, as it stands, with two labels: `remove` all its rows, keep the `first`, or `keep` all. Given tests are
    not touched."""
    references: str = "merge"
    """Several answers in words to one question, as it stands, in validation and test: `merge` into one row with
    references, or `keep` rows."""
    quarantine: str = ""
    """File (JSONL) that bad rows go to with their reasons; without it a bad row is an error."""
    seed: int = 0
    """Decides the split, the draw of `rows` and the order on disk."""
    name: str = ""
    """Name of the data set in reports; the source's name when empty."""

    def __post_init__(self) -> None:
        faults = []
        for option, choices in _CHOICES.items():
            value = getattr(self, option)
            if value not in choices:
                faults.append(f"{option} is {value!r}{did_you_mean(str(value), choices)}; one of: {', '.join(choices)}")
        for option in ("validation", "test"):
            value = getattr(self, option)
            if isinstance(value, int | float) and (value < 0 or (value >= 1 and value != int(value))):
                faults.append(f"{option} is {value}; a share from 0 to below 1, or a whole number of rows")
        if self.rows != "all" and (not isinstance(self.rows, int) or self.rows < 1):
            faults.append(f"rows is {self.rows!r}; 'all' or a number from 1")
        for option in ("text_words", "max_chars"):
            if getattr(self, option) < 0:
                faults.append(f"{option} is {getattr(self, option)}; a number from 0")
        if self.input_template.count("{text}") != 1:
            faults.append(f"input_template is {self.input_template!r}; it must hold {{text}} exactly once")
        if self.source and self.train:
            faults.append("source and train are both given; they mean the same rows")
        if faults:
            raise DataError("wrong options of prepare", details=faults, hint="see the fields of PrepareOptions")
