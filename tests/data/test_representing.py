"""Characters that a tokenizer cannot write are found, and only those."""

from __future__ import annotations

from typing import Any

import pytest

from dizuo.data import find_lost
from dizuo.data.checks.characters import lost_characters
from dizuo.records import Chat, Labelled, Message, Origin


def row(text: str, line: int, label: str = "a") -> Labelled:
    return Labelled(text, (label,), origin=Origin("a.csv", line))


def word_level(*words: str, unknown: str = "[UNK]") -> Any:
    """A vocabulary without bytes: what it does not have becomes unknown."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: i for i, token in enumerate([unknown, *words, *"abcdefghijklmnopqrstuvwxyz"])}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token=unknown, continuing_subword_prefix=""))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token=unknown)


def test_smollm2_lacks_bytes_of_control_characters_and_of_far_planes(smollm2: Any) -> None:
    far = chr(0x40000)
    assert lost_characters(smollm2, {"\x04", "\x13", "\x14", "\x16", "\x1d", "\x06", far}) == {
        "\x04", "\x06", "\x13", "\x14", "\x16", "\x1d", far,
    }  # fmt: skip
    common = set("aé中文😀ß한ら\u200d\x01\t\n ﬁ́") | {chr(0x20BB7)}
    assert lost_characters(smollm2, common) == set()


def test_rows_are_counted_and_the_first_few_are_named(smollm2: Any) -> None:
    rows = [row(f"fine {i}", i) for i in range(2, 5)]
    rows += [row(f"bad\x04 {i}", i) for i in range(5, 12)]
    rows.append(row("fine", 12, label="la\x13bel"))
    lost = find_lost(rows, smollm2)
    assert lost is not None
    assert (lost.rows, lost.characters) == (8, ("\x04", "\x13"))
    assert str(lost) == (
        "8 rows hold characters that the model's tokenizer cannot write: U+0004, U+0013 "
        "(at a.csv:5, a.csv:6, a.csv:7, a.csv:8, a.csv:9 and 3 more)"
    )
    assert find_lost(rows[:3], smollm2) is None


def test_a_vocabulary_without_bytes_loses_scripts_and_keeps_what_it_only_rewrites() -> None:
    tokenizer = word_level("中", "hello")
    assert lost_characters(tokenizer, set("Aé中文z ")) == {"文"}  # capitals and accents are taken off on purpose
    chat = Chat((Message("user", "hello 中"), Message("assistant", "文")), origin=Origin("c.jsonl", 3))
    lost = find_lost([chat], tokenizer)
    assert lost is not None
    assert str(lost) == "1 row holds characters that the model's tokenizer cannot write: 文 (U+6587) (at c.jsonl:3)"


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_nothing_is_not_lost(smollm2: Any, text: str) -> None:
    assert find_lost([row(text, 2)], smollm2) is None
