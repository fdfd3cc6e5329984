"""Labels that are no classes: each is named with its rows, and what is then to be set works."""

from __future__ import annotations

from typing import Any

import pytest

from dizuo.data.checks.label_names import MISSING, check_label_names, split_labels
from dizuo.data.options import PrepareOptions
from dizuo.errors import DataError


def rows_of(*labels: Any) -> list[dict[str, Any]]:
    return [{"text": f"text {number}", "label": label} for number, label in enumerate(labels)]


GOOD = ("good", "bad", "good", "bad")

# (labels, what the error says of them, the options that it asks for, labels afterwards, bad rows)
MISTAKES: list[tuple[tuple[Any, ...], str, dict[str, Any], tuple[str, ...], int]] = [
    *(
        ((*GOOD, word, word), f"'{word}' (2 rows): a missing label, as programs write it", {"missing": (word,)},
         ("bad", "good"), 2)
        for word in sorted(MISSING)
    ),
    (("0", "1", "0.0", "1.0", "0"), "'0' (2 rows), '0.0' (1 row): one label written in 2 ways",
     {"spellings": {"0.0": "0", "1.0": "1"}}, ("0", "1"), 0),
    (("False", "True", False, True, False), "'False' (1 row), 'false' (2 rows): one label written in 2 ways",
     {"spellings": {"False": "false", "True": "true"}}, ("false", "true"), 0),
    (("Billing", "billing", "billing", "post"), "'Billing' (1 row), 'billing' (2 rows): one label written in 2 ways",
     {"spellings": {"Billing": "billing"}}, ("billing", "post"), 0),
    (("no.", "no", "no", "yes", "ｙｅｓ"), "'no' (2 rows), 'no.' (1 row): one label written in 2 ways",
     {"spellings": {"no.": "no", "ｙｅｓ": "yes"}}, ("no", "yes"), 0),
    (("x", "x;y", "y;z", "z", "x"), "'x;y' (1 row), 'y;z' (1 row): several labels with ';' between them",
     {"label_separator": ";"}, ("x", "y", "z"), 0),
    (("x", "x, y", "y", "y"), "'x, y' (1 row): several labels with ',' between them",
     {"label_separator": ","}, ("x", "y"), 0),
    (("['x', 'y']", "['x']", "[\"y\"]", "['x', 'y']"), "a list written as text",
     {"label_separator": "list"}, ("x", "y"), 0),
]  # fmt: skip


@pytest.mark.parametrize(("labels", "said", "set_", "after", "bad"), MISTAKES, ids=lambda value: str(value)[:40])
def test_a_label_that_is_no_class_is_named_and_the_hint_mends_it(
    bench: Any, labels: tuple[Any, ...], said: str, set_: dict[str, Any], after: tuple[str, ...], bad: int
) -> None:
    path = bench.write("a.jsonl", rows_of(*labels))
    with pytest.raises(DataError) as caught:
        bench.prepare(path, test=0)
    assert caught.value.message.endswith("look like mistakes")
    assert said in "\n".join(caught.value.details)
    assert next(iter(set_)) in str(caught.value.hint)
    data = bench.prepare(path, test=0, quarantine="bad.jsonl", **set_)
    assert data.task.labels == after
    assert data.card.ledger.removed["quarantined"] == bad


def test_what_the_user_has_looked_at_is_not_asked_again(bench: Any) -> None:
    path = bench.write("a.jsonl", rows_of("US", "us", "None", "US", "us", "None"))
    kept = bench.prepare(path, test=0, missing=(), spellings={"US": "US"})
    assert kept.task.labels == ("None", "US", "us")
    named = bench.prepare(path, test=0, labels={"US": "the country", "us": "we", "None": "neither"})
    assert named.task.labels == ("neither", "the country", "we")


@pytest.mark.parametrize(
    "labels",
    [
        ("for", "against", "none"), ("C", "C++", "C#"), ("1", "10", "11"), ("a/b", "a", "c"), ("+", "-", "="),
        ("New York, NY", "Austin, TX", "Paris"), ("😀", "😡"), ("[x]", "[y]"), ("inf", "infinite"),
    ],
)  # fmt: skip
def test_true_classes_pass(labels: tuple[str, ...]) -> None:
    check_label_names(dict.fromkeys(labels, 3), options=PrepareOptions(), name="a.csv")


def test_cells_are_split() -> None:
    assert split_labels("x; y;;", ";") == ["x", "y"]
    assert split_labels('["x", 2]', "list") == ["x", "2"]
    assert split_labels("{'y', 'x'}", "list") == ["x", "y"]
    assert split_labels("[x", "list") == ["[x"]
