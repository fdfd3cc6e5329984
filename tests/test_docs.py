"""The documentation is true: generated pages are up to date, commands exist, recipes bind, links lead somewhere."""

from __future__ import annotations

import ast
import functools
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pictures
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


@pytest.mark.parametrize("name", ["recipe.md", "cli.md", "memory.md", "methods.md", "vectors.md"])
def test_the_reference_is_what_the_code_says(name: str) -> None:
    written = (ROOT / "docs" / "reference" / name).read_text("utf-8")
    assert written == pages()[name], (
        "run `make docs`: a result whose store, method or test changed is then marked; docs/generate.py and "
        "docs/methods_page.py say what renews it"
    )


@pytest.mark.parametrize("path", PAGES, ids=IDS)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text("utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", PAGES, ids=IDS)
def test_every_block_says_its_language(path: Path) -> None:
    for language, _ in BLOCK.findall(path.read_text("utf-8")):
        assert language in {"console", "python", "yaml", "text", "json"}


def test_every_page_is_linked_from_the_front_page_of_the_docs() -> None:
    front = (ROOT / "docs" / "README.md").read_text("utf-8")
    linked = {(ROOT / "docs" / target).resolve() for target in re.findall(r"\]\(([^)#:]+)\)", front)}
    lost = [str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md") if path.resolve() not in linked]
    assert lost == ["docs/README.md"]


TREE = [
    path.relative_to(ROOT).as_posix()
    for folder in ("src", "tests", "docs", "benchmarks", "recipes", ".ci")
    for path in (ROOT / folder).rglob("*")
    if "__pycache__" not in path.parts
]
NOT_OURS = re.compile(r"(.*/)?(mine|mydb|bleu)(\.py|$)")
"""Plugins of a reader's own, as examples name them."""
MOVED = ROOT / "docs" / "decisions" / "004-rooms.md"


@pytest.mark.parametrize("path", PAGES, ids=IDS)
def test_every_file_and_folder_that_is_named_exists(path: Path) -> None:
    text = path.read_text("utf-8")
    text = text if path != MOVED else text.partition("## Where files went")[0]
    # What two readers answered about the tree of a day stays as they said it, names that are gone since included.
    text = re.sub(
        r"^## (Twenty questions, asked|The raw answers)$.*?(?=^## |\Z)", "", text, flags=re.MULTILINE | re.DOTALL
    )
    named = re.findall(r"(?<![\w/.])((?:src/dizuo|tests|benchmarks)/[\w/.*-]*\w|[\w/]+\.py)\b", text)
    lost = [
        name for name in named
        if not NOT_OURS.match(name) and not any(f"/{file}".endswith(f"/{name}") for file in TREE)
    ]  # fmt: skip
    assert not lost


@pytest.mark.parametrize("path", PAGES, ids=IDS)
def test_every_module_that_is_named_exists(path: Path) -> None:
    for name in set(re.findall(r"\bdizuo(?:\.[A-Za-z_]\w*)+", path.read_text("utf-8"))):
        parts = name.split(".")
        while not (found := [f"src/{'/'.join(parts)}{end}" for end in ("/__init__.py", ".py")
                             if f"src/{'/'.join(parts)}{end}" in TREE]):  # fmt: skip
            parts.pop()
        left = name.split(".")[len(parts) :]
        text = (ROOT / found[0]).read_text("utf-8")
        assert not left or re.search(rf"\b{left[0]}\b", text), f"{name}: {found[0]} has no {left[0]}"


CITED = re.compile(r"(?:([\w/.-]+\.py)::)?(?:(Test\w+)::)?(?<![\w/])(test_\w+)\b(?!\.py|/)")
"""A test by name, with or without its file and its class."""
QUOTED = re.compile(rf"`{CITED.pattern}(?:\[[^`]*\])?`|([\w/.-]+\.py)::(?:(Test\w+)::)?(test_\w+)")
"""The same in code, where other names begin with `test_` too."""
CODE = [
    ROOT / name for name in TREE if name.endswith((".py", ".toml", ".yaml")) and not name.startswith("tests/test_docs")
]


@functools.cache
def defined_in(path: Path) -> frozenset[str]:
    """Return the names of the functions and classes of a file."""
    tree = ast.parse(path.read_text("utf-8"))
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def lost_tests(text: str, pattern: re.Pattern[str] = CITED) -> list[str]:
    """Return the tests that a text names and that are nowhere, or not in the file or class that it names."""
    suites = [name for name in TREE if name.endswith(".py") and name.startswith(("tests/", "src/dizuo/testing/"))]
    lost = []
    for found in pattern.finditer(text):
        parts = [part or "" for part in found.groups()]
        file, kind, name = (next(filter(None, parts[place::3]), "") for place in range(3))
        files = [known for known in suites if not file or f"/{known}".endswith(f"/{file}")]
        names: set[str] = set().union(*(defined_in(ROOT / known) for known in files))
        # A class may have a test from the suite that it inherits.
        everywhere = set().union(*(defined_in(ROOT / known) for known in suites)) if kind else names
        if name not in everywhere or (kind and kind not in names):
            lost.append(found.group())
    return lost


@pytest.mark.parametrize("path", PAGES, ids=IDS)
def test_every_test_that_a_page_names_exists(path: Path) -> None:
    assert not lost_tests(path.read_text("utf-8"))


def test_every_test_that_the_code_names_exists() -> None:
    lost = {str(path.relative_to(ROOT)): lost_tests(path.read_text("utf-8"), QUOTED) for path in CODE}
    assert not {path: names for path, names in lost.items() if names}


@pytest.mark.parametrize(
    "cited",
    [
        "`test_that_was_never_written`",
        "`tests/test_docs.py::test_that_was_never_written`",
        "`test_docs.py::test_a_fake_tracker_sees_every_metric_and_is_closed`",
        "`TestNobody::test_links_lead_somewhere`",
        "`tests/test_docs.py::TestOurs::test_it_keeps_the_contract`",
        "`test_that_was_never_written[LoRA-sft]`",
    ],
)
def test_a_test_that_does_not_exist_is_seen_however_it_is_named(cited: str) -> None:
    assert lost_tests(cited)
    assert lost_tests(f"# as {cited} says", QUOTED)
    there = "`tests/training/test_tracking.py::TestOurs::test_it_keeps_the_contract`, `test_links_lead_somewhere`"
    assert not lost_tests(there)
    assert not lost_tests(there, QUOTED)


def test_every_mistake_has_a_test_or_is_said_to_have_none() -> None:
    """Numbers are those of the doctor's checks, and every check stands with the mistake that it guards."""
    text, _, lacking = (ROOT / "docs" / "concepts" / "mistakes.md").read_text("utf-8").partition("## Not held yet")
    entries = {int(number): body for number, body in re.findall(r"^### (\d+)\. (.*?)(?=^##|\Z)", text, re.M | re.S)}
    assert sorted(entries) == list(range(1, 1 + len(entries)))
    assert len(entries) >= 31
    open_ones = lacking.partition("Of entries with tests")[0]
    untested = {int(n) for line in re.findall(r"^- ([\d, ]+):", open_ones, re.M) for n in line.split(",")}
    assert untested == {number for number, body in entries.items() if "::test_" not in body}
    checks = ROOT / "src/dizuo/training/doctor/checks"
    for path in sorted(checks.glob("[a-z]*.py")):
        (number,) = re.findall(r"\btrap\s*=\s*(\d+)", path.read_text("utf-8"))
        assert f"`{path.stem}`" in entries[int(number)], f"{path.name} guards {number}"


@pytest.mark.parametrize("walk", pictures.WALKS, ids=lambda walk: walk.slug)
def test_a_walk_is_drawn_as_it_is_listed_and_passes_at_most_ten_rooms(walk: pictures.Walk) -> None:
    assert (pictures.PICTURES / f"{walk.slug}.svg").read_text("utf-8") == pictures.svg(walk), "run `make docs`"
    assert not [stop.file for stop in walk.stops if not (ROOT / "src/dizuo" / stop.file).is_file()]
    assert max(map(len, walk.legs)) <= 10


def test_the_lists_of_the_walks_are_those_of_the_pictures() -> None:
    text = pictures.PAGE.read_text("utf-8")
    assert pictures.page(text) == text, "run `make docs`"


def test_the_table_of_moved_files_leads_to_files_that_exist() -> None:
    table = MOVED.read_text("utf-8").partition("## Where files went")[2]
    rows = re.findall(r"^\| `([\w/.]+)` \| (.+) \|$", table, re.M)
    assert len(rows) > 100
    for old, new in rows:
        there = re.findall(r"`([\w/.]+)`", new)
        assert there or new.startswith("gone"), old
        assert not [name for name in there if f"src/dizuo/{name}" not in TREE], old


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


def _command(line: str) -> str:
    return re.sub(r'"[^"]*\?"|"[^"]*？"', "QUESTION", line.strip())


def test_both_readmes_have_the_same_content() -> None:
    english, chinese = (ROOT / "README.md").read_text("utf-8"), (ROOT / "README.zh-CN.md").read_text("utf-8")

    def shape(text: str) -> list[str]:
        return re.findall(r"^(?:#+ |- \*\*|```\w*|<!-- .*? -->)", text, re.MULTILINE)

    assert shape(english) == shape(chinese)
    ours, theirs = (re.findall(r"^\$ ([^#\n]*)", text, re.MULTILINE) for text in (english, chinese))
    # A question in quotes is asked in the language of the page.
    assert [_command(line) for line in ours] == [_command(line) for line in theirs]


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
