"""The documentation is true: generated pages are up to date, commands exist, recipes bind, links lead somewhere."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
from generate import pages

from dizuo import recipe
from dizuo.cli import dizuo
from dizuo.steps.settings import bind

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
IDS = [str(path.relative_to(ROOT)) for path in PAGES]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(path: Path, language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(path.read_text("utf-8")) if found == language]


@pytest.mark.parametrize("name", ["recipe.md", "cli.md", "methods.md", "vectors.md"])
def test_the_reference_is_what_the_code_says(name: str) -> None:
    written = (ROOT / "docs" / "reference" / name).read_text("utf-8")
    assert written == pages()[name], "run `make docs`"


@pytest.mark.parametrize("path", PAGES, ids=IDS)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text("utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", PAGES, ids=IDS)
def test_every_block_says_its_language(path: Path) -> None:
    for language, _ in BLOCK.findall(path.read_text("utf-8")):
        assert language in {"console", "python", "yaml", "text", "json"}


def commands() -> list[tuple[str, str]]:
    out = []
    for path in [*PAGES, *sorted((ROOT / "recipes").glob("*.yaml"))]:
        text = path.read_text("utf-8")
        lines = re.findall(r"^\$ (.*)$", text, re.MULTILINE) + re.findall(r"^#   (dizuo .*)$", text, re.MULTILINE)
        out += [(str(path.relative_to(ROOT)), line) for line in lines]
    return out


@pytest.mark.parametrize(("page", "line"), commands())
def test_commands_exist_and_take_these_arguments(page: str, line: str) -> None:
    program, *arguments = shlex.split(line, comments=True)
    if program.removeprefix(".venv/bin/") == "dizuo":
        parse(dizuo, "dizuo", arguments)
    elif program == "make":
        target = next(word for word in arguments if "=" not in word)
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    else:
        assert program in {"pip", "curl"}


def parse(command: click.Command, name: str, arguments: list[str], parent: Any = None) -> None:
    """Parse as click would, without running anything; an unknown command or option raises."""
    context = command.make_context(name, arguments, parent=parent)
    if isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        found, inner, left = command.resolve_command(context, rest)
        assert inner is not None
        parse(inner, str(found), left, context)


def recipes() -> list[tuple[str, str]]:
    found = [(str(p.relative_to(ROOT)), p.read_text("utf-8")) for p in sorted((ROOT / "recipes").glob("*.yaml"))]
    return found + [(name, text) for name, path in zip(IDS, PAGES) for text in blocks(path, "yaml")]


@pytest.mark.parametrize(("where", "text"), recipes())
def test_recipes_bind(where: str, text: str) -> None:
    settings = bind(recipe.from_yaml(text, file=where, strict=False), needs=("data",))
    assert settings.name


def test_there_is_something_to_check() -> None:
    assert len(commands()) > 20
    assert len(recipes()) >= 7


@pytest.mark.parametrize("path", PAGES, ids=IDS)
def test_python_blocks_use_names_that_exist(path: Path) -> None:
    import dizuo as package

    for text in blocks(path, "python"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "dizuo":
                assert node.attr in package.__all__


def test_both_readmes_have_the_same_content() -> None:
    english, chinese = (ROOT / "README.md").read_text("utf-8"), (ROOT / "README.zh-CN.md").read_text("utf-8")

    def shape(text: str) -> list[str]:
        return re.findall(r"^(?:#+ |- \*\*|```\w*|<!-- .*? -->)", text, re.MULTILINE)

    assert shape(english) == shape(chinese)
    ours, theirs = (re.findall(r"^\$ ([^#\n]*)", text, re.MULTILINE) for text in (english, chinese))
    assert [line.strip() for line in ours] == [line.strip() for line in theirs]


@pytest.mark.slow
def test_the_readmes_python_runs_on_the_real_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from steps_samples import write_rows

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    write_rows(tmp_path / "tickets.csv", rows=200)
    text = blocks(ROOT / "README.md", "python")[0]
    names: dict[str, Any] = {}
    exec(compile(text, "README.md", "exec"), names)
    assert str(names["release"]) == "tickets@1"
    assert names["report"].tuned.score > 0.9
