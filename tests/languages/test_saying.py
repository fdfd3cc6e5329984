"""Finished texts in Chinese: sentences, errors, columns; and what is a user's stays as it is."""

from __future__ import annotations

import pytest

from dizuo.languages import choose, language, say, say_on_page
from dizuo.languages.choosing import VARIABLES


@pytest.fixture(autouse=True)
def _chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIZUO_LANG", "zh")
    choose([])


SAID = [
    (
        "The tuned model reaches 93.5 % accuracy on 400 items, 49.0 points more than before tuning (p < 0.001). "
        "It beats TF-IDF + logistic regression (86.5 %) by 7.0 points (p < 0.001).",
        "微调后的模型在 400 题上的准确率为 93.5 %，比微调前高 49.0 个百分点（p < 0.001）。"
        "它胜过 TF-IDF + 逻辑回归（86.5 %）7.0 个百分点（p < 0.001）。",
    ),
    (
        "It cannot be told from TF-IDF + logistic regression (86.5 %, p = 0.1), which trains in under a second and "
        "takes 4 MB: for this task alone the cheap one would do (400 items show a difference from about 4.0 points "
        "on).",
        "它与 TF-IDF + 逻辑回归（86.5 %，p = 0.1）分不出高下，其训练用时不到一秒，占用 4 MB："
        "单就这个任务，廉价模型就够了（400 题能显示约 4.0 个百分点以上的差别）。",
    ),
    ("error: no command is called 'runn' (did you mean 'run'?)", "错误：没有名为 'runn'（是不是 'run'？）的命令"),
    (
        "error: r.yaml has 2 wrong fields\n  r.yaml:12: train.epoch is not known (did you mean 'epochs'?)\n"
        "  r.yaml:3: train.epochs: expected a number, got 'x'\n\n"
        "hint: `dizuo recipe schema` lists every section and field",
        "错误：r.yaml 有 2 处字段错误\n  r.yaml:12: 不认识 train.epoch（是不是 'epochs'？）\n"
        "  r.yaml:3: train.epochs: 应为数，实际是 'x'\n\n提示：`dizuo recipe schema` 列出所有的节和字段",
    ),
    ("prepare: 1.2 s  155 train, 24 validation, 24 test", "准备：1.2 s  训练 155，验证 24，测试 24"),
    ("  rows: 204 read, 0 bad", "  行：读取 204，有错 0"),
    ("accuracy on 400 test items, 95 % intervals", "测试集 400 题的准确率，95 % 置信区间"),
    (
        "warning: patience is 3, but there are 2 evaluations (eval_every is 4): the run cannot stop early",
        "警告：patience 是 3，而评估只有 2 次（eval_every 是 4）：运行不可能提前停止",
    ),
    ("sync: 6.7 s  2 added, 0 changed, 0 deleted, 0 unchanged", "sync: 6.7 s  新增 2，更改 0，删除 0，未变 0"),
    (
        "2 added, 0 changed, 0 deleted, 3 unchanged; 3 chunks embedded",
        "新增 2，更改 0，删除 0，3 个未变；嵌入了 3 个文本块",
    ),
    ("line 4: train.epochs: expected a number, got 'x'", "第 4 行：train.epochs: 应为数，实际是 'x'"),
    ("line 1,204: a quote opened here is never closed", "第 1,204 行：这里的引号没有闭合"),
    ("error: there is no recipe at x.yaml", "错误：x.yaml 处没有配方"),
    ("error: the moon is no run of ours", "错误：the moon is no run of ours"),
    ("deployed as news@1 (default)", "已部署为 news@1 (default)"),
]


@pytest.mark.parametrize(("english", "chinese"), SAID)
def test_a_finished_text_is_said_in_chinese(english: str, chinese: str) -> None:
    assert say(english) == chinese


@pytest.mark.parametrize("english", [english for english, _ in SAID])
def test_english_is_as_it_was(english: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIZUO_LANG", "en")
    assert say(english) is english
    assert say_on_page(english) is english


@pytest.mark.parametrize(
    "text",
    ["", "  ", "runs/quickstart/4-evaluate/report.html", "这是什么？", "The cat sat on the mat. It was late.", "95 % x",
     "tickets@3", "https://example.com/a?b=c", "a: b: c", "2026-12-01 10:00", "{}", "{not a value}", "\x00", "a\n\nb"],
)  # fmt: skip
def test_what_is_no_message_stays_as_it_is(text: str) -> None:
    assert say(text) == text


@pytest.mark.parametrize("value", ["a (b", "x: y", "{0}", "{*}", "\\1", "train", "score", "报告"])
def test_a_value_in_a_message_is_never_rewritten(value: str) -> None:
    assert say(f"there is no run {value!r} in runs/") == f"runs 里没有名为 {value!r} 的运行"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_TW"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "C", "LC_MESSAGES": "zh_CN"}, "zh"),
        ({"LANG": "en_US.UTF-8", "DIZUO_LANG": "zh"}, "zh"),
        ({"LC_ALL": "zh_CN.GBK", "DIZUO_LANG": "en"}, "en"),
    ],
)
def test_the_environment_decides_in_its_usual_order(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert language() == expected


@pytest.mark.parametrize(
    ("arguments", "left", "expected"),
    [
        (["--lang", "en", "run", "x.yaml"], ["run", "x.yaml"], "en"),
        (["run", "x.yaml", "--lang=zh-CN"], ["run", "x.yaml"], "zh"),
        (["chat", "news", "--", "--lang", "en"], ["chat", "news", "--", "--lang", "en"], "zh"),
    ],
)
def test_the_command_line_decides_before_the_environment(arguments: list[str], left: list[str], expected: str) -> None:
    assert choose(arguments) == left
    assert language() == expected


@pytest.mark.parametrize("stated", ["fr", "", "china"])
def test_another_language_is_refused(stated: str) -> None:
    with pytest.raises(ValueError, match="expected one of en, zh"):
        choose(["--lang", stated])


def test_beside_json_everything_is_english() -> None:
    choose(["runs", "ls", "--json"])
    assert say("nothing matches") == "nothing matches"
    choose([])
    assert say("nothing matches") == "没有匹配的记录"
