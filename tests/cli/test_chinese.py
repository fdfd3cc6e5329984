"""The command line in Chinese: errors, tables and progress; JSON and English are as they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dizuo.cli import dizuo

ROWS = [("登录一直提示密码错误", "账号"), ("这个月多扣了一次钱", "账单"), ("快递三天没有更新", "物流")]


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIZUO_LANG", "en")
    lines = [f"{text}，订单号 {number},{label}" for number in range(40) for text, label in ROWS]
    Path("工单.csv").write_text("\n".join(["内容,类别", *lines]) + "\n", "gb18030")


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(dizuo, list(arguments))


@pytest.mark.parametrize("chosen", [("--lang", "zh"), ("--lang=zh_CN",), ()])
def test_a_chinese_file_is_checked_in_chinese(chosen: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    if not chosen:
        monkeypatch.setenv("DIZUO_LANG", "zh")
    result = invoke(*chosen, "prepare", "工单.csv", "--check")
    assert result.exit_code == 0, result.output
    assert "任务  分类" in result.stdout
    assert "行    保留 120，读取 120" in result.stdout
    assert "标签  测试  训练" in result.stdout
    assert "格式：classification（120 行中 120 行有内容, 类别）" in result.stderr


def test_columns_of_chinese_stand_below_each_other() -> None:
    from rich.cells import cell_len

    lines = invoke("--lang", "zh", "prepare", "工单.csv", "--check").stdout.splitlines()
    at = lines.index("标签  测试  训练")
    assert {cell_len(line) for line in lines[at : at + 4]} == {cell_len(lines[at])}


@pytest.mark.parametrize(
    ("arguments", "status", "expected"),
    [
        (
            ["run", "nix.yaml"],
            2,
            "错误：nix.yaml 处没有配方\n\n提示：给出一个 YAML 文件，例如 recipes/quickstart.yaml\n",
        ),
        (["runn"], 2, "错误：没有名为 'runn'（是不是 'run'？）的命令\n\n提示：dizuo --help\n"),
        (["prepare", "nichts.txt"], 1, "错误：nichts.txt 不存在\n\n提示：检查路径的拼写\n"),
        (
            ["runs", "rm", "nix"],
            1,
            "错误：runs 里没有名为 'nix' 的运行\n\n提示：先运行一个配方，例如 recipes/quickstart.yaml\n",
        ),
        (["--lang", "fr", "runs", "ls"], 2, "error: --lang fr: expected one of en, zh\n\nhint: dizuo --help\n"),
    ],
)
def test_what_is_wrong_is_said_in_chinese(arguments: list[str], status: int, expected: str) -> None:
    chosen = [] if "--lang" in arguments else ["--lang", "zh"]
    result = invoke(*chosen, *arguments)
    assert result.exit_code == status
    assert result.stderr.endswith(expected)


def test_a_wrong_recipe_is_said_line_by_line() -> None:
    Path("x.yaml").write_text("name: x\nselect: {model: m}\nprepare: {sorce: a.csv}\ntrain: {epochs: many}\n", "utf-8")
    said = invoke("--lang", "zh", "run", "x.yaml").stderr
    assert "第 3 行：" in said or "line 3: 不认识 prepare.sorce（是不是 'source'？）" in said
    assert "train.epochs: 应为" in said
    assert "`dizuo recipe schema` 列出所有的节和字段" in said


def test_json_and_what_stands_beside_it_are_english() -> None:
    result = invoke("--lang", "zh", "prepare", "工单.csv", "--check", "--json")
    assert json.loads(result.stdout)["card"]["ledger"]["kept"] == 120
    assert "格式" not in result.stderr
    assert invoke("--lang", "zh", "run", "nix.yaml", "--json").stderr.startswith("error: there is no recipe")


def test_a_hint_in_the_shell_is_chinese_and_can_be_typed() -> None:
    Path("a.csv").write_text(
        "id,text,queue\n" + "".join(f"{n},text {n} of it,{'ab'[n % 2]}\n" for n in range(30)), "utf-8"
    )
    said = invoke("--lang", "zh", "prepare", "a.csv", "--check").stderr
    assert "--set prepare.label_column=queue" in said
    assert "要学它：" in said
