"""A hint says how a setting is written where it is read: in the shell, in Python, in a recipe."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

import dizuo as api
from dizuo import recipe as recipes
from dizuo.cli import dizuo
from dizuo.errors import DizuoError
from dizuo.steps.hints import OPTIONS, for_python, for_shell
from dizuo.steps.settings import bind

SOURCE = Path(api.__file__).parent
FORMS = [
    ("to learn it: label_column: queue; or: format: text", "--set prepare.label_column=queue", "label_column='queue'"),
    ("count from 1: text_column: 2 and label_column: 1", "--set prepare.label_column=1", "label_column=1"),
    ("say so: ignore: [images, messages[].x]", "--set 'prepare.ignore=[images, messages[]", "ignore="),
    ("name them: columns: {prompt: a, completion: b}", "--set 'prepare.columns={prompt: a, completion: b}'",
        "columns={'prompt': 'a', 'completion': 'b'}"),
    ("with test: 0.1, or otherwise", "--set prepare.test=0.1, or", "test=0.1, or"),
    ("leave it out, or adapter: full", "--set train.adapter=full", "adapter='full'"),
    ("set evaluate.metric: chrf.", "--set evaluate.metric=chrf.", "metric='chrf'."),
    ("准备数据时设 test: 0.1，或换一个切分", "--set prepare.test=0.1，或", "test=0.1，或"),
    ("label_separator: ';' reads them", "--set 'prepare.label_separator=;'", "label_separator=';'"),
]  # fmt: skip


@pytest.mark.parametrize(("hint", "shell", "python"), FORMS)
def test_settings_are_written_as_the_reader_types_them(hint: str, shell: str, python: str) -> None:
    assert shell in for_shell(hint)
    assert python in for_python(hint)


@pytest.mark.parametrize(
    "hint",
    [
        "check the label column",
        "dizuo doctor",
        "name the files: train, validation and test",
        "write hf:org/name",
        "keep more rows: a smaller test",
        "",
    ],
)
def test_prose_stays_as_it_is(hint: str) -> None:
    assert for_shell(hint) == for_python(hint) == hint


def hints() -> list[str]:
    """Return every hint of the rooms, its variable parts as `x`."""
    found = []
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "hint":
                parts = re.finditer(r"(['\"])((?:[^'\"\\]|\\.)*)\1", ast.unparse(node.value))
                found += [re.sub(r"\{[^{}]*\}", "x", part[2]) for part in parts]
    return found


def test_what_any_hint_tells_a_shell_to_type_is_taken_by_it() -> None:
    """Whatever a room writes, `--set` binds it or refuses its value, and knows the field."""
    asked = {word for hint in hints() for word in re.findall(r"--set (\S+|'[^']*')", for_shell(hint)) if "=" in word}
    assert len(asked) > 10
    for word in asked:
        override = shlex.split(word.rstrip(".,;)"))[0]
        recipe = recipes.from_yaml("name: a", overrides=[override], strict=False)
        said = ""
        try:
            bind(recipe, needs=())
        except DizuoError as error:
            said = str(error)
        assert "is not known" not in said, override


def test_flags_and_functions_that_hints_name_exist() -> None:
    flags = {flag for hint in hints() for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]+", hint)}
    page = (SOURCE.parent.parent / "docs" / "reference" / "cli.md").read_text("utf-8")
    known = set(re.findall(r"--[a-z][a-z-]+", page)) | {"--merge"}  # of llama.cpp's own program
    assert flags <= known, flags - known
    verbs = {verb for hint in hints() for verb in re.findall(r"(?<![\w./-])dizuo ([a-z]+)", hint)}
    prose = {"is", "needs", "reads", "removes", "that"}
    assert verbs <= set(dizuo.table) | prose, verbs


def test_the_same_fault_is_told_in_each_place_in_its_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"ticket {n},{'ab'[n % 2]}\n" for n in range(40))
    Path("tickets.csv").write_text("text,queue\n" + rows)
    Path("mine.yaml").write_text("name: mine\nprepare: {source: tickets.csv}\n")
    with pytest.raises(DizuoError) as caught:
        api.prepare("tickets.csv")
    assert "label_column='queue'" in str(caught.value)
    shell = CliRunner().invoke(dizuo, ["prepare", "tickets.csv", "--check"]).stderr
    assert "--set prepare.label_column=queue" in shell
    assert "label_column: queue;" in CliRunner().invoke(dizuo, ["prepare", "mine.yaml", "--check"]).stderr
    typed = shlex.split(shell[shell.index("--set prepare.label") :])[:2]
    assert (
        CliRunner().invoke(dizuo, ["prepare", "tickets.csv", "--check", typed[0], typed[1].rstrip(";")]).exit_code == 0
    )


def test_every_section_has_its_options() -> None:
    assert set(OPTIONS) == set(recipes.SECTIONS)
