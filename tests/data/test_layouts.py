"""What `datasets` and the hub write, and tables under names that say something else: all of it is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dizuo.errors import DataError

NAMES = ("broken", "late", "other")
CLASS = {"_type": "ClassLabel", "names": list(NAMES)}
FEATURES: dict[str, Any] = {"text": {"dtype": "string", "_type": "Value"}, "label": CLASS}


def table(count: int, *, start: int = 0, features: dict[str, Any] | None = None, **columns: Any) -> Any:
    import pyarrow as pa

    texts = [f"text {start + number}" for number in range(count)]
    labels = [number % 3 for number in range(count)]
    built = pa.table({"text": texts, "label": labels, **columns})
    info = {"info": {"features": features or FEATURES}}
    return built.replace_schema_metadata({"huggingface": json.dumps(info)})


def save(folder: Path, rows: Any) -> None:
    """As `Dataset.save_to_disk` does."""
    import pyarrow as pa

    folder.mkdir(parents=True)
    with (
        pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, rows.schema) as out,
    ):
        out.write_table(rows)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    (folder / "dataset_info.json").write_text(json.dumps({"features": FEATURES}))


def sizes(data: Any) -> tuple[int, ...]:
    return tuple(len(split) for split in data.splits().values())


def test_classes_have_the_names_of_the_schema(bench: Any) -> None:
    import pyarrow.feather as feather
    import pyarrow.parquet as pq

    pq.write_table(table(12), "a.parquet")
    feather.write_feather(table(12), "a.arrow", compression="uncompressed")
    for name in ("a.parquet", "a.arrow"):
        assert bench.prepare(name, test=0).task.labels == NAMES
        by_id = {"0": "torn", "1": "slow", "2": "odd"}
        assert bench.prepare(name, test=0, labels=by_id).task.labels == ("odd", "slow", "torn")


@pytest.mark.parametrize(
    "feature", [[CLASS], {"_type": "Sequence", "feature": CLASS}, {"_type": "List", "feature": CLASS, "length": -1}]
)
def test_lists_of_classes_have_names_too(bench: Any, feature: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = pa.table({"text": ["a", "b", "c"], "labels": [[0, 2], [1], [2]]})
    info = {"info": {"features": {**FEATURES, "labels": feature}}}
    pq.write_table(rows.replace_schema_metadata({"huggingface": json.dumps(info)}), "a.parquet")
    assert {e.labels for e in bench.prepare("a.parquet", test=0).train} == {("broken", "other"), ("late",), ("other",)}


def test_a_class_without_a_name_is_a_bad_row_and_minus_one_is_none(bench: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = table(4).set_column(1, "label", pa.array([0, 1, 7, -1]))
    pq.write_table(rows.replace_schema_metadata(table(1).schema.metadata), "a.parquet")
    with pytest.raises(DataError) as caught:
        bench.prepare("a.parquet", test=0)
    assert caught.value.details == (
        "row 3: label is the number 7, and the file names 3 classes, from 0", "row 4: label is null",
    )  # fmt: skip


def test_a_saved_data_set_is_read_with_its_splits(bench: Any) -> None:
    save(bench.folder / "one", table(12))
    assert sizes(bench.prepare("one")) == (11, 0, 1)
    for split, count in (("train", 12), ("validation", 3), ("test", 4), ("unsupervised", 5)):
        save(bench.folder / "many" / split, table(count, start=100 * count))
    (bench.folder / "many" / "dataset_dict.json").write_text(
        json.dumps({"splits": ["train", "validation", "test", "unsupervised"]})
    )
    data = bench.prepare("many")
    assert sizes(data) == (12, 3, 4)
    assert data.task.labels == NAMES
    assert "many/train/data-00000-of-00001.arrow: the split 'unsupervised' beside it is not read" in data.card.notes


def test_what_cannot_be_followed_in_a_saved_data_set_is_an_error(bench: Any) -> None:
    save(bench.folder / "a", table(3))
    state = bench.folder / "a" / "state.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "_indices_data_files": [{"filename": "i.arrow"}]}))
    with pytest.raises(DataError, match="saved with an index over its rows"):
        bench.prepare("a")
    state.write_text(json.dumps({"_data_files": [{"filename": "gone.arrow"}]}))
    with pytest.raises(DataError, match=r"a lacks gone\.arrow, which state\.json names"):
        bench.prepare("a")
    state.write_text("{")
    with pytest.raises(DataError, match=r"a/state\.json cannot be read"):
        bench.prepare("a")


README = """---
dataset_info:
  features:
  - name: text
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': broken
          '1': late
          '2': other
configs:
- config_name: default
  data_files:
  - split: train
    path: rows/part-*.csv
  - split: test
    path: rows/held.csv
---
# A repository
"""


def csv(count: int, start: int = 0) -> str:
    return "text,label\n" + "".join(f"text {start + i},{i % 3}\n" for i in range(count))


def test_a_repository_is_read_as_its_readme_says(bench: Any) -> None:
    bench.write("repo/README.md", README)
    bench.write("repo/rows/part-0.csv", csv(6))
    bench.write("repo/rows/part-1.csv", csv(6, 10))
    bench.write("repo/rows/held.csv", csv(3, 20))
    bench.write("repo/rows/other.csv", csv(3, 30))
    data = bench.prepare("repo")
    assert sizes(data) == (12, 0, 3)
    assert data.task.labels == NAMES
    (bench.folder / "repo" / "rows" / "held.csv").unlink()
    with pytest.raises(DataError, match=r"repo holds no file rows/held\.csv, which its README names"):
        bench.prepare("repo")


def test_a_repository_of_several_data_sets_is_refused_with_their_files(bench: Any) -> None:
    bench.write(
        "repo/README.md",
        "---\nconfigs:\n- config_name: en\n  data_files: en.csv\n- config_name: de\n  data_files: de.csv\n---\n",
    )
    bench.write("repo/en.csv", csv(6))
    with pytest.raises(DataError, match="repo holds 2 data sets: en, de") as caught:
        bench.prepare("repo")
    assert caught.value.details == ("en: en.csv", "de: de.csv")


@pytest.mark.parametrize("names", [("data/train-0.csv", "data/test-0.csv"), ("train/a.csv", "test/b.csv"),
                                   ("data/training/a.csv", "data/dev/b.csv")])  # fmt: skip
def test_the_layouts_that_the_hub_reads_without_a_word_are_read(bench: Any, names: tuple[str, str]) -> None:
    bench.write(f"repo/{names[0]}", csv(12))
    bench.write(f"repo/{names[1]}", csv(3, 20))
    bench.write("repo/README.md", "---\nlicense: mit\n---\n")
    data = bench.prepare("repo", test=0)
    assert len(data.train) == 12
    assert len(data.test) + len(data.validation) == 3


def test_a_table_called_text_is_read_as_one_with_the_classes_beside_it(bench: Any) -> None:
    bench.write("news/train.txt", "".join(f"新闻 {i}\t{i % 3}\n" for i in range(30)))
    bench.write("news/test.txt", "".join(f"消息 {i}\t{i % 3}\n" for i in range(6)))
    bench.write("news/class.txt", "财经\n体育\n科技\n")
    data = bench.prepare("news")
    assert data.task.labels == tuple(sorted(("财经", "体育", "科技")))
    assert sizes(data) == (30, 0, 6)
    assert "news/train.txt: is a table whose columns are separated by tabs; it is read as such" in data.card.notes
    bench.write("with/data/train.txt", "text\tlabel\n" + "".join(f"新闻 {i}\t{i % 3}\n" for i in range(30)))
    bench.write("with/data/class.txt", "财经\n体育\n科技\n")
    assert bench.prepare("with", test=0).task.labels == data.task.labels
    excel = "text\tlabel\nviel Lärm\ta\num nichts\tb\nund Ruhe\ta\n"
    bench.write("excel.txt", excel.encode("utf-16"))
    assert bench.prepare("excel.txt", test=0).task.labels == ("a", "b")
    plain = bench.prepare(bench.write("plain.txt", "one\ttab\nno tab\nnone\nhere\n"), test=0)
    assert plain.card.format == "text"


@pytest.mark.parametrize(
    ("content", "remark"),
    [
        ('[{"text": "a", "label": "x"}, {"text": "b", "label": "y"}]', "is one JSON document"),
        ('[\n {\n  "text": "a",\n  "label": "x"\n },\n {"text": "b", "label": "y"}\n]\n', "is one JSON document"),
        (
            '{\n "text": "a",\n "label": "x"\n}\n{\n "text": "b",\n "label": "y"\n}\n',
            "holds objects over several lines",
        ),
    ],
)
def test_json_that_is_called_json_lines_is_read_and_said_so(bench: Any, content: str, remark: str) -> None:
    data = bench.prepare(bench.write("a.jsonl", content), test=0)
    assert {(e.text, e.labels) for e in data.train} == {("a", ("x",)), ("b", ("y",))}
    assert remark in data.card.notes[0]
    assert not bench.prepare(bench.write("b.jsonl", '{"text": "a"}\n{"text": "b"}\n'), test=0).card.notes


def test_an_object_that_is_none_among_objects_over_lines_is_a_bad_row(bench: Any) -> None:
    path = bench.write("a.jsonl", '{\n "text": "a"\n}\n[\n 1\n]\n{\n "text": "b"\n}\n').name
    with pytest.raises(DataError) as caught:
        bench.prepare(path, test=0)
    assert caught.value.details == ("line 4: a row is an object with keys, this is a list",)


def test_the_line_by_which_a_spreadsheet_says_its_separator_is_no_row(bench: Any) -> None:
    for mark in (";", ",", "|", "\t"):
        path = bench.write("a.csv", f"sep={mark}\r\ntext{mark}label\r\none{mark}a\r\ntwo{mark}b\r\nthree\r\n").name
        data = bench.prepare(path, test=0, quarantine="bad.jsonl")
        assert {e.origin.line: e.labels for e in data.train} == {3: ("a",), 4: ("b",)}
        assert json.loads(Path("bad.jsonl").read_text())["line"] == 5


def test_columns_without_a_name_are_called_by_number_and_only_empty_ones_go_unsaid(bench: Any) -> None:
    rows = "".join(f'{"spam" if i % 3 else "ham"},"text, {i}",,{"x" if i == 4 else ""}\n' for i in range(12))
    path = bench.write("a.csv", f"v1,v2,,\n{rows}")
    with pytest.raises(DataError, match="fits no format") as caught:
        bench.prepare(path)
    assert "'v1' (12 rows), 'v2' (12 rows)" in caught.value.details[0]
    for named in ({"text_column": "v2", "label_column": "v1"}, {"text_column": "2", "label_column": "1"}):
        data = bench.prepare(path, test=0, **named)
        assert data.task.labels == ("ham", "spam")
        assert data.card.unread == {"4": 1}


def test_the_name_of_a_column_does_not_become_a_class(bench: Any) -> None:
    rows = "".join(f"{'spam' if i % 3 else 'ham'},{i} of the texts\n" for i in range(12))
    path = bench.write("a.csv", f"kind,words\n{rows}").name
    with pytest.raises(DataError) as caught:
        bench.prepare(path, header="no", text_column="2", label_column="1")
    assert caught.value.message == (
        "a.csv:1: the label 'kind' stands in the first row alone, as the name of a column would"
    )
    assert bench.prepare(path, header="yes", text_column="2", label_column="1").task.labels == ("ham", "spam")
    kept = bench.prepare(path, header="no", text_column="2", label_column="1", spellings={"kind": "kind"}, test=0)
    assert kept.task.labels == ("ham", "kind", "spam")


def test_lines_that_end_in_carriage_returns_alone_are_lines(bench: Any) -> None:
    data = bench.prepare(bench.write("a.csv", b"text,label\rone,a\rtwo,b\r"), test=0)
    assert {e.origin.line: e.text for e in data.train} == {2: "one", 3: "two"}
    assert data.card.sources[0]["lines end in"] == "carriage returns"
