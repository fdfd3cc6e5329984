"""A tiny real model and a small real file for the tests of steps and verbs."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CUES = {"fruit": ("apple", "pear", "plum", "cherry"), "metal": ("iron", "zinc", "gold", "copper")}


def write_model(folder: Path, *, template: str = TEMPLATE, context: int = 128, added: tuple[str, ...] = ()) -> Path:
    """Write a random Llama of 2 layers and hidden size 32.

    Args:
        folder: where.
        template: its chat template.
        context: tokens that it reads.
        added: tokens that its tokenizer has beyond its embedding.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    words = " ".join(word for cues in CUES.values() for word in cues) + " fruit metal the is a kind of"
    backend.train_from_iterator(
        [words, f" {words}"] * 4,
        trainers.BpeTrainer(
            vocab_size=340,
            special_tokens=SPECIAL,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=SPECIAL[1], eos_token=SPECIAL[2], pad_token=SPECIAL[2], unk_token=SPECIAL[0]
    )
    tokenizer.chat_template = template
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.add_tokens(list(added))
    tokenizer.save_pretrained(folder)
    return folder


def write_encoder(folder: Path, *, like: Path, seed: int = 0) -> Path:
    """Write a random BERT with another model's tokenizer."""
    import torch
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(like)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_rows(path: Path, *, rows: int = 120, seed: int = 0) -> Path:
    """Write a CSV of texts whose label is decided by one word in them."""
    rng = random.Random(seed)
    lines = ["text,label"]
    for number in range(rows):
        label = ("fruit", "metal")[number % 2]
        lines.append(f"the {rng.choice(CUES[label])} number {number} is a kind of,{label}")
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


RECIPE = """name: tiny
seed: 3
select:
  model: model
prepare:
  source: rows.csv
  instruction: "fruit or metal?"
  test: 40
train:
  epochs: 2
  adapter: full
  learning_rate: 0.005
evaluate:
  served_items: 4
  five_shot_items: 4
  curve: false
  require: {better_than_untuned: false}
deploy:
  name: things
"""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, rows and a recipe."""
    folder = tmp_path_factory.mktemp("made")
    write_model(folder / "model")
    write_rows(folder / "rows.csv")
    (folder / "tiny.yaml").write_text(RECIPE)
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of one's own with all of that, and a home of one's own."""
    work = tmp_path / "work"
    shutil.copytree(made, work)
    monkeypatch.chdir(work)
    monkeypatch.setenv("DIZUO_HOME", str(tmp_path / "home"))
    return work
