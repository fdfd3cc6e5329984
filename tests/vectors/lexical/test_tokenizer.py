"""What is a token, in the scripts of the world."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dizuo.vectors.lexical import document_tokens, query_tokens
from dizuo.vectors.lexical.tokenizer import LONGEST_WORD

TABLE = {
    "words": ("The quick, brown fox!", ["the", "quick", "brown", "fox"]),
    "decimals part": ("GPT4 is 3.14 in 2024年", ["gpt4", "is", "3", "14", "in", "2024", "年"]),
    "underscores and apostrophes separate": ("snake_case don't", ["snake", "case", "don", "t"]),
    "full width is narrow": ("ＢＭ２５ｶﾞ", ["bm25", "ガ"]),
    "casefold": ("STRASSE Straße ΣΊΣΥΦΟΣ", ["strasse", "strasse", "σίσυφοσ"]),
    "composed and decomposed are one": ("café cafe\u0301", ["café", "café"]),
    "soft hyphens and joiners vanish": ("data\u00adbase می\u200cخواهم", ["database", "میخواهم"]),
    "marks belong to their word": ("हिन्दी में", ["हिन्दी", "में"]),
    "Chinese": ("数据库", ["数据", "据库", "数", "据", "库"]),
    "one Han character": ("猫!", ["猫"]),
    "Japanese mixes kanji and kana": ("食べる", ["食べ", "べる", "食", "べ", "る"]),
    "the long vowel mark is kana": ("データ", ["デー", "ータ", "デ", "ー", "タ"]),
    "a katakana dot separates": ("ア・イ", ["ア", "イ"]),
    "the iteration mark is Han": ("人々", ["人々", "人", "々"]),
    "Korean particles": ("한국은 큰", ["한국", "국은", "한", "국", "은", "큰"]),
    "Thai has no spaces": ("ไทย", ["ไท", "ทย", "ไ", "ท", "ย"]),
    "beyond the basic plane": ("𠮷野", ["𠮷野", "𠮷", "野"]),
    "compatibility ideographs": ("\uf900", ["豈"]),
    "two scripts in one word": ("iPhone手机X", ["iphone", "手机", "手", "机", "x"]),
    "a query in brackets": ("「検索」", ["検索", "検", "索"]),
    "nothing": (" …—🙂\u0000 ", []),
}  # fmt: skip


@pytest.mark.parametrize(("text", "tokens"), TABLE.values(), ids=TABLE.keys())
def test_a_text_is_cut_into_these_tokens(text: str, tokens: list[str]) -> None:
    assert document_tokens(text) == tokens


def test_a_chinese_word_is_found_inside_a_longer_run() -> None:
    assert query_tokens("检索") == ["检索"]
    assert set(query_tokens("检索")) <= set(document_tokens("数据库检索"))
    assert not set(query_tokens("检索")) & set(document_tokens("检查与搜索"))


def test_a_korean_noun_is_found_with_its_particle() -> None:
    assert set(query_tokens("데이터베이스")) <= set(document_tokens("데이터베이스를 만든다"))


def test_a_query_asks_once_for_each_token_and_for_pairs_only() -> None:
    assert query_tokens("数据库 数据库 to be or not to be") == sorted(["数据", "据库", "be", "not", "or", "to"])


def test_a_very_long_word_is_cut_and_still_found() -> None:
    word = "a1" * 500
    assert max(map(len, document_tokens(f"see {word} there"))) == LONGEST_WORD
    assert set(query_tokens(word)) <= set(document_tokens(f"see {word} there"))
    assert set(query_tokens("é" + word)) <= set(document_tokens(f"see é{word} there"))


@given(st.text())
def test_tokens_can_be_stored_anywhere(text: str) -> None:
    for token in document_tokens(text):
        assert token
        assert token == "".join(token.split())
        assert len(token.encode("utf-8")) <= 4 * LONGEST_WORD


@given(st.text())
def test_whatever_a_query_asks_for_stands_in_the_same_text(text: str) -> None:
    assert set(query_tokens(text)) <= set(document_tokens(text))
    assert bool(query_tokens(text)) == bool(document_tokens(text))


@given(st.text())
def test_tokens_are_already_in_their_one_form(text: str) -> None:
    tokens = [token for token in document_tokens(text) if len(token) < LONGEST_WORD]
    for token in tokens:
        assert token in document_tokens(token)


CJK = st.text(st.sampled_from("数据库检索引擎向量日本語テストかな한국어"), min_size=1, max_size=12)


@given(CJK, st.data())
def test_any_neighbouring_characters_of_an_unspaced_run_find_it(run: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(run) - 1))
    end = data.draw(st.integers(start + 1, len(run)))
    wanted = query_tokens(run[start:end])
    assert wanted
    assert set(wanted) <= set(document_tokens(f"see {run}, and more"))
