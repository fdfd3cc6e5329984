"""`dizuo vectors sync` on a small folder, with a tiny random encoder and LanceDB."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dizuo.cli import dizuo

pytest.importorskip("lancedb")
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "days", "of", "leave", "cats", "sleep", "数"]


@pytest.fixture
def model(tmp_path: Path) -> str:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    module: Any = BertModel(BertConfig(vocab_size=len(WORDS), **sizes, max_position_embeddings=32))
    module.save_pretrained(tmp_path / "model")
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(tmp_path / "model" / "tokenizer.json"))
    return str(tmp_path / "model")


def run(*arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(dizuo, ["vectors", *arguments], prog_name="dizuo")
    assert result.exit_code == status, result.output
    return result


def test_a_folder_is_synced_again_and_again_and_searched(model: str, tmp_path: Path) -> None:
    docs, index = tmp_path / "docs", f"{tmp_path}/index"
    docs.mkdir()
    (docs / "a.md").write_text("# Leave\n\nThirty days of leave.\n")
    (docs / "b.txt").write_text("cats sleep")
    first = run("sync", index, str(docs), "--embedder", model).stdout
    assert first == "2 added, 0 changed, 0 deleted, 0 unchanged; 2 chunks embedded\n"
    (docs / "b.txt").unlink()
    (docs / "c.txt").write_bytes(bytes(range(256)))
    failed = run("sync", index, str(docs), "--embedder", model, status=1)
    assert "c.txt is not text in any known encoding" in failed.stderr
    second = run("sync", index, str(docs), "--embedder", model, "--skip-unreadable", "--json", status=1)
    done = json.loads(second.stdout)
    assert (done["deleted"], done["unchanged"], list(done["failed"])) == (["b.txt"], 1, ["c.txt"])
    shown = run("search", index, "days of leave", "--collection", "knowledge.g1", "--embedder", model, "--json").stdout
    hit = json.loads(shown)["hits"][0]
    assert hit["metadata"]["source"] == "a.md"
    assert hit["metadata"]["headings"] == ["Leave"]


def test_a_knowledge_base_keeps_its_sizes(model: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("cats sleep")
    run("sync", f"{tmp_path}/index", str(tmp_path / "a.txt"), "--embedder", model, "--size", "16", "--overlap", "0")
    again = run("sync", f"{tmp_path}/index", str(tmp_path / "a.txt"), "--embedder", model, "--size", "8", status=1)
    assert "has chunks of 16 with overlap 0, not size 8" in again.stderr


def test_what_is_not_read_of_a_file_is_shown_and_in_the_json(model: str, tmp_path: Path) -> None:
    pytest.importorskip("selectolax")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.html").write_text("<p>cats sleep<div hidden>days of leave</div>")
    result = run("sync", f"{tmp_path}/index", str(tmp_path / "docs"), "--embedder", model, "--json")
    assert "a.html: not read: hidden elements (1)" in result.stderr
    assert json.loads(result.stdout)["left_out"] == {
        "a.html": [{"kind": "hidden elements", "count": 1, "where": "", "hint": ""}]
    }
