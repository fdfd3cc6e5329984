"""Write docs/reference from the code: recipes from the options, the command line from `--help`, the tables of vector
stores from their options and from the conformance suite's results (`reference/vectors.json`, see `vectors_page`), the
table of memory from its measurements (`reference/memory.json`, see `memory_page.py`), the training methods with what
was tried (`reference/methods.json`, see `methods_page.py`), and the pictures of docs/concepts (`pictures.py`).

`make docs` runs it; a test runs `pages()` and compares.
"""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import click
import memory_page
import methods_page
import pictures

from dizuo import recipe
from dizuo.cli import dizuo
from dizuo.steps.settings import tables
from dizuo.vectors.protocol.database import Database

HERE = Path(__file__).parent / "reference"


def pages() -> dict[str, str]:
    """Return every generated page by file name."""
    return {
        "recipe.md": recipe_page(),
        "cli.md": cli_page(),
        "memory.md": memory_page.page(),
        "methods.md": methods_page.page(_rows, json.loads((HERE / "methods.json").read_text("utf-8"))),
        "vectors.md": vectors_page(),
    }


def recipe_page() -> str:
    """Return the reference of recipe fields."""
    parts = [
        "# Recipe",
        "Generated from the code by `make docs`.",
        "A recipe is one YAML file: `name` (names the run's folder), `seed` (0 unless set; all randomness hangs off "
        "it), and at most five sections named after the steps. Unknown fields are errors. On the command line any "
        "field is set with `--set section.field=value`.",
    ]
    for section, kinds in tables().items():
        parts.append(f"## {section}")
        rows = [row for kind in kinds for row in _rows(kind, "")]
        parts.append("\n".join(["| field | type | default | |", "|---|---|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def _rows(kind: type[Any], prefix: str) -> list[str]:
    schema = recipe.schema({"x": (kind,)})["properties"]["x"]["properties"]
    out = []
    for item in dataclasses.fields(kind):
        entry = schema[item.name]
        text = entry.get("description", "").replace("|", "\\|")
        if entry.get("type") == "object" and "properties" in entry:
            inner = _class_of(kind, item.name)
            out += _rows(inner, f"{prefix}{item.name}.")
            continue
        default = entry.get("default", None)
        shown = "" if default is None or default == "" or default == [] else f"`{_yaml(default)}`"
        out.append(f"| `{prefix}{item.name}` | {_type(entry)} | {shown} | {text} |")
    return out


def _class_of(kind: type[Any], name: str) -> type[Any]:
    import typing

    hint: type[Any] = typing.get_type_hints(kind)[name]
    return hint


def _type(entry: dict[str, Any]) -> str:
    if "enum" in entry:
        return ", ".join(f"`{choice}`" for choice in entry["enum"])
    if "anyOf" in entry:
        return " or ".join(_type(one) for one in entry["anyOf"] if one.get("type") != "null")
    names = {"string": "text", "integer": "whole number", "boolean": "true or false", "object": "mapping"}
    if entry.get("type") == "array":
        return "list"
    return names.get(entry.get("type", ""), entry.get("type", "any"))


def _yaml(value: Any) -> str:
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def cli_page() -> str:
    """Return the help of every command."""
    parts = ["# Command line", "Generated from the code by `make docs`."]
    parts += [f"## {name}\n\n```text\n{text.rstrip()}\n```" for name, text in helps(dizuo, "dizuo")]
    return "\n\n".join(parts) + "\n"


def helps(command: click.Command, name: str, parent: click.Context | None = None) -> list[tuple[str, str]]:
    """Return name and help of a command and everything below it."""
    context = command.make_context(name, [], parent=parent, resilient_parsing=True)
    context.terminal_width = 100
    text = re.sub(r"[ \t]+$", "", command.get_help(context), flags=re.MULTILINE)
    out = [(context.command_path, text)]
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            assert found is not None
            out += helps(found, inner, context)
    return out


def vectors_page() -> str:
    """Return the reference of vector stores.

    What they can do comes from the suite's own results; to renew these, on a quiet machine:
    `DIZUO_VECTORS_RESULTS=docs/reference/vectors.json .venv/bin/python -m pytest tests/vectors -m "slow or not slow"`.
    """
    from dizuo.vectors.stores import STORES

    results = json.loads((HERE / "vectors.json").read_text("utf-8"))
    parts = [
        "# Vector stores",
        "Generated from the code and from the results of the conformance suite by `make docs`.",
        "## What was tested, and how it went",
        "Figures are tests of `dizuo.testing.VectorStoreSuite` that passed against the engine named below them: a "
        "real one, or an emulator where none is to be had. What an engine lacks is declared by its store and listed "
        "below; nothing that is not declared may fail. The p50 are of one search, client and server on one "
        "core while a training ran on the other: they show which path a store takes and what it costs in kind; `dizuo "
        "vectors bench` compares stores on yours. The last rows say at which commits the tests ran (`+`: with changes "
        "that were not committed yet), and for which of them the store or the test has changed since.",
        _conformance(results),
        "## What each can do",
        _capabilities(results),
        *_lacking(results),
        *_handles(results),
        "## Limits",
        "What the makers of a database state, or what we measured (marked *), and what dizuo does at it. Each limit "
        "has a test of the suite that goes past it, named in the first table; it runs on every store.",
        _limit_tests(),
        *(f"### Limits of {name}\n\n{_limits(database)}" for name, database in STORES.all().items() if database.limits),
        "## Options",
        "In the URL's query, as in `lancedb://./index?hot=lang,year`, or as keyword arguments of `connect`.",
    ]
    for name, database in STORES.all().items():
        rows = _rows(database.options, "")
        table = "\n".join(["| option | type | default | |", "|---|---|---|---|", *rows]) if rows else "No options."
        parts.append(f"### {name}://\n\n{table}")
    return "\n\n".join(parts) + "\n"


def _limit_tests() -> str:
    from dizuo.vectors.protocol.limits import KINDS

    return "\n".join(["| limit | test |", "|---|---|", *(f"| {title} | `{test}` |" for title, test in KINDS.values())])


def _limits(database: Database[Any]) -> str:
    from dizuo.vectors.protocol.limits import KINDS

    lines = ["| limit | the database's | what dizuo does |", "|---|---|---|"]
    for limit in database.limits:
        star = " *" if limit.measured else ""
        lines.append(f"| {KINDS[limit.kind][0]} | {limit.theirs}{star} | {limit.ours} |")
    return "\n".join(lines)


def _conformance(results: dict[str, Any]) -> str:
    from dizuo.testing.vectors.suite import AREAS
    from dizuo.testing.vectors.table import cell

    names = sorted(results)
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for area, title in AREAS.items():
        lines.append(f"| {title} | {' | '.join(cell(results[name]['areas'].get(area)) for name in names)} |")
    lines.append(f"| engine | {' | '.join(results[name]['kind'] for name in names)} |")
    lines.append(f"| vectors, in k means k | {' | '.join(_shown(results[name].get('rows')) for name in names)} |")
    facts = {
        "engine": "version",
        "p50 automatic": "p50 of a search among so many, all and 1 %",
        "p50 index": "p50, index",
    }
    for key, title in facts.items():
        if any(key in results[name] for name in names):
            lines.append(f"| {title} | {' | '.join(results[name].get(key, '') for name in names)} |")
    lines.append(f"| ran at | {' | '.join(_commits(results[name]) for name in names)} |")
    lines.append(f"| changed since | {' | '.join(_changed(results[name]) for name in names)} |")
    return "\n".join(lines)


def _shown(count: int | None) -> str:
    return "not noted" if count is None else f"{count:,}"


def _commits(entry: dict[str, Any]) -> str:
    commits = sorted({row.get("commit", "") for row in entry["areas"].values()})
    return ", ".join(f"`{commit}`" if commit else "not noted" for commit in commits)


def _changed(entry: dict[str, Any]) -> str:
    from dizuo.testing.vectors.table import changed_areas

    changed = changed_areas(entry)
    whole = len(changed) == len(entry["areas"])
    return "all" if whole and changed else "; ".join(changed) or "none"


_ABLE = {
    "index": "approximate index",
    "lexical": "BM25",
    "words": "its words are",
    "words_cover": "its words count the",
    "persistent": "outlives the process",
    "several_writers": "several writing processes",
    "durable": "survives kill -9",
    "atomic_batches": "a batch is in as a whole or not at all",
    "max_dim": "numbers in a vector, at most",
}


def _handles(results: dict[str, Any]) -> list[str]:
    """Return the table of what a handle says when others drop its collection or make it anew."""
    names = sorted(name for name in results if results[name].get("handles"))
    if not names:
        return []
    lines = [f"| happened | asked | {' | '.join(names)} |", f"|---|---|{'---|' * len(names)}"]
    events = dict.fromkeys(event for name in names for event in results[name]["handles"])
    for event in events:
        said = {name: results[name]["handles"].get(event, {}) for name in names}
        calls = dict.fromkeys(call for name in names for call in said[name])
        rows: dict[tuple[str, ...], list[str]] = {}
        for call in calls:
            rows.setdefault(tuple(said[name].get(call, "-") for name in names), []).append(call)
        lines += [f"| {event} | {', '.join(alike)} | {' | '.join(answers)} |" for answers, alike in rows.items()]
    return [
        "## What an open handle says",
        "While a handle was open, somebody else dropped its collection, or dropped it and made another of its name. "
        "Then the handle was asked for everything. `gone` is `CollectionGone`, which names the collection and says to "
        "open it again; in no case was anything read from the new collection, written to it or removed.",
        "\n".join(lines),
    ]


def _capabilities(results: dict[str, Any]) -> str:
    names = sorted(name for name in results if results[name].get("capabilities"))
    said = {True: "yes", False: "no", None: "any"}
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for field, title in _ABLE.items():
        values = [results[name]["capabilities"].get(field, "") for name in names]  # results may be older
        shown = [said[value] if value in (True, False, None) else str(value) for value in values]
        lines.append(f"| {title} | {' | '.join(shown)} |")
    return "\n".join(lines)


def _lacking(results: dict[str, Any]) -> list[str]:
    lines = [
        f"- {name}: {field.replace('_', ' ')}: {reason}"
        for name in sorted(results)
        for field, reason in sorted(results[name].get("capabilities", {}).get("notes", {}).items())
        if results[name]["capabilities"].get(field) is not True
    ]
    return ["\n".join(lines)] if lines else []


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    for name, text in pages().items():
        (HERE / name).write_text(text, "utf-8")
    pictures.write()
