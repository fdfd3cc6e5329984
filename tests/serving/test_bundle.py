"""A bundle holds what it says, and anything else is refused by name."""

# ruff: noqa: E501  (a table is read line by line)

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from serving_models import TASK, model_folder

from dizuo.errors import ServingError
from dizuo.serving.bundle import files as bundles
from dizuo.serving.bundle.files import Bundle


@pytest.fixture
def copy(bundle: Bundle, tmp_path: Path) -> Path:
    shutil.copytree(bundle.folder, tmp_path / "copy")
    return tmp_path / "copy"


def test_a_bundle_has_everything_that_serving_needs(spec: Any, adapter: Path, tmp_path: Path) -> None:
    for name in ("report.json", "card.json", "recipe.yaml"):
        (tmp_path / name).write_text("{}")
    made = bundles.write(
        tmp_path / "out",
        name="news",
        spec=spec,
        adapter=adapter,
        task=TASK,
        max_tokens=12,
        report=tmp_path / "report.json",
        data_card=tmp_path / "card.json",
        recipe=tmp_path / "recipe.yaml",
    )
    assert sorted(path.name for path in made.folder.iterdir()) == [
        "LICENSES", "README.md", "adapter", "bundle.json", "data_card.json", "generation.json", "recipe.yaml",
        "report.json", "task.json", "tokenizer",
    ]  # fmt: skip
    again = bundles.open(made.folder)
    assert again == made
    assert again.task == TASK
    assert again.generation.max_tokens == 12
    assert again.generation.temperature == 0.0
    assert again.base.digest == spec.digest
    assert again.spec().folder == spec.folder
    tok = again.tokenizer()
    assert again.generation.stop_ids == (tok.eos_token_id,)
    assert tok.chat_template
    base = json.loads((made.folder / "bundle.json").read_text())["base"]
    assert (base["folder"], base["licence_files"]) == ("", []), "places on this machine do not travel"


@pytest.mark.parametrize("include", [False, True])
def test_rows_of_the_users_data_travel_only_when_asked(spec: Any, tmp_path: Path, include: bool) -> None:
    secret = "Dear Ms Miller, your account"
    report = {
        "samples": [{"text": secret}],
        "over_time": [{"text": secret, "expected": "a", "answers": []}],
        "changes": {"num_fixed": 3, "num_broken": 1, "fixed": [{"text": secret}], "broken": []},
        "rows": [{"name": "tuned", "score": 0.9}],
    }
    (tmp_path / "report.json").write_text(json.dumps(report))
    card = {
        "name": "tickets",
        "examples": [{"text": secret, "answer": "a"}],
        "ledger": {"read": 3, "kept": 2, "reasons": [{"file": "a.csv", "line": 3, "reason": f"label is {secret!r}"}]},
    }
    (tmp_path / "card.json").write_text(json.dumps(card))
    made = bundles.write(
        tmp_path / "out",
        name="news",
        spec=spec,
        report=tmp_path / "report.json",
        data_card=tmp_path / "card.json",
        include_samples=include,
    )
    assert json.loads((made.folder / "data_card.json").read_text())["ledger"]["read"] == 3
    texts = [path.read_bytes() for path in made.folder.rglob("*") if path.is_file()]
    assert any(secret.encode() in text for text in texts) == include
    kept = json.loads((made.folder / "report.json").read_text())
    assert kept["changes"]["num_fixed"] == 3
    assert kept["rows"] == report["rows"]


def test_a_bundle_of_whole_weights_needs_no_base(spec: Any, tmp_path: Path) -> None:
    weights = model_folder(tmp_path / "tuned", seed=8)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (weights / name).unlink()
    made = bundles.write(tmp_path / "out", name="whole", spec=spec, weights=weights)
    gone = replace(made, base=replace(made.base, source="path/that/is/gone"))
    from dizuo import models

    loaded = models.load(gone.spec())
    assert loaded.module.config.vocab_size == spec.vocab_size


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: _flip(f / "adapter/adapter_model.safetensors"), "adapter/adapter_model.safetensors: its content was changed (SHA-256 differs)"),
        (lambda f: (f / "task.json").write_text("{}"), "task.json: has 2 bytes, not"),
        (lambda f: _flip(f / "tokenizer/chat_template.jinja"), "tokenizer/chat_template.jinja: its content was changed"),
        (lambda f: (f / "generation.json").unlink(), "generation.json: is missing"),
        (lambda f: (f / "adapter/extra.py").write_text("boom"), "adapter/extra.py: does not belong to it"),
        (lambda f: _link(f / "README.md"), "README.md: is a link"),
        (lambda f: (f / "bundle.json").unlink(), "is no bundle: it has no bundle.json"),
        (lambda f: (f / "bundle.json").write_text("{"), "bundle.json cannot be read"),
        (lambda f: (f / "bundle.json").write_text("[]"), "is damaged: it lists no files or no base model"),
        (lambda f: _newer(f / "bundle.json"), "has bundle format 99; this dizuo reads format 1"),
    ],
)  # fmt: skip
def test_a_bundle_that_was_changed_is_refused_and_the_file_is_named(copy: Path, damage: Any, words: str) -> None:
    bundles.open(copy)
    damage(copy)
    with pytest.raises(ServingError) as caught:
        bundles.open(copy)
    assert words in str(caught.value)
    assert "hint: " in str(caught.value) or "cannot be read" in words or "damaged" in words


def _flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)


def _link(path: Path) -> None:
    elsewhere = path.parent.parent / "elsewhere"
    path.rename(elsewhere)
    os.symlink(elsewhere, path)


def _newer(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))


def test_a_bundle_may_carry_its_base_and_is_then_served_anywhere(adapter: Path, tmp_path: Path) -> None:
    from dizuo import models

    folder = model_folder(tmp_path / "base")
    (folder / "diary.docx").write_text("a file of the user's")
    (folder / "notes").mkdir()
    made = bundles.write(tmp_path / "out", name="news", spec=models.inspect(folder), adapter=adapter, include_base=True)
    shutil.rmtree(folder)
    shutil.move(made.folder, tmp_path / "elsewhere")
    moved = bundles.open(tmp_path / "elsewhere")
    loaded = models.load(moved.spec())
    assert models.adapters.load(loaded, tmp_path / "elsewhere" / "adapter") is not None
    assert not (tmp_path / "elsewhere" / "base" / "diary.docx").exists()
    assert models.inspect(tmp_path / "elsewhere" / "base").parameters == made.base.parameters


def test_a_base_that_is_a_path_of_another_machine_is_said_to_be(adapter: Path, tmp_path: Path) -> None:
    from dizuo import models

    folder = model_folder(tmp_path / "base")
    made = bundles.write(tmp_path / "out", name="news", spec=models.inspect(folder), adapter=adapter)
    shutil.rmtree(folder)
    with pytest.raises(ServingError) as caught:
        bundles.open(made.folder).spec()
    assert caught.value.message == f"news was trained on a model that is not on this machine: {folder}"
    assert "include_base" in (caught.value.hint or "")


def test_another_model_at_the_address_of_the_base_is_refused(spec: Any, adapter: Path, tmp_path: Path) -> None:
    from dizuo import models

    folder = model_folder(tmp_path / "base")
    made = bundles.write(tmp_path / "out", name="news", spec=models.inspect(folder), adapter=adapter)
    shutil.rmtree(folder)
    model_folder(folder, seed=99)
    with pytest.raises(ServingError, match="is not the model that news was trained on"):
        made.spec()


def test_pickles_and_missing_inputs_are_refused_and_leave_nothing(spec: Any, adapter: Path, tmp_path: Path) -> None:
    shutil.copytree(adapter, tmp_path / "bad")
    (tmp_path / "bad" / "training_args.bin").write_bytes(b"\x80")
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    with pytest.raises(ServingError, match="is a pickle"):
        bundles.write(out, name="news", spec=spec, adapter=tmp_path / "bad")
    with pytest.raises(ServingError, match="holds no safetensors file"):
        bundles.write(out, name="news", spec=spec, adapter=tmp_path / "empty")
    with pytest.raises(ServingError, match="does not exist"):
        bundles.write(out, name="news", spec=spec, adapter=tmp_path / "nowhere")
    with pytest.raises(ServingError, match="is not a valid model name"):
        bundles.write(out, name="../news", spec=spec, adapter=adapter)
    assert not out.exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_the_card_shows_how_to_ask(bundle: Bundle) -> None:
    text = (bundle.folder / "README.md").read_text()
    assert text.startswith("# news\n\nA LoRA adapter on `tiny-llama`")
    assert TASK.instruction in text
    assert "dizuo serve news" in text
    assert "/v1/classify" in text
    block = text.split("-d '")[1].split("'\n```")[0]
    request = json.loads(block)
    assert request["messages"][0]["content"].startswith(TASK.instruction + "\n\n")
