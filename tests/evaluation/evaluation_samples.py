"""Tiny real models and data sets for evaluation tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dizuo.data import Dataset, Task
from dizuo.data import open as open_dataset
from dizuo.data.dataset import SplitWriter
from dizuo.models.heads import HeadFacts
from dizuo.records import Chat, Example, Labelled, Message, Origin, Preference, with_identity

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WORDS = {
    "money": ["bank", "profit", "shares", "market", "price", "trade", "growth", "firm"],
    "sport": ["match", "goal", "team", "coach", "league", "season", "win", "player"],
    "music": ["song", "band", "album", "singer", "concert", "stage", "chart", "guitar"],
}
COMMON = ["the", "new", "a", "said", "last", "year", "of", "with", "more", "after", "they", "is"]
LABELS = tuple(sorted(WORDS))


def write_model(folder: Path, *, seed: int = 0, context: int = 512) -> Path:
    """Write a random Llama of 2 layers and hidden size 48 with a byte-level tokenizer."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    from transformers.utils import logging

    logging.disable_progress_bar()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(
        [" ".join([*COMMON, *LABELS, *(word for words in WORDS.values() for word in words)])], trainer
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|im_end|>"
    )
    fast.chat_template = CHATML
    config = LlamaConfig(
        vocab_size=len(fast), hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=context, tie_word_embeddings=True, bos_token_id=1,
        eos_token_id=2, pad_token_id=2,
    )  # fmt: skip
    torch.manual_seed(seed)
    module = LlamaForCausalLM(config)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(3)  # away from the uniform distribution, so that differences show
    module.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def random_adapter(spec: Any, run: Path) -> Path:
    """Write a random adapter and the metrics of the run that could have made it."""
    import torch

    from dizuo import models
    from dizuo.models import adapters

    model = models.load(spec)
    wrapped = adapters.add_lora(model, rank=4, alpha=8, seed=1)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.4, generator=generator)
    adapters.save(wrapped, run / "adapter")
    lines = [{"step": step, "loss": 2.0 / step, "seconds": 0.5} for step in range(1, 9)]
    lines += [
        {"step": 4, "validation_loss": 0.7, "seconds": 0.25},
        {"step": 8, "validation_loss": 0.4, "seconds": 0.25},
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 9, "lo')
    return run / "adapter"


def labelled(count: int, *, seed: int = 0, strength: float = 0.5) -> list[Example]:
    """Return rows of 8 words, each of which gives the label away with some probability."""
    random = np.random.default_rng(seed)
    rows: list[Example] = []
    for number in range(count):
        label = LABELS[int(random.integers(len(LABELS)))]
        words = [
            WORDS[label][int(random.integers(8))] if random.random() < strength else COMMON[int(random.integers(12))]
            for _ in range(8)
        ]
        text = f"{' '.join(words)} {number}"
        rows.append(with_identity(Labelled(text, (label,), origin=Origin("news.csv", number + 2))))
    return rows


def questions(count: int, *, seed: int = 0) -> list[Example]:
    """Return conversations that ask to copy two words."""
    random = np.random.default_rng(seed)
    rows: list[Example] = []
    for number in range(count):
        words = [COMMON[int(random.integers(12))] for _ in range(2)]
        asked = f"repeat {' '.join(words)} {number}"
        chat = Chat(
            (Message("user", asked), Message("assistant", " ".join(words))), origin=Origin("qa.jsonl", number + 1)
        )
        rows.append(with_identity(chat))
    return rows


def severally(count: int) -> list[Example]:
    """Return rows with one, two or three labels."""
    rows = [Labelled(f"the new band {i}", LABELS[: 1 + i % 3], origin=Origin("m.csv", i)) for i in range(count)]
    return [with_identity(row) for row in rows]


def with_numbers(count: int) -> list[Labelled]:
    """Return rows whose label is a number that grows with the text's length."""
    rows = [row for row in labelled(count) if isinstance(row, Labelled)]
    return [
        with_identity(Labelled(row.text, (str(len(row.text) + i % 3),), origin=row.origin))  # type: ignore[misc]
        for i, row in enumerate(rows)
    ]


def pairs(count: int) -> list[Example]:
    """Return pairs of which now the longer answer is the better one, now the shorter."""
    money, sport = WORDS["money"], WORDS["sport"]
    rows: list[Example] = []
    for n in range(count):
        long = " ".join(money[(n + k) % 8] for k in range(4 + n % 3))
        short = " ".join(sport[(n + k) % 8] for k in range(1 + n % 2))
        chosen, rejected = (long, short) if n % 3 else (short, long)
        prompt = (Message("user", f"{money[n % 8]} {n}"),)
        pair = Preference(
            prompt, (Message("assistant", chosen),), (Message("assistant", rejected),), origin=Origin("p.jsonl", n + 1)
        )
        rows.append(with_identity(pair))
    return rows


def headed(spec: Any, run: Path, facts: HeadFacts) -> Path:
    """Write an adapter that does nothing with a random head, where a run would leave it."""
    import torch

    from dizuo import models
    from dizuo.models import adapters

    module = adapters.add_lora(models.load(spec), rank=2, alpha=4, seed=1)
    weight = torch.randn(facts.num_outputs, 48, generator=torch.Generator().manual_seed(3)) * 0.5
    adapters.save(module, run / "adapter", head=(weight, facts))
    return run / "adapter"


def write_encoder(folder: Path) -> Path:
    """Write a random BERT with a word-level tokenizer."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    known = sorted({word for words in WORDS.values() for word in words} | set(COMMON))
    vocabulary = {word: place for place, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *known])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def write_data(
    folder: Path,
    *,
    train: Sequence[Example] | None = None,
    test: Sequence[Example] | None = None,
    task: Task | None = None,
) -> Dataset:
    """Write a data set; news of three labels unless rows are given."""
    rows = {"train": list(labelled(120) if train is None else train), "validation": []}
    rows["test"] = list(labelled(40, seed=1) if test is None else test)
    for name, examples in rows.items():
        with SplitWriter(folder / f"{name}.arrow", kind=type(rows["train"][0])) as writer:
            writer.write(examples)
    task = task or Task("classification", "Which section is this?", LABELS)
    (folder / "task.json").write_text(json.dumps(task.to_json()))
    (folder / "dataset.json").write_text(json.dumps({"digest": "sha256:0", "name": "news"}))
    return open_dataset(folder)
