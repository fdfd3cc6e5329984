"""docs/reference/methods.md: what every training method takes and does, and with what it was tried."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from dizuo.testing.method_results import PLACES, Results, mark_of
from dizuo.training.method import Method
from dizuo.training.methods import METHODS

ADAPTERS = ("LoRA", "DoRA", "rsLoRA", "QLoRA", "8-bit", "full")
"""Columns; `tests/training/test_every_method.py` tries every one of them with every method."""
SETTINGS = {
    "LoRA": "`adapter: lora`",
    "DoRA": "`adapter: dora`",
    "rsLoRA": "`adapter: rslora`",
    "QLoRA": "`quantize: nf4`, needs bitsandbytes",
    "8-bit": "`quantize: int8`",
    "full": "`adapter: full`",
}
CLAIMS = {
    "CPU": "three steps with finite figures, weights that move with each, shared prefixes computed once",
    "2 ranks": "losses and weights of one process, 1e-5",
    "GPU": "losses of a CPU, 1e-4",
}
"""What passing means, by place."""
REFUSED = (
    ("`dropout` above 0 with a method that compares the model with what it was before training",
     "dropout alone would change the comparison",
     "`test_preference_runs.py::test_what_cannot_work_is_refused_before_it_starts`"),
    ("`method: kto` with wanted answers only, or unwanted ones only", "its loss weighs one kind against the other",
     "the same"),
    ("`shard: fsdp2` with `quantize`", "quantised weights cannot be spread over ranks", "`test_placement.py`"),
    ("a head (classification, regression, reward) on a model that transformers has no classifier of",
     "nobody could load what was trained",
     "`test_heads.py::test_a_model_without_a_classifier_in_transformers_is_refused`"),
    ("adapters on the output layer", "log-probabilities are computed from its weights, not through the module",
     "`test_planning.py::test_what_cannot_work_is_refused_before_it_starts`"),
    ("rows of a kind that a method does not take, or longer than `max_length`", "each is named with file and line",
     "the same"),
)  # fmt: skip


def page(rows_of: Callable[[type[Any], str], list[str]], results: Results) -> str:
    """Return the page.

    Args:
        rows_of: a dataclass of options -> lines of a table.
        results: what `tests/training/test_every_method.py` found; to renew them, on any machine:
            `DIZUO_METHODS_RESULTS=docs/reference/methods.json .venv/bin/python -m pytest
            tests/training/test_every_method.py -m "slow or not slow"`.
    """
    methods = METHODS.all()
    names = tuple(methods)
    parts = [
        "# Training methods",
        "Generated from the code by `make docs`. `train.method` names one; its options stand in the same block of the "
        "recipe.",
        _table(
            ("method", "", "takes rows of", "reads the model before training", "has a head"),
            [(f"`{name}`", _title(name), ", ".join(methods[name].kinds), *_marks(methods[name])) for name in names],
        ),
        "## What was tried",
        "Every method runs over the token tree and padded, with every kind of adapter, in one process and in several: "
        "the loop is written once. ✓ is a test that passed, ◐ one that passed before the method or the test changed, "
        "✗ one that failed, ○ one that is written and was not run.",
        _table(
            ("method", *(f"{name} ({SETTINGS[name]})" for name in ADAPTERS)),
            [(f"`{name}`", *(_cell(results, name, adapter) for adapter in ADAPTERS)) for name in names],
        ),
        _table(
            ("", "test, for each method and adapter", "a pass means", "ran at"),
            [(place, f"`{test}`", CLAIMS[place], _commits(results, place)) for place, test in PLACES.items()],
        ),
        "QLoRA is skipped by these tests where bitsandbytes is not installed.",
        "## What `plan` refuses",
        _table(("what", "why", "test"), REFUSED),
        "## Options",
    ]
    for name in names:
        rows = rows_of(methods[name].Options, "")
        table = "\n".join(["| field | type | default | |", "|---|---|---|---|", *rows]) if rows else "No options."
        parts.append(f"### {name}\n\n{_summary(name)}\n\n{table}")
    return "\n\n".join(parts) + "\n"


def _cell(results: Results, method: str, adapter: str) -> str:
    found = results.get(method, {})
    return ", ".join(
        f"{place} {mark_of(found.get(place, {}).get(adapter), method=method, place=place)}" for place in PLACES
    )


def _commits(results: Results, place: str) -> str:
    """Return the commits that the tests of a place ran at."""
    commits = {result["commit"] for places in results.values() for result in places.get(place, {}).values()}
    return ", ".join(f"`{commit}`" for commit in sorted(commits)) or "not run yet"


def _marks(method: Method) -> tuple[str, str]:
    return "yes" if method.needs_reference else "", "yes" if method.num_outputs is not None else ""


def _title(name: str) -> str:
    return _doc(name).split(":", 1)[0].replace("\n", " ")


def _summary(name: str) -> str:
    """Return the first sentence of a method's docstring, and its formula."""
    first, _, rest = _doc(name).partition("\n\n")
    formula = rest.split("\n\n", 1)[0]
    shown = first.replace("\n", " ")
    return f"{shown}\n\n```text\n{inspect.cleandoc(formula)}\n```" if formula.startswith("    ") else shown


def _doc(name: str) -> str:
    doc = importlib.import_module(f"{METHODS.package}.{name}").__doc__
    assert doc, f"the file of the method {name!r} begins with a docstring: its name, a colon, its idea, its loss"
    return doc


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(["| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *rows)])
