"""One conversation without a server: what is asked is what was trained."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import pytest
from serving_models import TASK

from dizuo.data.rendering.conversations import render_prompt
from dizuo.data.rendering.prompts import prompt_messages
from dizuo.data.task import Task
from dizuo.engines import GenerateRequest, generate_all
from dizuo.records import Message
from dizuo.serving import Conversation, Service, open_named
from dizuo.serving.bundle.files import Bundle
from dizuo.serving.service import NoLabels


@pytest.fixture(scope="module")
def service(bundle: Bundle) -> Iterator[Service]:
    made = open_named(bundle.folder)
    yield made
    made.close()


def expected(service: Service, messages: Any, max_tokens: int) -> str:
    prompt = render_prompt(service.tokenizer, messages)
    request = GenerateRequest(prompt, service.sampling(len(prompt), max_tokens=max_tokens), service.adapter)
    ids = generate_all(service.engine, [request])[0].ids
    text: str = service.tokenizer.decode(ids, skip_special_tokens=True)
    return text.rstrip("\ufffd")


def test_a_bare_headline_is_asked_as_it_was_evaluated_and_each_by_itself(service: Service) -> None:
    conversation = Conversation(service, max_tokens=20)
    for text in ("Shares fell.", "他们赢了", "Shares fell."):
        answer = "".join(conversation.say(text))
        assert answer == expected(service, prompt_messages(text, TASK), 20)
    assert conversation.messages == []
    assert conversation.classifies
    found = conversation.classify("Shares fell.")
    assert found.label == next(iter(found.probabilities))
    assert set(found.probabilities) == set(TASK.labels)


def test_without_a_task_the_whole_conversation_is_read(service: Service) -> None:
    free = dataclasses.replace(service, task=None)
    conversation = Conversation(free, system="Be brief.", max_tokens=10)
    first = "".join(conversation.say("Hello"))
    turns = [Message("system", "Be brief."), Message("user", "Hello")]
    assert first == expected(service, turns, 10)
    second = "".join(conversation.say("And now?"))
    turns += [Message("assistant", first), Message("user", "And now?")]
    assert second == expected(service, turns, 10)
    assert len(conversation.messages) == 5
    conversation.forget()
    assert conversation.messages == [Message("system", "Be brief.")]
    assert not conversation.classifies
    with pytest.raises(NoLabels, match="was not trained to choose one of several labels"):
        conversation.classify("x")


def test_an_answer_that_is_left_is_cancelled_and_forgotten(service: Service) -> None:
    free = dataclasses.replace(service, task=None)
    conversation = Conversation(free, temperature=1.0, seed=1, max_tokens=400)
    before = service.engine.stats().finished.get("cancelled", 0)
    for seed in range(50):
        conversation._seed = seed
        pieces = conversation.say("Hello")
        if next(pieces, None) is None:
            continue
        pieces.close()  # type: ignore[attr-defined]
        break
    while service.engine.stats().running:
        time.sleep(0.001)
    assert conversation.messages == []
    assert service.engine.stats().finished["cancelled"] == before + 1


def test_a_several_label_task_is_answered_in_words_only(service: Service) -> None:
    many = Task(kind="classification", labels=("a", "b"), multi_label=True)
    assert not Conversation(dataclasses.replace(service, task=many)).classifies
