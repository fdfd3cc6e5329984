"""Which first rows are headers, in English and Chinese, and which columns may hold the label that nobody named."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from dizuo.data.reading.columns import ALIASES
from dizuo.errors import DataError

TEXTS = [f"第{n}号工单说发票{'错了，请重开' if n % 3 else '没有寄到'}" for n in range(60)]
CLASSES = ["账单", "技术", "销售"]


def write(bench: Any, header: list[str], rows: list[list[str]], name: str = "rows.csv") -> Any:
    return bench.write(name, "\n".join(",".join(row) for row in ([header] if header else []) + rows) + "\n")


def tickets(columns: int = 2) -> list[list[str]]:
    """Return text and class; and in a third column a number."""
    return [[text, CLASSES[n % 3], str(n)][:columns] for n, text in enumerate(TEXTS)]


@pytest.mark.parametrize("name", ["内容", "文本", "正文", "评论", "text", "句子"])
@pytest.mark.parametrize("label", ["类别", "标签", "分类", "情感", "意图", "label"])
def test_chinese_names_of_text_and_label_are_known(bench: Any, name: str, label: str) -> None:
    data = bench.prepare(write(bench, [name, label], tickets()))
    assert data.task.labels == tuple(sorted(CLASSES))
    assert sum(len(split) for split in data.splits().values()) == len(TEXTS)


def test_a_numbered_column_and_a_utf16_file_of_a_chinese_windows_change_nothing(bench: Any) -> None:
    rows = [["编号", "内容", "类别"]] + [[row[2], row[0], row[1]] for row in tickets(3)]
    for encoding in ("utf-8-sig", "gb18030", "utf-16"):
        path = bench.write(f"{encoding}.csv", "")
        path.write_bytes("\r\n".join(",".join(row) for row in rows).encode(encoding))
        assert bench.prepare(path).task.labels == tuple(sorted(CLASSES)), encoding


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        (["工单说了什么", "该谁处理"], tickets()),  # words that nobody listed above a column of few values
        (["說明", "部門", "號"], tickets(3)),
        (["お問い合わせ", "担当"], tickets()),
        (["Bericht", "Abteilung"], tickets()),
        (["Что случилось", "Отдел"], tickets()),
        (["话", "数"], [[text, str(n % 5)] for n, text in enumerate(TEXTS)]),  # a word above numbers
        (["话", "天"], [[text, f"2026-01-{n % 28 + 1:02d}"] for n, text in enumerate(TEXTS)]),
    ],
)
def test_a_first_row_that_is_unlike_all_others_is_a_header(
    bench: Any, header: list[str], rows: list[list[str]]
) -> None:
    path = write(bench, header, rows)
    data = bench.prepare(path, text_column=header[0], label_column=header[1])
    assert header[1] not in data.task.labels
    assert header[1] not in json.dumps(data.task.labels, ensure_ascii=False)


@pytest.mark.parametrize(
    "rows",
    [
        [row[::-1] for row in tickets()],
        tickets(),
        [[text, ("问题", "建议")[n % 2]] for n, text in enumerate(TEXTS)],  # a known name that is a class here
        [[f"你好{n}", f"我是小助手{n}"] for n in range(40)],  # questions and answers: nothing says that one is a name
        [["你好", "好"], ["再见", "坏"]],
    ],
)
def test_a_first_row_like_the_others_is_a_row(bench: Any, rows: list[list[str]]) -> None:
    with pytest.raises(DataError, match="no header row that names them"):
        bench.prepare(write(bench, [], rows))


def test_the_words_of_the_table_are_each_known_once_in_a_role() -> None:
    """`输入` for two roles of one format would make the answer depend on the order of columns."""
    for role, names in ALIASES.items():
        assert len(set(names)) == len(names), role
    chinese = [name for names in ALIASES.values() for name in names if not name.isascii()]
    assert len(chinese) == len(set(chinese))


@pytest.mark.parametrize(
    ("column", "values", "asked"),
    [
        ("queue", ["a", "b", "c"], True),
        ("部门", CLASSES, True),
        ("priority", ["1", "2", "3"], True),
        ("urgent", ["yes", "no"], True),
        ("id", [str(n) for n in range(60)], False),
        ("ticket_id", ["1", "2", "3"], False),
        ("lang", ["zh", "en"], False),
        ("source", ["web", "mail"], False),
        ("编号", [str(n % 9) for n in range(60)], False),
        ("grade", ["0.25", "0.5"], True),
        ("only", ["same"], False),
        ("remark", [f"each its own {n}" for n in range(60)], False),
        ("rest", ["x" * 80, "y" * 80], False),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_column_that_may_be_the_label_is_asked_about(
    bench: Any, column: str, values: list[str], asked: bool, kind: str
) -> None:
    pairs = list(zip(TEXTS, itertools.cycle(values), strict=False))
    if kind == "csv":
        path = write(bench, ["text", column], [list(pair) for pair in pairs])
    else:
        path = bench.write("rows.jsonl", [{"text": text, column: value} for text, value in pairs])
    if not asked:
        assert bench.prepare(path).task.kind == "text"
        return
    with pytest.raises(DataError) as caught:
        bench.prepare(path)
    assert f"label_column: {column};" in str(caught.value)
    assert "format: text" in str(caught.value)
    assert bench.prepare(path, label_column=column).task.labels == tuple(sorted(set(values)))
    assert bench.prepare(path, format="text").task.kind == "text"


def test_where_no_format_fits_the_likely_label_is_named(bench: Any) -> None:
    path = bench.write("rows.jsonl", [{"note": text, "queue": CLASSES[n % 3]} for n, text in enumerate(TEXTS)])
    with pytest.raises(DataError, match=r"may be the label: queue: '账单' \(20 rows\)"):
        bench.prepare(path)
