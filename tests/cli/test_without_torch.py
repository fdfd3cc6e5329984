"""Where torch is not installed every verb either works or says what to install: `pip install dizuo` is without it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dizuo.cli import VERBS

NEEDS = "needs the package 'torch', which is not installed\n\nhint: pip install \"dizuo[train]\""
WORKS = ""
TABLE: dict[str, tuple[list[str], int, str]] = {
    "run": (["run", "r.yaml"], 1, NEEDS),
    "plan": (["plan", "r.yaml"], 1, NEEDS),
    "doctor": (["doctor", "r.yaml"], 1, NEEDS),
    "select --data": (["select", "--data", "t.csv"], 1, NEEDS),
    "select, a folder": (["select", "model"], 1, 'hint: pip install "dizuo[train]"'),
    "prepare": (["prepare", "t.csv"], 0, "60 kept"),
    "train": (["train", "r.yaml"], 1, NEEDS),
    "evaluate": (["evaluate", "r.yaml"], 1, NEEDS),
    "deploy": (["deploy", "r.yaml"], 1, NEEDS),
    "serve": (["serve", "news"], 1, 'hint: pip install "dizuo[train]"'),
    "chat": (["chat", "news"], 1, NEEDS),
    "vectors sync": (["vectors", "sync", "docs", "index", "--embedder", "universal-sentence-encoder"], 0, "1 added"),
    "vectors search": (["vectors", "search", "index", "我可以休几天假？"], 0, "a.md, characters"),
    "vectors search --words": (["vectors", "search", "index", "年假", "--words"], 0, "a.md, characters"),
    "vectors info": (["vectors", "info", "index"], 0, "SQLite"),
    "vectors copy": (["vectors", "copy", "index", "other"], 0, "the knowledge base 'knowledge' is in other"),
    "vectors, LanceDB": (["vectors", "info", "lancedb://docs"], 1, 'hint: pip install "dizuo[lancedb]"'),
    "vectors, a reranker's model": (["vectors", "search", "index", "x", "--embedder", "model"], 1, "dizuo[train]"),
    "runs": (["runs", "ls"], 0, "prepare"),
    "registry": (["registry", "ls"], 0, WORKS),
    "models": (["models", "ls"], 0, WORKS),
    "cache": (["cache", "ls"], 0, WORKS),
    "recipe": (["recipe", "check", "r.yaml"], 0, WORKS),
}
"""A command of every verb, its status, and what it says."""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("without-torch")
    rows = "\n".join(f"this is text number {n},{'ab'[n % 2]}" for n in range(60))
    (folder / "t.csv").write_text(f"text,label\n{rows}\n")
    (folder / "r.yaml").write_text("name: t\nselect: {model: model}\nprepare: {source: t.csv}\n")
    (folder / "docs").mkdir()
    (folder / "docs" / "a.md").write_text("员工每年享有十五天带薪年假。")
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text('{"model_type": "mpnet", "architectures": ["MPNetModel"]}')
    (folder / "model" / "model.safetensors").write_bytes(b"x")
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("without_torch.py"), folder],
        input=json.dumps([arguments for arguments, *_ in TABLE.values()]), capture_output=True, text=True, check=True,
    )  # fmt: skip
    held = json.loads(done.stdout)
    return {**dict(zip(TABLE, held["done"], strict=True)), "loaded": held["loaded"]}


def test_every_verb_is_in_the_table() -> None:
    assert {arguments[0] for arguments, *_ in TABLE.values()} == set(VERBS)


@pytest.mark.parametrize("name", TABLE)
def test_it_works_or_says_what_to_install(name: str, answers: dict[str, Any]) -> None:
    _, status, message = TABLE[name]
    assert answers[name][0] == status, answers[name][1]
    assert message in answers[name][1]
    assert "a fault in dizuo itself" not in answers[name][1]


def test_nothing_of_it_was_loaded(answers: dict[str, Any]) -> None:
    assert answers["loaded"] == []
