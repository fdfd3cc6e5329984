"""Contracts between rooms are types: what a room exports says what it takes and returns."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TRAINING = ROOT / "src" / "dizuo" / "training"
ROOMS = (
    "artifacts", "data", "engines", "evaluation", "events", "models", "pages", "recipe", "records", "serving",
    "training", "training.doctor", "training.launchers", "training.method", "training.methods", "training.trackers",
    "trees", "vectors", "vectors.embedders", "vectors.rerankers", "vectors.stores",
)  # fmt: skip
OPEN = re.compile(r"\b(Any|object)\b")
MAPPING = re.compile(r"\b(Mapping|dict)\[str, (Any|object|Json)\]|\bJsonObject\b")

READS_JSON = {"from_json"}
"""Methods that read what a file holds, which may be anything, and refuse what does not fit."""
MEANT = {
    "recipe.bind_all": "binds any dataclass of options",
    "recipe.block": "takes keyword arguments of a call in Python, checked when they are bound",
    "recipe.describe": "describes any dataclass of options",
    "recipe.origins": "looks at any dataclass of options",
    "recipe.override": "takes a value from the command line, checked when it is bound",
    "recipe.schema": "describes any dataclass of options",
    "training.method.MethodOptions": "is any dataclass of options",
    "vectors.Hit": "holds users' metadata, which they read without asking for types",
    "vectors.Point": "holds users' metadata",
    "vectors.connect_async": "hands everything on to connect, whose arguments are typed",
    "vectors.embedders.open_embedder": "hands options on to a plugin, which refuses those that it does not have",
    "vectors.rerankers.open_reranker": "hands options on to a plugin, which refuses those that it does not have",
}
"""What is open on purpose, and why."""


def annotations(room: str) -> Iterator[tuple[str, str]]:
    """Yield name and annotation of all that a room exports: arguments, results, fields, methods."""
    module = importlib.import_module(f"dizuo.{room}")
    for name in getattr(module, "__all__", ()):
        value = getattr(module, name)
        if inspect.isfunction(value):
            yield from ((f"{room}.{name}", str(text)) for text in value.__annotations__.values())
        elif inspect.isclass(value):
            yield from ((f"{room}.{name}", str(text)) for text in vars(value).get("__annotations__", {}).values())
            for member, item in vars(value).items():
                function = item.fget if isinstance(item, property) else getattr(item, "__func__", item)
                seen = member == "__call__" or not (member.startswith("_") or member in READS_JSON)
                if inspect.isfunction(function) and seen:
                    yield from ((f"{room}.{name}.{member}", str(t)) for t in function.__annotations__.values())


@pytest.mark.parametrize("room", ROOMS)
def test_nothing_open_stands_in_a_contract_between_rooms(room: str) -> None:
    found = list(annotations(room))
    open_ones = {name for name, text in found if OPEN.search(text)}
    assert not {name for name in open_ones if not any(name == one or name.startswith(f"{one}.") for one in MEANT)}


def test_what_is_open_on_purpose_is_still_open() -> None:
    found = {name for room in ROOMS for name, text in annotations(room) if OPEN.search(text)}
    assert not [meant for meant in MEANT if not any(name == meant or name.startswith(f"{meant}.") for name in found)]


FILES_AS_JSON = {
    "Checkpoints", "Counts", "Ended", "Estimates", "Facts", "Machine",
    "Measured", "Metrics", "Plan", "Request", "Run", "Settings",
    "Snapshot", "State",
}  # fmt: skip
"""Classes that are written to files as JSON objects, and read back."""


def test_no_function_of_training_takes_or_returns_a_mapping_of_settings() -> None:
    """A value travels typed: what is a JSON object in a file is one only where that file is written or read."""
    found = []
    for path in sorted(TRAINING.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        owners = {
            id(item): node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for item in node.body
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef) or owners.get(id(node)) in FILES_AS_JSON:
                continue
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            texts = [ast.unparse(part) for part in (*(a.annotation for a in arguments), node.returns) if part]
            if any(MAPPING.search(text) for text in texts):
                found.append(f"{path.relative_to(TRAINING)}:{node.name}")
    assert sorted(found) == MAPPINGS_OF_OTHER_THINGS


MAPPINGS_OF_OTHER_THINGS = [
    "building/network.py:_golden_outputs",  # golden.json
    "checkpoints.py:capture_random_state",  # what random generators say of themselves
    "checkpoints.py:restore_random_state",
    "launchers/torchrun.py:_event",  # lines that ranks write
    "launchers/torchrun.py:_fault",
    "launchers/torchrun.py:_read",
    "planning/costs.py:_without_none",
    "planning/options.py:as_dict",  # the request as JSON
    "planning/snapshot.py:_differences",
    "planning/snapshot.py:_object",
    "ranks/group.py:agree",  # digests and versions
    "ranks/worker.py:_say",
    "stepping/stepper.py:_groups",  # AdamW's parameter groups
    "stepping/stepper.py:_optimizer",
    "trackers/__init__.py:settings_of",  # what a tracker shows, at the edge to another project
]
"""Functions with string-keyed mappings that hold no settings, or that stand at an edge."""
