"""A tiny real model and rows of every kind of record: random weights, a real tokenizer, real files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dizuo.data import Dataset, Split, Task
from dizuo.data.card import Card
from dizuo.data.dataset import SplitWriter
from dizuo.records import Chat, Example, Feedback, Labelled, Message, Origin, Preference, Text, with_identity

__all__ = [
    "CHATML", "LABELS", "ROWS", "WORDS", "Rows", "chats", "feedback", "labelled", "preferences", "texts", "tiny_model",
    "words", "write_model",
]  # fmt: skip

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXT = (
    "the card was not accepted at shop why did my transfer fail where is new pin please tell me how to change it "
    "money still pending since yesterday morning can you help with account top up by bank"
)
WORDS = TEXT.split()
LABELS = ("card", "transfer", "pin", "top up")


def write_model(
    folder: Path, *, tied: bool = True, seed: int = 0, context: int = 256, scale: float = 3, **changes: Any
) -> Path:
    """Write a random Llama of 2 layers and hidden size 64 with a byte-level tokenizer."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([" ".join(WORDS), "user assistant Classify the text."], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|im_end|>"
    )
    fast.chat_template = CHATML
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        tie_word_embeddings=tied,
        bos_token_id=1,
        eos_token_id=2,
    )
    for name, value in changes.items():
        setattr(config, name, value)
    torch.manual_seed(seed)
    module = LlamaForCausalLM(config)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(scale)  # away from the uniform distribution, so that differences show
    module.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def tiny_model(factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a random Llama that knows no more than a uniform guess, written once per session."""
    folder = factory.getbasetemp() / "dizuo-tiny-model"
    return folder if folder.exists() else write_model(folder, scale=1)


def labelled(count: int, *, start: int = 0) -> list[Example]:
    """Return rows of 3 to 14 words whose label depends on their first word."""
    rows: list[Example] = []
    for number in range(start, start + count):
        length = 3 + (number * 7) % 12
        words = [WORDS[(number * 5 + k * (1 + number % 3)) % len(WORDS)] for k in range(length)]
        text = f"{' '.join(words)} {number}"
        label = LABELS[WORDS.index(words[0]) % len(LABELS)]
        rows.append(with_identity(Labelled(text, (label,), origin=Origin("rows.csv", number + 2))))
    return rows


def words(start: int, count: int) -> str:
    """Return some words of the tokenizer's text."""
    return " ".join(WORDS[(start + k * 5) % len(WORDS)] for k in range(count))


def preferences(count: int, *, start: int = 0) -> list[Example]:
    """Return pairs whose prompts have 2 to 9 words, or three turns, and whose answers have 1 to 8."""
    pairs: list[Example] = []
    for n in range(start, start + count):
        prompt: tuple[Message, ...] = (Message("user", f"{words(n, 2 + n % 8)} {n}"),)
        if n % 4 == 3:
            prompt = (*prompt, Message("assistant", words(n + 1, 3)), Message("user", words(n + 2, 4)))
        chosen = (Message("assistant", words(n + 3, 1 + n % 6)),)
        rejected = (Message("assistant", f"{words(n + 4, 1 + n % 7)} no"),)
        pairs.append(with_identity(Preference(prompt, chosen, rejected, origin=Origin("pairs.jsonl", n + 1))))
    return pairs


def feedback(count: int, *, start: int = 0) -> list[Example]:
    """Return judged answers, two of three wanted; some prompts come twice, with both kinds of answers."""
    rows: list[Example] = []
    for n in range(start, start + count):
        prompt = (Message("user", f"{words(n // 2, 2 + n % 8)} {n // 2}"),)
        answer = (Message("assistant", words(n + 3, 1 + n % 6)),)
        rows.append(with_identity(Feedback(prompt, answer, n % 3 != 2, origin=Origin("feedback.jsonl", n + 1))))
    return rows


def texts(lengths: list[int]) -> list[Example]:
    """Return documents of so many words."""
    return [
        with_identity(Text(f"{words(n, length)} {n}", origin=Origin("texts.jsonl", n + 1)))
        for n, length in enumerate(lengths)
    ]


def chats(count: int, *, start: int = 0) -> list[Example]:
    """Return conversations of one or two trained turns."""
    rows: list[Example] = []
    for n in range(start, start + count):
        messages = [Message("user", f"{words(n, 2 + n % 8)} {n}"), Message("assistant", words(n + 3, 1 + n % 6))]
        if n % 3 == 2:
            messages += [Message("user", words(n + 2, 4)), Message("assistant", words(n + 1, 3))]
        rows.append(with_identity(Chat(tuple(messages), origin=Origin("chats.jsonl", n + 1))))
    return rows


@dataclass
class Rows:
    """Splits to write."""

    train: list[Example] = field(default_factory=lambda: labelled(40))
    validation: list[Example] = field(default_factory=lambda: labelled(9, start=100))
    test: list[Example] = field(default_factory=list)
    task: Task | None = field(
        default_factory=lambda: Task("classification", instruction="Classify the text.", labels=tuple(sorted(LABELS)))
    )

    def write(self, folder: Path) -> Dataset:
        """Write a dataset folder without going through `prepare`."""
        folder.mkdir(parents=True, exist_ok=True)
        splits = {}
        for name in ("train", "validation", "test"):
            rows: list[Example] = getattr(self, name)
            path = folder / f"{name}.arrow"
            with SplitWriter(path, kind=type(rows[0]) if rows else Labelled) as writer:
                writer.write(rows)
            splits[name] = Split(path, name=name)
        if self.task is not None:
            (folder / "task.json").write_text(json.dumps(self.task.to_json()))
        (folder / "dataset.json").write_text(json.dumps({"digest": "sha256:test"}))
        return Dataset(folder=folder, task=self.task, card=Card(digest="sha256:test"), **splits)


ROWS: Mapping[str, Callable[..., list[Example]]] = {
    "chat": chats,
    "feedback": feedback,
    "labelled": labelled,
    "preference": preferences,
    "text": lambda count, start=0: texts([1 + (n * 7) % 60 for n in range(start, start + count)]),
}
"""How rows of each kind of record are made: `(count, start=number of the first)`."""
