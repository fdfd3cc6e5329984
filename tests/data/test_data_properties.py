"""Properties over generated data: nothing changed, nothing lost, nothing on both sides."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dizuo.data import PrepareOptions, prepare, readers
from dizuo.data.dataset import order
from dizuo.data.reading.files import Row, SourceFile
from dizuo.data.stratifying import allot, cut, draw, units_of

AWKWARD = st.text(
    st.one_of(
        st.sampled_from("\u2028\u2029\u0085\x0b\x0c\x1c\x1d\x1e\r\n\t\"',;|\\\ufeff\u00a0 ü中😀"),
        st.characters(exclude_categories=("Cs",), exclude_characters="\0"),
    ),
    max_size=30,
)
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read_back(content: str, name: str, **options: Any) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content.encode())
        rows = list(readers.read(SourceFile(path, name, **options), "jsonl" if name.endswith("jsonl") else "delimited"))
    assert all(isinstance(row, Row) for row in rows), rows
    return [row for row in rows if isinstance(row, Row)]


@QUICK
@given(st.lists(AWKWARD, min_size=1, max_size=8), st.booleans())
def test_json_lines_give_back_every_string(texts: list[str], ascii_only: bool) -> None:
    content = "".join(json.dumps({"text": text}, ensure_ascii=ascii_only) + "\n" for text in texts)
    rows = read_back(content, "a.jsonl", encoding_asked="utf-8")
    assert [(row.line, row.value["text"]) for row in rows] == list(enumerate(texts, start=1))


@QUICK
@given(st.lists(st.tuples(AWKWARD, st.sampled_from(["a", "b"])), min_size=1, max_size=8))
def test_csv_gives_back_every_string_on_its_true_line(rows: list[tuple[str, str]]) -> None:
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(["text", "label"])
    starts = []
    for row in rows:
        starts.append(out.getvalue().count("\n") + 1)
        writer.writerow(row)
    found = read_back(out.getvalue(), "a.csv", encoding_asked="utf-8", delimiter=",")
    assert [(row.value["text"], row.value["label"]) for row in found] == rows
    assert [row.line for row in found] == starts


LINES = st.one_of(
    st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("xyz")).map(
        lambda pair: (json.dumps({"text": pair[0], "label": pair[1]}), True)
    ),
    st.integers(0, 999).map(lambda i: (json.dumps({"text": f"text {i}", "label": "xyz"[i % 3]}), True)),
    st.sampled_from(
        [
            '{"text": "", "label": "x"}',
            '{"text": "a"}',
            "{",
            "[]",
            '{"text": "a", "label": null}',
            '{"txt": "a", "label": "x"}',
        ]
    ).map(lambda line: (line, False)),
)


@QUICK
@given(
    lines=st.lists(LINES, min_size=1, max_size=60),
    conflicts=st.sampled_from(["remove", "first", "keep"]),
    duplicates=st.sampled_from(["remove", "keep"]),
    rows=st.sampled_from(["all", 5]),
    test=st.sampled_from([0, 0.2, 3]),
)
def test_the_ledger_adds_up_for_any_mixture_of_rows(
    lines: list[tuple[str, bool]], conflicts: str, duplicates: str, rows: Any, test: Any
) -> None:
    base = [json.dumps({"text": f"base {i}", "label": "xyz"[i % 3]}) for i in range(30)]
    every = [(line, True) for line in base] + lines
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "a.jsonl").write_text("\n".join(line for line, _ in every))
        options = PrepareOptions(
            format="classification", quarantine=str(folder / "bad.jsonl"), conflicts=conflicts, duplicates=duplicates,
            rows=rows, test=test,
        )  # fmt: skip
        data = prepare(folder / "a.jsonl", folder / "out", options=options)
        ledger = data.card.ledger.counts()
        kept = len(data.train) + len(data.validation) + len(data.test)
        removed = [ledger[why] for why in ("quarantined", "duplicates", "conflicts", "leaks", "merged", "unused")]
        assert ledger["read"] == len(every) == kept + sum(removed)
        assert ledger["quarantined"] == sum(not good for _, good in lines)
        lines_kept = Counter(e.origin.line for split in data.splits().values() for e in split)
        assert max(lines_kept.values()) == 1
        written = [json.loads(line) for line in (folder / "out" / "removed.jsonl").read_text().splitlines()]
        assert not set(lines_kept) & {row["line"] for row in written}
        assert len(written) + ledger["unused"] + kept == len(every)


def kept_of(texts: list[str], **options: Any) -> list[str]:
    """Return the texts that preparing keeps, all of them with one label but the first."""
    with tempfile.TemporaryDirectory() as name:
        rows = [json.dumps({"text": text, "label": "ab"[place > 0]}) for place, text in enumerate(texts)]
        (Path(name) / "a.jsonl").write_text("\n".join(rows), "utf-8")
        options = {"format": "classification", "test": 0, "conflicts": "keep", **options}
        data = prepare(Path(name) / "a.jsonl", Path(name) / "out", options=PrepareOptions(**options))
        return sorted(example.text for example in data.train)


SHORT = [*"abxyz0179?!+-<=%$", *"中文字あ한", "😀", "🙂", "ab", "no", "12", "1.5", "15", "a b", "x=1", "√2", "→"]


@settings(QUICK, max_examples=12)
@given(texts=st.lists(st.sampled_from(SHORT), min_size=2, max_size=len(SHORT), unique=True), copies=st.booleans())
def test_short_texts_are_compared_whole_and_all_that_differ_are_kept(texts: list[str], copies: bool) -> None:
    assert kept_of([*texts, *texts[1:]] if copies else texts) == sorted(texts), "only a copy is a copy"


WORD_LISTS = st.lists(st.sampled_from(["red", "fox", "Red", "fox.", "ran", "ran!"]), min_size=1, max_size=4)


@settings(QUICK, max_examples=20)
@given(texts=st.lists(WORD_LISTS.map(" ".join), min_size=2, max_size=12, unique=True))
def test_rows_are_joined_by_what_they_read_as_and_by_nothing_else(texts: list[str]) -> None:
    """Texts of few words are alike in most of them; only those that read the same are one."""
    texts = ["another text altogether", *texts]
    read_as = [text.casefold().replace(".", "").replace("!", "") for text in texts]
    kept = kept_of(texts)
    assert len(kept) == len(set(read_as))
    assert set(kept) == {texts[read_as.index(each)] for each in set(read_as)}, "the first of each is kept"


ROWS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 12), st.integers(0, 3), st.integers(0, 2**64 - 1)),
    min_size=1,
    max_size=80,
)


@QUICK
@given(ROWS, st.integers(0, 60))
def test_a_cut_is_whole_disjoint_and_never_too_large(rows: list[tuple[int, int, int, int]], count: int) -> None:
    inputs, groups, strata, orders = (list(column) for column in zip(*rows))
    every = list(range(len(rows)))
    units = units_of(every, inputs=inputs, groups=groups, strata=strata, orders=orders)
    taken, left = cut(units, count)
    held = [row for unit in taken for row in unit.rows]
    rest = [row for unit in left for row in unit.rows]
    assert sorted(held + rest) == every
    assert len(held) <= count
    assert not {inputs[row] for row in held} & {inputs[row] for row in rest}
    assert not {groups[row] for row in held if groups[row]} & {groups[row] for row in rest if groups[row]}
    assert cut(units_of(every, inputs=inputs, groups=groups, strata=strata, orders=orders), count) == (taken, left)


@QUICK
@given(ROWS, st.randoms(use_true_random=False))
def test_rows_and_units_stand_in_the_seeded_order_however_they_were_read(
    rows: list[tuple[int, int, int, int]], random: Random
) -> None:
    inputs, groups, strata, orders = (list(column) for column in zip(*rows))
    every = list(range(len(rows)))
    units = units_of(every, inputs=inputs, groups=groups, strata=strata, orders=orders)
    for unit in units:
        assert list(unit.rows) == sorted(unit.rows, key=lambda row: (orders[row], row))
        assert (unit.stratum, unit.order) == (strata[unit.rows[0]], min(orders[row] for row in unit.rows))
    assert [unit.order for unit in units] == sorted(unit.order for unit in units)
    random.shuffle(every)
    assert units_of(every, inputs=inputs, groups=groups, strata=strata, orders=orders) == units


@QUICK
@given(st.lists(st.integers(0, 3), min_size=1, max_size=80), st.integers(1, 80), st.integers(0, 9))
def test_single_rows_are_cut_to_the_number_and_within_one_of_proportional(
    strata: list[int], count: int, seed: int
) -> None:
    n = len(strata)
    orders = order(n, seed=seed, epoch=0).tolist()
    units = units_of(range(n), inputs=range(n), groups=[0] * n, strata=strata, orders=orders)
    taken, _ = cut(units, count)
    assert len(taken) == min(count, n)
    got, have = Counter(unit.stratum for unit in taken), Counter(strata)
    assert all(abs(got[label] - min(count, n) * size / n) < 1 for label, size in have.items())
    drawn = draw(sorted(range(n), key=lambda row: orders[row]), count, strata=strata)
    assert Counter(strata[row] for row in drawn) == got


@QUICK
@given(st.dictionaries(st.integers(0, 20), st.integers(1, 1000), min_size=1), st.floats(0, 1))
def test_shares_add_up(sizes: dict[int, int], part: float) -> None:
    count = round(part * sum(sizes.values()))
    given_out = allot(sizes, count)
    assert sum(given_out.values()) == count
    assert all(0 <= given_out[stratum] <= sizes[stratum] for stratum in sizes)
