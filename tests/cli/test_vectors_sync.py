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
    failed = run("sync", index, str(docs), "--embedder", model, "--strict", status=1)
    assert "c.txt is not text in any known encoding" in failed.stderr
    second = run("sync", index, str(docs), "--embedder", model, "--json", status=1)
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


def test_a_file_that_cannot_be_read_is_listed_and_the_rest_is_in(model: str, tmp_path: Path) -> None:
    docs, index = tmp_path / "docs", f"{tmp_path}/index"
    docs.mkdir()
    (docs / "a.txt").write_text("cats sleep")
    (docs / "b.txt").write_bytes(bytes(range(256)))
    (docs / "c.png").write_bytes(b"x")
    for more in ((), ("--skip-unreadable",)):
        result = run("sync", index, str(docs), "--embedder", model, *more, status=1)
        assert "not read: b.txt: b.txt is not text in any known encoding" in result.stdout
        assert "1 entry is not read: 1 .png (c.png)" in result.stderr
    assert "1 unchanged" in result.stdout
    both = CliRunner().invoke(dizuo, ["vectors", "sync", index, str(docs), "--strict", "--skip-unreadable"])
    assert (both.exit_code, "exclude each other" in both.stderr) == (2, True)


def test_an_encoding_is_told_where_it_is_a_guess_and_can_be_named(model: str, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "r.txt").write_bytes("Отпуск составляет".encode("koi8-r"))
    there = ("sync", f"{tmp_path}/index", str(tmp_path / "docs"), "--embedder", model)
    first = run(*there)
    assert first.stderr.count("r.txt: its encoding is not stated; it was read as koi8-r, which is a guess") == 1
    assert "guess" not in run(*there).stderr, "it is told once"
    named = run(*there, "--encoding", "koi8-r")
    assert named.stdout.startswith("0 added, 1 changed")
    assert "guess" not in named.stderr
    assert (
        "there is no encoding 'koi9-r' (did you mean 'koi8-r'?)" in run(*there, "--encoding", "koi9-r", status=1).stderr
    )


def test_a_sync_that_would_remove_everything_asks_or_wants_a_flag(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.txt").write_text("cats sleep")
    there = ("sync", f"{tmp_path}/index", str(docs), "--embedder", model)
    run(*there)
    (docs / "a.txt").unlink()
    refused = run(*there, status=1)
    assert "would remove the only document" in refused.stderr
    assert "--remove-all" in refused.stderr
    assert "1 unchanged" not in run(*there, "--keep").stdout
    assert run(*there, "--remove-all").stdout.startswith("0 added, 0 changed, 1 deleted")
    (docs / "a.txt").write_text("cats sleep")
    run(*there)
    (docs / "a.txt").unlink()
    for answer, status, said in (("n\n", 130, "stopped"), ("y\n", 0, "1 deleted")):
        with monkeypatch.context() as patch:
            patch.setattr("dizuo.cli.vectors.sync.is_at_a_terminal", lambda: True)
            result = CliRunner().invoke(dizuo, ["vectors", *there], input=answer, prog_name="dizuo")
        assert result.exit_code == status, result.output
        assert "would remove the only document" in result.stderr
        assert said in result.output
