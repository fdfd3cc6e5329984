"""The templates of messages, taken from the source: what the catalogue has to hold."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from dizuo.languages.catalogue import normalise
from dizuo.languages.page_source import texts_of

SOURCE = Path(__file__).parent.parent.parent / "src" / "dizuo"
MAIN_PATH = (
    "cli/*.py", "cli/vectors/search.py", "cli/vectors/sync.py", "errors.py", "steps/*.py",
    "recipe/binding.py", "recipe/reading.py", "recipe/values.py",
    "artifacts/address.py", "artifacts/hubs.py", "artifacts/resolving.py", "artifacts/home.py", "artifacts/licences.py",
    "artifacts/pip.py", "artifacts/sources/*.py",
    "models/finding.py", "models/loading.py", "models/inspecting.py",
    "data/preparing.py", "data/splitting.py", "data/task.py", "data/options.py", "data/reviewing.py", "data/dataset.py",
    "data/checks/ledger.py", "data/checks/label_names.py", "data/checks/leakage.py", "data/checks/characters.py",
    "data/formats/classification.py", "data/readers/__init__.py", "data/readers/delimited.py", "data/readers/jsonl.py",
    "data/readers/json.py", "data/reading/asking.py", "data/reading/columns.py", "data/reading/detection.py",
    "data/reading/encodings.py", "data/reading/files.py", "data/reading/keys.py", "data/reading/label_columns.py",
    "data/reading/reporting.py", "data/reading/rows.py", "data/reading/sources.py", "data/reading/staging.py",
    "data/reading/turns.py",
    "training/loop.py", "training/run.py", "training/checkpoints.py", "training/resuming.py",
    "training/planning/defaults.py", "training/planning/options.py", "training/planning/planner.py",
    "training/planning/plan.py", "training/planning/problems.py", "training/planning/resolving.py",
    "training/stepping/stepper.py", "training/stepping/validating.py", "training/tokens/cutting.py",
    "training/tokens/tokenizing.py", "trees/choosing.py",
    "evaluation/*.py", "evaluation/answering/*.py", "evaluation/baselines/*.py", "evaluation/figures/*.py",
    "evaluation/kinds/*.py", "evaluation/metrics/*.py", "evaluation/reporting/*.py",
    "serving/registry.py", "serving/release_names.py", "serving/opening.py", "serving/bundle/files.py",
    "vectors/connecting/*.py", "vectors/knowledge/knowledge_base.py", "vectors/knowledge/arguments.py",
    "vectors/knowledge/choosing.py",
    "vectors/protocol/errors.py", "vectors/protocol/collection.py", "vectors/embedders/__init__.py",
    "pages/report_page.py", "pages/card_page.py", "pages/charts.py",
)  # fmt: skip
PAGES = ("report.html", "card.html")

DRAWS = {"heading", "table", "say"}
"""Calls whose texts are messages, single words too."""
TITLES = {"title", "headers", "TITLE"}
NOT_PEOPLE = {
    "option", "argument", "command", "group", "version_option", "compile", "sub", "match", "fullmatch", "search",
    "findall", "split", "startswith", "endswith", "setdefault", "getattr", "tag",
}  # fmt: skip
"""Calls whose texts are options' help, patterns and names."""
TABLES_OF_HELP = {"VERBS", "COMMANDS", "__all__", "NEAREST", "DRAWS"}


@cache
def templates() -> dict[str, str]:
    """Return every template of the main path with the file that it stands in."""
    found: dict[str, str] = {}
    for pattern in MAIN_PATH:
        paths = sorted(SOURCE.glob(pattern))
        assert paths, pattern
        for path in paths:
            for template in of_file(path):
                found.setdefault(template, path.relative_to(SOURCE).as_posix())
    for name in PAGES:
        for text in texts_of((SOURCE / "pages" / "templates" / name).read_text("utf-8")):
            found.setdefault(text, f"pages/templates/{name}")
    return found


def of_file(path: Path) -> Iterator[str]:
    """Yield the messages of a file: prose anywhere in it, and every text that is drawn."""
    tree = ast.parse(path.read_text("utf-8"))
    skipped = {id(node) for part in ast.walk(tree) if _is_no_message(part) for node in ast.walk(part)}
    skipped |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    drawn = {id(node) for part in ast.walk(tree) if _is_drawn(part) for node in ast.walk(part)}
    for node in ast.walk(tree):
        if id(node) in skipped or (template := template_of(node)) is None:
            continue
        words = template.replace("{}", "").replace("{s}", "")
        if re.search("[a-z]{2}", words) and (id(node) in drawn or _is_prose(template)):
            yield template


def literals() -> set[str]:
    """Return every text of the source and of the pages, as templates: what a catalogue may be about."""
    found = {
        template
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if (template := template_of(node)) is not None
    }
    return found | set(templates())


def template_of(node: ast.AST) -> str | None:
    """Return a literal text as a template, or None."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return normalise(node.value.replace("{shots}", "{}"))  # a title that is filled in by `format`
    if not isinstance(node, ast.JoinedStr):
        return None
    parts = []
    for value in node.values:
        if isinstance(value, ast.Constant):
            parts.append(str(value.value))
        else:
            assert isinstance(value, ast.FormattedValue)
            parts.append("{s}" if _is_plural(value.value) else "{}")
    return normalise("".join(parts))


def _is_plural(node: ast.expr) -> bool:
    branches = (node.body, node.orelse) if isinstance(node, ast.IfExp) else ()
    return {part.value for part in branches if isinstance(part, ast.Constant)} == {"s", ""}


def _is_prose(template: str) -> bool:
    return re.search(r"[A-Za-z0-9}'\")][,:;]? [A-Za-z{'\"(]", template) is not None


def _is_no_message(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True  # a docstring
    if isinstance(node, ast.Call):
        return _name(node.func) in NOT_PEOPLE
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return any(_name(target) in TABLES_OF_HELP for target in targets)
    return isinstance(node, ast.Assert)


def _is_drawn(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return _name(node.func) in DRAWS
    if isinstance(node, ast.keyword):
        return node.arg in TITLES and isinstance(node.value, ast.Constant | ast.JoinedStr)
    return (
        isinstance(node, ast.Assign)
        and not isinstance(node.value, ast.Dict)
        and any(_name(target) in TITLES for target in node.targets)
    )


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
