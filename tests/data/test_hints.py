"""Following a hint helps: every case that is refused is prepared after its hints were followed, and nothing is worse.

A hint is followed as a person would: what it says to set is set, corrected lines are pasted over the refused ones, bad
rows are set aside. Classes that no row had before must not appear.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from dizuo.data import Dataset, PrepareOptions, prepare
from dizuo.errors import DataError

ROOT = Path(__file__).parents[2]
SETTINGS = ("ignore", "missing", "spellings", "label_separator", "as_chat", "format", "header")
BY_HAND: dict[str, dict[str, Any]] = {
    "spam_like.csv": {"text_column": "v2", "label_column": "v1"},  # "name them: text_column and label_column"
    "tiny2.jsonl": {"test": 0},  # "a smaller test, as in test: 0"
}
"""What a hint leaves to the person who knows the data."""


def cases() -> list[str]:
    shared = os.environ.get("DIZUO_SHARED_DATA")
    folder = Path(shared).parent / "cases" / "data" if shared else ROOT.parent / "shared" / "cases" / "data"
    return sorted(str(entry) for entry in folder.iterdir()) if folder.is_dir() else []


def follow(error: DataError, path: Path, options: dict[str, Any], hand: dict[str, Any]) -> dict[str, Any]:
    """Return the options after a hint, and write what it says to paste."""
    hint = error.hint or ""
    corrected = [line.partition("corrected: ")[2] for line in error.details if "corrected: " in line]
    if corrected:
        path.write_text(_pasted(path, error.details, corrected), "utf-8")
        return options
    first = next((name for name in SETTINGS if f"{name}: " in hint), None)
    if first is not None:
        flat = {name: setting for name in SETTINGS if (setting := _setting(hint, name)) is not None}
        ways = {name: value for name, value in flat.items() if name == first or first not in ("as_chat", "format")}
        return {**options, **ways}
    if "--quarantine" in hint:
        return {**options, "quarantine": str(path.parent / "bad.jsonl")}
    assert hand, f"{path.name}: nothing of this hint can be followed: {hint}"
    return {**options, **hand}


def _setting(hint: str, name: str) -> Any:
    match = re.search(rf"{name}: (\[.*?\]|{{.*?}}|\"[^\"]*\"|\w+)", hint)
    if match is None:
        return None
    value = yaml.safe_load(match[1])
    return tuple(value) if isinstance(value, list) else value


def _pasted(path: Path, details: tuple[str, ...], corrected: list[str]) -> str:
    lines = path.read_text("utf-8").splitlines()
    if not any(line.startswith("line ") for line in details):  # only the first row is shown; the others are alike
        rows = [json.loads(line) for line in lines] if path.suffix == ".jsonl" else []
        like = json.loads(corrected[0])
        texts = [{key: str(v).lower() if type(like[key]) is str else v for key, v in row.items()} for row in rows]
        return "\n".join(map(json.dumps, texts)) if rows else "\n".join(corrected * 3)
    numbers = [int(line.split(":")[0].removeprefix("line ").replace(",", "")) for line in details if "line " in line]
    for number, line in zip(numbers, corrected, strict=True):
        lines[number - 1] = line
    return "\n".join(lines)


def labels_of(data: Dataset) -> set[str]:
    return set(data.task.labels) if data.task is not None else set()


@pytest.mark.parametrize("case", cases(), ids=lambda case: Path(case).name)
def test_hints_that_are_followed_lead_to_a_data_set(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / Path(case).name
    (shutil.copytree if Path(case).is_dir() else shutil.copy)(case, path)
    if path.name == "messages_in_csv.csv":
        pytest.skip("its corrected rows are JSON lines: the person converts the file")
    options: dict[str, Any] = {}
    met: list[str] = []
    for attempt in range(4):
        try:
            data = prepare(path.name, tmp_path / f"out{attempt}", options=PrepareOptions(**options))
        except DataError as error:
            if str(error) in met:
                pytest.fail(f"the hint changed nothing: {error}")
            met.append(str(error))
            options = follow(error, path, options, BY_HAND.get(path.name, {}))
        else:
            break
    else:
        pytest.fail(f"still refused: {met[-1]}")
    assert len(data.train) > 0
    assert not labels_of(data) & {"text", "label", "v1", "v2", "nan", "None", "NA", "NULL", "0.0", "1.0"}
