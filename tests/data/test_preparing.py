"""From files to a data set: duplicates, leaks, conflicts, splits, the ledger and the card."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dizuo import data as dizuo_data
from dizuo.data import PrepareOptions, prepare
from dizuo.data.card import Card, Removed
from dizuo.errors import DataError
from dizuo.events import Note, Warned

WORDS = [f"{a}{b}" for a in ("al", "br", "ch", "de") for b in ("pha", "avo", "arlie", "lta")]


def labelled(n: int, *, labels: tuple[str, ...] = ("a", "b"), start: int = 0) -> list[dict[str, Any]]:
    """Rows of different texts, with the labels in turn."""
    return [
        {"text": f"{WORDS[i % 16]} {WORDS[i // 16 % 16]} {i}", "label": labels[i % len(labels)]}
        for i in range(start, start + n)
    ]


def ledger(data: Any) -> dict[str, int]:
    return {k: v for k, v in data.card.ledger.counts().items() if k != "shortened" and v}


def adds_up(data: Any) -> bool:
    entry = data.card.ledger.counts()
    removed = ("quarantined", "duplicates", "conflicts", "leaks", "merged", "unused")
    kept = len(data.train) + len(data.validation) + len(data.test)
    return bool(entry["read"] == kept + sum(entry[why] for why in removed) and entry["kept"] == kept)


def texts(split: Any) -> list[str]:
    return [example.text for example in split]


def test_duplicates_are_found_after_folding_case_space_and_punctuation(bench: Any) -> None:
    rows = [
        {"text": "Is my top-up done?", "label": "a"},
        {"text": "is  my TOP UP done", "label": "a"},
        {"text": "Is my ｔｏｐ-up done?", "label": "a"},
        {"text": "2 + 2", "label": "b"},
        {"text": "2 - 2", "label": "b"},
        {"text": "1.5", "label": "b"},
        {"text": "15", "label": "b"},
        {"text": "?", "label": "b"},
        {"text": "!", "label": "b"},
    ]
    data = bench.prepare(bench.write("a.jsonl", rows), test=0)
    assert ledger(data) == {"read": 9, "kept": 7, "duplicates": 2}
    assert data.card.ledger.examples[0] == Removed(
        why="duplicates",
        file=str(bench.folder / "a.jsonl"),
        line=2,
        reason=f"reads the same as {bench.folder / 'a.jsonl'}:1",
    )
    kept = bench.prepare(bench.folder / "a.jsonl", test=0, duplicates="keep")
    assert len(kept.train) == 9


@pytest.mark.parametrize(
    ("policy", "left", "conflicts"), [("remove", [], 2), ("first", ["x"], 1), ("keep", ["x", "y"], 0)]
)
def test_one_text_with_two_labels_follows_the_stated_policy(
    bench: Any, policy: str, left: list[str], conflicts: int
) -> None:
    rows = [{"text": "same", "label": "x"}, {"text": "same ", "label": "y"}, *labelled(4, labels=("x", "y"))]
    data = bench.prepare(bench.write("a.jsonl", rows), test=0, conflicts=policy)
    assert sorted(e.labels[0] for e in data.train if e.text.lower().startswith("same")) == left
    assert data.card.ledger.removed["conflicts"] == conflicts
    assert adds_up(data)


def test_training_rows_that_stand_in_a_given_test_are_removed_and_the_test_is_not_touched(bench: Any) -> None:
    bench.write("train.jsonl", [*labelled(10), {"text": "Leaked!", "label": "a"}])
    bench.write(
        "test.jsonl", [*labelled(5, start=50), {"text": "leaked", "label": "b"}, {"text": "leaked", "label": "b"}]
    )
    data = bench.prepare("train.jsonl", test="test.jsonl")
    assert len(data.test) == 7
    assert len(data.train) == 10
    assert data.card.ledger.removed["leaks"] == 1
    assert "2 of 7 given test rows also stood in train; taken from train" in data.card.notes
    assert adds_up(data)


def test_a_folder_with_named_split_files_is_a_given_split(bench: Any) -> None:
    bench.write("set/train.csv", "text,label\nalpha,a\nbravo,b\n")
    bench.write("set/dev.csv", "text,label\ncharlie,a\n")
    bench.write("set/test.csv", "text,label\ndelta,b\necho,a\n")
    bench.write("set/README.md", "about")
    data = bench.prepare("set")
    assert {name: len(split) for name, split in data.splits().items()} == {"train": 2, "validation": 1, "test": 2}


def test_rows_that_read_the_same_never_straddle_the_split(bench: Any) -> None:
    rows = [{"question": f"q{i % 20}", "answer": f"answer {i}"} for i in range(100)]
    data = bench.prepare(bench.write("a.jsonl", rows), test=0.3, references="keep")
    asked = {name: {e.messages[0].content for e in split} for name, split in data.splits().items()}
    assert not asked["train"] & asked["test"]
    assert len(data.test) == 30


def test_groups_never_straddle_the_split(bench: Any) -> None:
    rows = [{**row, "user": f"u{i % 13}"} for i, row in enumerate(labelled(130))]
    data = bench.prepare(bench.write("a.jsonl", rows), test=0.2, validation=0.2, group_column="user")
    groups = [{e.group for e in split} for split in data.splits().values()]
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    assert not groups[1] & groups[2]
    assert len(data.test) == 20  # two whole groups of ten
    assert adds_up(data)


def test_groups_too_large_for_the_split_are_an_error_not_an_empty_test(bench: Any) -> None:
    rows = [{**row, "user": "u"} for row in labelled(20)]
    with pytest.raises(DataError, match="no test rows can be cut: every group has more than 2 rows"):
        bench.prepare(bench.write("a.jsonl", rows), test=2, group_column="user")


def test_the_split_is_stratified(bench: Any) -> None:
    rows = [row for i, row in enumerate(labelled(300, labels=("a", "b", "c"))) if row["label"] == "a" or i % 4 == 0]
    data = bench.prepare(bench.write("a.jsonl", rows), test=40, validation=20)
    total = Counter(row["label"] for row in rows)
    counts = Counter(e.labels[0] for e in data.test)
    assert len(data.test) == 40
    assert len(data.validation) == 20
    for label, n in total.items():
        assert abs(counts[label] - 40 * n / len(rows)) <= 1


def test_a_smaller_draw_of_training_rows_is_part_of_a_larger_one(bench: Any) -> None:
    path = bench.write("a.jsonl", labelled(200))
    small, large = (bench.prepare(path, test=40, rows=rows) for rows in (20, 80))
    assert set(texts(small.train)) < set(texts(large.train))
    assert texts(small.test) == texts(large.test)
    assert Counter(e.labels[0] for e in small.train) == {"a": 10, "b": 10}
    assert large.card.ledger.removed["unused"] == 80
    assert adds_up(large)


def test_the_same_input_gives_the_same_bytes_and_another_seed_another_split(bench: Any) -> None:
    path = bench.write("a.jsonl", labelled(100))
    first, second, other = (bench.prepare(path, test=20, seed=seed) for seed in (1, 1, 2))
    names = ["dataset.json", "removed.jsonl", "task.json", "test.arrow", "train.arrow", "validation.arrow"]
    assert sorted(p.name for p in first.folder.iterdir()) == names
    for name in names:
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()
    assert first.digest != other.digest
    assert set(texts(first.test)) != set(texts(other.test))


def test_the_digest_depends_on_content_and_not_on_places(bench: Any) -> None:
    rows = labelled(50)
    first = bench.prepare(bench.write("a.jsonl", rows))
    moved = bench.prepare(bench.write("deep/b.jsonl", rows))
    changed = bench.prepare(bench.write("c.jsonl", [*rows[:-1], {"text": "new", "label": "a"}]))
    assert first.digest == moved.digest
    assert first.digest != changed.digest


def test_rows_keep_their_place_when_others_are_added(bench: Any) -> None:
    before = bench.prepare(bench.write("a.jsonl", labelled(400)), test=0.25)
    after = bench.prepare(bench.write("b.jsonl", labelled(420)), test=0.25)
    moved = set(texts(before.test)) ^ set(texts(after.test))
    old = {row["text"] for row in labelled(400)}
    assert len(moved & old) <= 10


def test_any_beginning_of_a_split_is_a_sample_of_it(bench: Any) -> None:
    rows = sorted(labelled(200), key=lambda row: row["label"])
    data = bench.prepare(bench.write("a.jsonl", rows), test=100)
    beginning = Counter(e.labels[0] for e in data.test[:40])
    assert min(beginning[label] for label in {row["label"] for row in rows}) >= 10


def test_the_first_rows_that_a_split_leaves_over_have_every_label(bench: Any) -> None:
    # Rows in the order by which the test was chosen would begin without the label whose quota filled last.
    for seed in range(6):
        data = bench.prepare(bench.write("a.jsonl", labelled(2000, labels=tuple("abcde"))), test=400, seed=seed)
        beginning = Counter(e.labels[0] for e in data.train[:60])
        assert len(beginning) == 5
        assert min(beginning.values()) >= 4


def test_bad_rows_go_to_the_quarantine_with_their_reasons(bench: Any) -> None:
    lines = [json.dumps(row) for row in labelled(10)]
    lines[3] = '{"text": "x", "label": ""}'
    lines[6] = '{"text": nope}'
    path = bench.write("a.jsonl", "\n".join(lines))
    data = bench.prepare(path, quarantine="bad/rows.jsonl", test=0)
    assert ledger(data) == {"read": 10, "kept": 8, "quarantined": 2}
    written = [json.loads(line) for line in Path("bad/rows.jsonl").read_text().splitlines()]
    assert [(row["line"], row["reason"]) for row in written] == [
        (4, "label is empty"),
        (7, "is not JSON: expecting value at column 10"),
    ]
    assert json.loads(written[0]["row"]) == {"text": "x", "label": ""}
    removed = [json.loads(line) for line in (data.folder / "removed.jsonl").read_text().splitlines()]
    assert [row["line"] for row in removed] == [4, 7]


def test_several_answers_to_one_test_prompt_become_references(bench: Any) -> None:
    bench.write("train.csv", "question,answer\nwho,me\nwho,you\n")
    bench.write("test.csv", "question,answer\nwhat,this\nwhat,that\nwhat,this\nwhere,here\n")
    data = bench.prepare("train.csv", test="test.csv")
    found = {e.messages[-1].content: e.references for e in data.test}
    assert found == {"this": ("that",), "here": ()}
    assert len(data.train) == 2
    assert data.card.ledger.removed["merged"] == 2
    assert adds_up(data)


def test_texts_are_shortened_to_their_opening_before_duplicates_are_sought(bench: Any) -> None:
    rows = [
        {"text": "Head line\n\nOne two three four", "label": "a"},
        {"text": "Head line\n\nOne two five", "label": "a"},
        {"text": "Short", "label": "b"},
    ]
    data = bench.prepare(bench.write("a.jsonl", rows), test=0, text_words=4)
    assert sorted(texts(data.train)) == ["Head line\n\nOne two", "Short"]
    assert data.card.ledger.shortened == 2
    assert data.card.ledger.removed["duplicates"] == 1
    by_chars = bench.prepare(bench.folder / "a.jsonl", test=0, max_chars=12, duplicates="keep")
    assert set(texts(by_chars.train)) == {"Head line", "Short"}


def test_the_task_lists_the_labels_and_a_default_instruction(bench: Any) -> None:
    path = bench.write("a.jsonl", labelled(20, labels=("sport", "arts")))
    data = bench.prepare(path)
    assert data.task.labels == ("arts", "sport")
    assert data.task.instruction == "Classify the text. Answer with one of: arts, sport."
    assert bench.prepare(path, instruction="Which section?").task.instruction == "Which section?"
    assert bench.prepare(path, instruction="").task.instruction == ""


def test_the_card_has_the_figures_a_report_draws(bench: Any) -> None:
    data = bench.prepare(bench.write("a.jsonl", labelled(40)), test=10)
    card = data.card
    assert card.name == "a"
    assert card.splits["test"].rows == 10
    assert card.splits["test"].labels == {"a": 5, "b": 5}
    lengths = card.splits["train"].lengths["characters"]
    assert lengths.min <= lengths.median <= lengths.p95 <= lengths.max
    assert sum(n for _, _, n in lengths.histogram) == 30
    assert card.splits["train"].lengths["words"].max == 3
    (source,) = card.sources
    assert source["rows"] == 40
    assert source["format"] == "jsonl"
    assert source["encoding"] == "utf-8"
    assert source["digest"].startswith("sha256:")
    assert card.examples
    assert all(len(value) <= 120 for example in card.examples for value in example.values())


def test_the_card_is_read_as_it_was_written(bench: Any) -> None:
    rows = [*labelled(40), *labelled(3), {"text": "a row", "label": "histogram"}, {"text": "b row", "label": "rows"}]
    data = bench.prepare(bench.write("a.jsonl", rows), test=0, max_chars=12)
    written = json.loads((data.folder / "dataset.json").read_text())
    assert json.dumps(data.card.to_json()) == json.dumps(written), "the same values, the keys in the same order"
    assert Card.from_json(written) == data.card
    assert set(written["splits"]["train"]) == {"rows", "labels", "characters", "words"}
    assert set(written["splits"]["train"]["words"]) == {"min", "median", "mean", "p95", "max", "histogram"}
    assert set(written["ledger"]["reasons"][0]) == {"why", "file", "line", "reason"}


def test_a_card_that_says_little_is_read(tmp_path: Path) -> None:
    assert Card.from_json({"digest": "sha256:0", "name": "news"}) == Card(name="news", digest="sha256:0")


def test_the_card_counts_tokens_as_the_model_reads_them(bench: Any, smollm2: Any) -> None:
    path = bench.write("a.jsonl", labelled(10))
    data = prepare(path, bench.folder / "out", options=PrepareOptions(test=0), tokenizer=smollm2)
    from dizuo.data.rendering.conversations import render

    lengths = [len(render(smollm2, e, data.task)[0].ids) for e in data.train]
    assert data.card.splits["train"].lengths["tokens"].max == max(lengths)


def test_a_failed_preparation_leaves_the_old_data_set_in_place(bench: Any) -> None:
    out = bench.folder / "out"
    before = prepare(bench.write("a.jsonl", labelled(20)), out, options=PrepareOptions())
    with pytest.raises(DataError):
        prepare(
            bench.write("b.jsonl", '{"text": "x", "label": ""}\n'), out, options=PrepareOptions(format="classification")
        )
    assert dizuo_data.open(out).digest == before.digest
    assert [p.name for p in bench.folder.iterdir() if "partial" in p.name] == []


def test_choices_are_told_to_the_watcher(bench: Any) -> None:
    heard: list[Any] = []
    bench.write("train.jsonl", labelled(10))
    bench.write("test.jsonl", labelled(2))
    prepare("train.jsonl", bench.folder / "out", options=PrepareOptions(test="test.jsonl"), watch=heard.append)
    assert Note("format: classification (label, text in 12 of 12 rows)") in heard
    assert Warned("2 of 2 given test rows also stood in train; taken from train") in heard


def test_multi_label_rows_are_one_answer(bench: Any) -> None:
    rows = [{"text": f"t{i}", "labels": ["x", "y"] if i % 2 else ["x"]} for i in range(10)]
    data = bench.prepare(bench.write("a.jsonl", rows), test=2)
    assert data.task.multi_label
    assert data.task.labels == ("x", "y")
    answers = {dizuo_data.chat_for(e, data.task).messages[-1].content for e in data.train}
    assert answers == {"x", "x, y"}
