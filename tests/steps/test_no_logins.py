"""A recipe with a user and a password in an address is refused before it is written beside a run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dizuo import recipe as recipes
from dizuo.data.options import PrepareOptions
from dizuo.errors import DizuoError
from dizuo.steps.pipeline import run

RECIPE = "name: r\nselect:\n  model: {model}\nprepare:\n  source: {source}\n  quarantine: {quarantine}\n"
RECIPE += "evaluate:\n  embedder: {embedder}\n"


@pytest.mark.parametrize(
    "address",
    [
        "https://me:{}@host/data.csv", "https://me:a/{}@host/data.csv", "https://me:{} b@host/data.csv",
        "https://host/data.csv?token={}", "https://host/data.csv?pasword={}", "me:{}@host/data.csv",
        "redis://me:{}", "redis://me:/{}/x",
        "me:a/{}@host/data.csv", "s3:me:{}@bucket/x",
    ],
)  # fmt: skip
@pytest.mark.parametrize("field", ["model", "source", "quarantine", "embedder"])
def test_an_address_with_a_login_is_written_nowhere(tmp_path: Path, address: str, field: str) -> None:
    word = f"{os.urandom(6).hex()}Z"
    values = {"model": "nowhere", "source": "data.csv", "quarantine": "bad", "embedder": "auto"}
    values[field] = json.dumps(address.format(word))
    with pytest.raises(DizuoError) as caught:
        run(recipes.from_yaml(RECIPE.format(**values), strict=False), folder=tmp_path / "runs")
    assert word not in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_a_login_anywhere_in_a_recipe_is_named_with_its_line_and_not_shown() -> None:
    word = f"{os.urandom(6).hex()}Z"
    text = RECIPE.format(
        model="m", source=f"[a.csv, 'https://me:{word}@host/b.csv']", quarantine="bad", embedder="auto"
    )
    with pytest.raises(DizuoError) as caught:
        run(recipes.from_yaml(text, strict=False))
    assert "line 5: prepare.source: there is a user and a password in it" in str(caught.value)
    assert word not in str(caught.value)


@pytest.mark.parametrize("value", ["hf:org/{text}@main", "Mail bob@example.org: {text}", "https://x.org/@scope/{text}"])
def test_other_values_with_an_at_sign_are_no_logins(value: str) -> None:
    recipe = recipes.from_yaml(f"name: r\nprepare:\n  input_template: {json.dumps(value)}\n", strict=False)
    assert recipes.bind(PrepareOptions, recipe.section("prepare")).input_template == value
