"""A model with a head goes the same five steps, loads in transformers unchanged, and is served as it was scored."""

from __future__ import annotations

import asyncio
import csv
import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from steps_samples import write_rows

import dizuo
from dizuo import recipe
from dizuo.data import open as open_dataset
from dizuo.errors import ServingError
from dizuo.evaluation import Report
from dizuo.models import adapters, heads, inspect, load, merging, quantization
from dizuo.models.heads import Head
from dizuo.steps.pipeline import Outcome

bitsandbytes = pytest.mark.skipif(
    quantization.find_fault("nf4") is not None, reason=str(quantization.find_fault("nf4"))
)
KINDS = [
    ("lora", "none"),
    ("full", "none"),
    ("dora", "none"),
    ("rslora", "none"),
    ("lora", "int8"),
    pytest.param("lora", "nf4", marks=bitsandbytes),
]
IN_TRANSFORMERS = """
import json, sys, torch
from peft import PeftModel
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification
folder, base, ids, out, labels = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4], int(sys.argv[5])
if base:
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=labels)
    model = PeftModel.from_pretrained(model, folder)
else:
    model, report = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
    assert model.config.id2label == {0: "fruit", 1: "metal"}, model.config.id2label
model.eval()
with torch.no_grad():
    alone = torch.cat([model(torch.tensor([row])).logits for row in ids])
    longest, pad = max(map(len, ids)), model.config.pad_token_id
    padded = torch.tensor([row + [pad] * (longest - len(row)) for row in ids])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids])
    batched = model(padded, attention_mask=mask).logits
save_file({"alone": alone.contiguous(), "batched": batched.contiguous()}, out)
"""


def go(*overrides: str) -> Outcome:
    wanted = (
        "train.method=classification",
        "train.epochs=5",
        "train.batch_size=4",
        "train.head_learning_rate=0.01",  # below it are random weights, from which a slow head learns little
        "prepare.validation=20",
        *overrides,
    )
    return dizuo.run(recipe.read("tiny.yaml", overrides=wanted, strict=False), until="deploy")


@pytest.fixture(scope="module")
def outcomes(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Runs by kind of adapter, each made once, with a working folder of their own."""
    known: dict[tuple[str, str], tuple[Path, Outcome]] = {}
    with pytest.MonkeyPatch.context() as patch:

        def make(adapter: str, quantize: str = "none") -> tuple[Path, Outcome]:
            if (adapter, quantize) not in known:
                patch.setenv("DIZUO_HOME", str(tmp_path_factory.mktemp("home")))
                work = tmp_path_factory.mktemp("heads") / "work"
                shutil.copytree(made, work)
                strengthen(work / "model")
                write_rows(work / "rows.csv", rows=240)
                patch.chdir(work)
                rate = 0.001 if adapter == "full" else 0.003
                outcome = go(f"train.adapter={adapter}", f"train.quantize={quantize}", f"train.learning_rate={rate}")
                known[adapter, quantize] = (work, outcome)
            return known[adapter, quantize]

        yield make


def strengthen(model: Path) -> None:
    """Make a random model's weights larger: what it read must show in its last state, or a head has nothing to see."""
    path = model / "model.safetensors"
    tensors = {name: value * 10 if value.ndim == 2 else value for name, value in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})


def trained_folder(work: Path) -> Path:
    run = work / "runs" / "tiny" / "3-train"
    return run / "model" if (run / "model").is_dir() else run / "adapter"


def golden(folder: Path) -> list[dict[str, Any]]:
    value: list[dict[str, Any]] = json.loads((folder / "golden.json").read_text("utf-8"))
    return value


def in_transformers(folder: Path, base: str, ids: list[list[int]], out: Path) -> dict[str, torch.Tensor]:
    subprocess.run(
        [sys.executable, "-c", IN_TRANSFORMERS, str(folder), base, json.dumps(ids), str(out), "2"],
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(load_file(out))


@pytest.mark.slow
@pytest.mark.parametrize(("adapter", "quantize"), KINDS)
def test_it_learns_and_what_is_served_is_what_was_scored(outcomes: Any, adapter: str, quantize: str) -> None:
    work, outcome = outcomes(adapter, quantize)
    report = Report.open(work / "runs" / "tiny" / "4-evaluate")
    tuned, served = report.tuned, report.row("served")
    assert tuned is not None
    assert served is not None
    assert tuned.score > 0.95
    assert tuned.score > report.untuned.score
    assert served.metrics["largest difference from as scored"] < 1e-4
    assert report.reliability["tuned"].ece >= 0
    assert tuned.metrics["temperature that validation rows ask for"] > 0
    assert report.confusion["tuned"].matrix
    assert str(outcome.release) == "things@1"

    from dizuo.serving.bundle import files as bundles
    from dizuo.serving.opening import open_service

    service = open_service(bundles.open(work / "runs" / "tiny" / "5-deploy" / "bundle"))
    try:
        head = heads.read(trained_folder(work))
        assert head is not None
        for one in golden(trained_folder(work)):
            found = asyncio.run(service.classify(one["text"]))
            expected = head.probabilities(np.array([one["outputs"]], np.float32))[0]
            assert [found.probabilities[label] for label in head.facts.labels] == pytest.approx(expected, abs=1e-5)
            assert sum(found.probabilities.values()) == pytest.approx(1.0)
    finally:
        service.close()


@pytest.mark.slow
@pytest.mark.parametrize(("adapter", "quantize"), KINDS[:4])
def test_transformers_and_peft_load_it_unchanged_in_a_new_process(
    outcomes: Any, tmp_path: Path, adapter: str, quantize: str
) -> None:
    work, _ = outcomes(adapter, quantize)
    folder = trained_folder(work)
    ours = golden(folder)
    ids = [one["ids"] for one in ours]
    expected = torch.tensor([one["outputs"] for one in ours])
    assert float(expected.abs().max()) > 0.1, "the head is still zero"
    base = "" if adapter == "full" else str(work / "model")
    theirs = in_transformers(folder, base, ids, tmp_path / "out")
    assert (theirs["alone"] - expected).abs().max() < 1e-5
    assert (theirs["batched"] - expected).abs().max() < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(("adapter", "quantize"), [KINDS[0], KINDS[2], KINDS[4]])
def test_merged_with_its_head_it_is_a_classifier_of_transformers(
    outcomes: Any, tmp_path: Path, adapter: str, quantize: str
) -> None:
    work, _ = outcomes(adapter, quantize)
    folder = trained_folder(work)
    model = load(inspect(work / "model"), quantize=quantize)
    module = adapters.load(model, folder)
    head = heads.read(folder)
    assert isinstance(head, Head)
    merging.save_merged(
        module, tmp_path / "merged", tokenizer=model.tokenizer, head=(torch.from_numpy(head.weight), head.facts)
    )
    ours = golden(folder)
    theirs = in_transformers(tmp_path / "merged", "", [one["ids"] for one in ours], tmp_path / "out")
    assert (theirs["alone"] - torch.tensor([one["outputs"] for one in ours])).abs().max() < 1e-4


@pytest.mark.slow
def test_a_head_that_is_not_the_trained_one_is_not_served(outcomes: Any, tmp_path: Path) -> None:
    from dizuo.serving.bundle import files as bundles
    from dizuo.serving.opening import open_service

    work, _ = outcomes("lora")
    spec = inspect(work / "model")
    data = open_dataset(work / "runs" / "tiny" / "2-prepare")
    folder = tmp_path / "adapter"
    shutil.copytree(trained_folder(work), folder)
    good = bundles.write(tmp_path / "good", name="things", spec=spec, adapter=folder, task=data.task)
    open_service(good).close()

    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    changed = {name: value * 1.05 if name.endswith("score.weight") else value for name, value in tensors.items()}
    save_file(changed, path, metadata={"format": "pt"})
    bad = bundles.write(tmp_path / "bad", name="things", spec=spec, adapter=folder, task=data.task)
    with pytest.raises(ServingError, match="the served model differs from the trained one by"):
        open_service(bad)

    save_file(tensors, path, metadata={"format": "pt"})
    other = dataclasses.replace(data.task, instruction="metal or fruit?")
    asked = bundles.write(tmp_path / "asked", name="things", spec=spec, adapter=folder, task=other)
    with pytest.raises(ServingError, match="what is asked here is not what was asked in training"):
        open_service(asked)

    facts = json.loads((folder / "head.json").read_text())
    (folder / "head.json").write_text(json.dumps({**facts, "template": "sha256:0"}))
    template = bundles.write(tmp_path / "template", name="things", spec=spec, adapter=folder, task=data.task)
    with pytest.raises(ServingError, match="was trained with another chat template than the bundle has"):
        open_service(template)


@pytest.mark.slow
def test_the_gateway_classifies_and_refuses_to_chat(outcomes: Any) -> None:
    import httpx

    from dizuo.serving.bundle import files as bundles
    from dizuo.serving.gateway.application import Gateway, build_application
    from dizuo.serving.gateway.security import Gatekeeper
    from dizuo.serving.opening import open_service
    from dizuo.serving.options import ServeOptions

    work, _ = outcomes("lora")
    service = open_service(bundles.open(work / "runs" / "tiny" / "5-deploy" / "bundle"))
    options = ServeOptions()
    gateway = Gateway({"things": service}, options, Gatekeeper({}, options))

    async def ask() -> tuple[httpx.Response, httpx.Response]:
        transport = httpx.ASGITransport(app=build_application(gateway))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            rows = ["the apple number 1 is a kind of", "the iron number 2 is a kind of"]
            one = await client.post("/v1/classify", json={"model": "things", "input": rows})
            messages = [{"role": "user", "content": "hi"}]
            return one, await client.post("/v1/chat/completions", json={"model": "things", "messages": messages})

    try:
        classified, chat = asyncio.run(ask())
    finally:
        service.close()
    assert classified.status_code == 200, classified.text
    assert [entry["label"] for entry in classified.json()["data"]] == ["fruit", "metal"]
    assert chat.status_code == 422
    assert chat.json()["error"]["code"] == "not_a_chat_model"


@pytest.mark.slow
def test_a_regression_is_reported_with_its_errors_and_served_with_its_number(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dizuo.serving.bundle import files as bundles
    from dizuo.serving.opening import open_service

    work = tmp_path / "work"
    shutil.copytree(made, work)
    strengthen(work / "model")
    write_rows(work / "rows.csv", rows=240)
    monkeypatch.chdir(work)
    monkeypatch.setenv("DIZUO_HOME", str(tmp_path / "home"))
    rows = list(csv.reader((work / "rows.csv").read_text("utf-8").splitlines()))[1:]
    lines = ["text,label"]
    lines += [
        f"{text},{(3.0 if label == 'fruit' else -1.0) + number % 3 / 10}" for number, (text, label) in enumerate(rows)
    ]
    (work / "rows.csv").write_text("\n".join(lines) + "\n", "utf-8")
    outcome = go(
        "train.method=regression", "train.adapter=lora", "train.learning_rate=0.003", "prepare.instruction=how much?"
    )
    report = Report.open(work / "runs" / "tiny" / "4-evaluate")
    tuned = report.tuned
    assert tuned is not None
    assert report.metric == "R²"
    assert report.kind == "regression"
    assert report.untuned.score < 0.1
    assert tuned.score > 0.9
    assert tuned.metrics["MAE, low"] <= tuned.metrics["MAE"] <= tuned.metrics["MAE, high"] < 0.5
    assert tuned.metrics["Spearman"] > 0.7
    assert report.row("tfidf_ridge").score > 0.5
    assert report.row("served").metrics["MAE"] < 0.6
    assert str(outcome.release) == "things@1"
    service = open_service(bundles.open(work / "runs" / "tiny" / "5-deploy" / "bundle"))
    try:
        found = asyncio.run(service.classify("the apple number 1 is a kind of"))
    finally:
        service.close()
    assert found.value == pytest.approx(3.1, abs=0.6)
    assert found.probabilities == {}
