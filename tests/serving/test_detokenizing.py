"""Text comes out in whole characters, whatever the tokens cut through."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serving_models import tokenizer

from dizuo.serving.detokenizing import Detokenizer, TokenBytes

TOKENIZER = tokenizer()
TEXTS = [
    "plain words",
    "北京是中国的首都。",
    "emoji 👩‍👩‍👧‍👦 and flags 🇨🇳🏴󠁧󠁢󠁥󠁮󠁧󠁿, done",
    "مرحبا بالعالم שלום",
    "combining: é ñ ạ̈ — ﷽",
    "line\nbreaks\t and  spaces ",
    "\ufffd in the middle \ufffd of a text",
]


def pieces(ids: list[int]) -> list[str]:
    text = Detokenizer(TOKENIZER)
    return [*(text.add([token]) for token in ids), text.finish()]


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_add_up_to_the_text_and_none_is_broken(text: str) -> None:
    out = pieces(TOKENIZER(text)["input_ids"])
    assert "".join(out) == text
    assert all(piece.encode("utf-8").decode("utf-8") == piece for piece in out)
    if "\ufffd" not in text:
        assert not any("\ufffd" in piece for piece in out)


@given(st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_text_comes_back_whole(text: str) -> None:
    text = text.rstrip("\ufffd")
    assert "".join(pieces(TOKENIZER(text, add_special_tokens=False)["input_ids"])) == text


@given(st.lists(st.integers(0, len(TOKENIZER) - 1), max_size=40))
@settings(max_examples=150, deadline=None)
def test_any_tokens_come_out_as_the_whole_answer_would_but_for_a_broken_end(ids: list[int]) -> None:
    whole = TOKENIZER.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert "".join(pieces(ids)) == whole.rstrip("\ufffd")


def test_a_character_cut_off_by_the_limit_is_not_shown() -> None:
    ids = TOKENIZER("ab京")["input_ids"]
    assert "".join(pieces(ids[:-1])) == "ab"


def test_token_bytes_are_the_bytes_of_the_text() -> None:
    raw = TokenBytes(TOKENIZER)
    for text in TEXTS:
        assert b"".join(raw.of(token) for token in TOKENIZER(text)["input_ids"]) == text.encode()
    assert raw.of(TOKENIZER.eos_token_id) == b"<|im_end|>"
