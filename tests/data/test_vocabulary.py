"""A tokenizer that is longer than the model's embedding, and texts that bring their BOS along."""

from __future__ import annotations

import re
from typing import Any

import pytest
from data_tokenizers import TEMPLATES, build_tokenizer

from dizuo.data.rendering.conversations import num_before_text, render_answer, render_chat, render_prompt, render_text
from dizuo.data.rendering.faults import ModelFault
from dizuo.data.rendering.last_token import render_conversation, render_question
from dizuo.errors import DataError
from dizuo.models.vocabulary import remember_reader
from dizuo.records import Chat, Message, Text

QUESTION, ANSWER = Message("user", "<obs> door?"), Message("assistant", "<act> open")


def longer(template: str = "chatml", *, special: bool = False, **options: Any) -> Any:
    """Return a tokenizer with two tokens more than its model has rows."""
    tokenizer = build_tokenizer(TEMPLATES[template], **options)
    rows = len(tokenizer)
    tokenizer.add_tokens(["<obs>", "<act>"], special_tokens=special)
    remember_reader(tokenizer, model="tiny", num_rows=rows)
    return tokenizer


USES: dict[str, Any] = {
    "a conversation": lambda tokenizer: render_chat(tokenizer, Chat((QUESTION, ANSWER))),
    "an answer": lambda tokenizer: render_answer(tokenizer, [Message("user", "hello")], [ANSWER]),
    "a prompt": lambda tokenizer: render_prompt(tokenizer, [QUESTION]),
    "a judged conversation": lambda tokenizer: render_conversation(tokenizer, [QUESTION], [ANSWER]),
    "a question for a head": lambda tokenizer: render_question(tokenizer, "<obs> door", None),
    "the same as text": lambda tokenizer: render_question(tokenizer, "<obs> door", None, form="text"),
    "a cue": lambda tokenizer: render_question(tokenizer, "door", None, cue="<act>"),
    "running text": lambda tokenizer: render_text(tokenizer, Text("hello <obs>")),
    "a raw prompt": lambda tokenizer: render_text(tokenizer, Text("open", prompt="<obs> ")),
    "its completion": lambda tokenizer: render_text(tokenizer, Text("<act> open", prompt="door ")),
}


@pytest.mark.parametrize("use", USES)
def test_a_token_without_an_embedding_is_refused_with_both_sizes(use: str) -> None:
    tokenizer = longer()
    with pytest.raises(ModelFault) as caught:
        USES[use](tokenizer)
    rows = len(tokenizer) - 2
    assert re.fullmatch(
        rf"the token '<(obs|act)>' has the id ({rows:,}|{rows + 1:,}), but the embedding of tiny has {rows:,} rows: "
        rf"its tokenizer, with {rows + 2:,} tokens, is longer",
        caught.value.message,
    )
    assert "resize_token_embeddings" in str(caught.value.hint)


@pytest.mark.parametrize("use", USES)
def test_with_a_row_for_each_token_they_are_written(use: str) -> None:
    tokenizer = longer()
    remember_reader(tokenizer, model="tiny", num_rows=len(tokenizer))
    assert USES[use](tokenizer)


@pytest.mark.parametrize("use", list(USES)[:4])
def test_a_special_token_that_somebody_typed_is_plain_text_and_needs_no_row(use: str) -> None:
    """As Gemma 3's `<image_soft_token>`, the one token that its tokenizer has more than its embedding."""
    assert USES[use](longer(special=True))


@pytest.mark.parametrize("token", ["bos_token", "eos_token"])
def test_a_token_of_the_tokenizer_s_own_needs_a_row_as_well(token: str) -> None:
    tokenizer = longer(adds_bos=token == "bos_token")
    if token == "eos_token":
        tokenizer.eos_token = "<act>"
        what = lambda: render_text(tokenizer, Text("hello"))  # noqa: E731
    else:
        remember_reader(tokenizer, model="tiny", num_rows=0)
        what = lambda: render_prompt(tokenizer, [Message("user", "")])  # noqa: E731
    with pytest.raises(ModelFault, match="has the id"):
        what()


def test_a_template_whose_own_tokens_have_no_row_is_refused() -> None:
    tokenizer = longer()
    tokenizer.chat_template = TEMPLATES["chatml"].replace("<|im_start|>", "<obs>")
    with pytest.raises(ModelFault, match="the token '<obs>'"):
        render_prompt(tokenizer, [Message("user", "hello")])


@pytest.mark.parametrize("adds", [True, False])
@pytest.mark.parametrize("prompt", ["", "hello "])
def test_a_text_that_brings_its_bos_along_has_it_once(adds: bool, prompt: str) -> None:
    tokenizer = build_tokenizer(None, adds_bos=adds)
    text = Text("hello world", prompt=prompt)
    brought = Text("<s>hello world") if not prompt else Text("hello world", prompt="<s>hello ")
    bare, same = render_text(tokenizer, text), render_text(tokenizer, brought)
    if adds:
        assert same.ids.tolist() == bare.ids.tolist()
        assert same.weights.tolist() == bare.weights.tolist()
        assert same.num_prompt == bare.num_prompt
        assert num_before_text(tokenizer, brought) == num_before_text(tokenizer, text)
    else:
        assert same.ids.tolist() == [tokenizer.bos_token_id, *bare.ids.tolist()]
    assert same.ids[1] != tokenizer.bos_token_id


@pytest.mark.parametrize("adds", [True, False])
@pytest.mark.parametrize(
    "text", [Text("<s><s>hello"), Text("hello", prompt="<s><s>"), Text("<s>hello", prompt="<s>")], ids=str
)
def test_a_text_with_two_bos_is_refused(text: Text, adds: bool) -> None:
    with pytest.raises(DataError, match="the text opens with the BOS token '<s>' twice") as caught:
        render_text(build_tokenizer(None, adds_bos=adds), text)
    assert ("the tokenizer adds it" in str(caught.value.hint)) == adds


@pytest.mark.parametrize("adds", [True, False])
def test_a_template_that_writes_two_bos_is_refused_whether_the_tokenizer_adds_one_or_not(adds: bool) -> None:
    with pytest.raises(ModelFault, match="opens with the BOS token '<s>' twice"):
        render_prompt(build_tokenizer(TEMPLATES["two_bos"], adds_bos=adds), [Message("user", "hello")])
