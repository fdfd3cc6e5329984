"""When two rows are the same, and which rows may not stand on two sides of a split."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from dizuo import data as dizuo_data
from dizuo.data.checks.identity import keys_of, normalise, question_keys
from dizuo.data.stratifying import units_of
from dizuo.errors import DataError
from dizuo.records import Chat, Feedback, Labelled, Message, Preference, Text

U, A, T = "user", "assistant", "tool"
ASK, ANSWER = Message(U, "Is it 2² m?"), Message(A, "Yes.")
TOOL = {"type": "function", "function": {"name": "f", "description": "one"}}
OTHER = {"type": "function", "function": {"name": "f", "description": "two"}}
CALL = {"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
CALLS = {"type": "function", "function": {"name": "f", "arguments": {"x": 2}}}

# (a row, another row that teaches something else)
DIFFERENT = {
    "the answer's words": (Chat((ASK, ANSWER)), Chat((ASK, Message(A, "No.")))),
    "the answer's case": (Chat((ASK, ANSWER)), Chat((ASK, Message(A, "YES.")))),
    "the answer's typography": (Chat((ASK, Message(A, "x²"))), Chat((ASK, Message(A, "x2")))),
    "the answer's white space": (Chat((ASK, Message(A, "a:\n  b"))), Chat((ASK, Message(A, "a:\n    b")))),
    "the answer's calls": (
        Chat((ASK, Message(A, "", tool_calls=(CALL,)))), Chat((ASK, Message(A, "", tool_calls=(CALLS,)))),
    ),
    "the answer's thoughts": (Chat((ASK, ANSWER)), Chat((ASK, Message(A, "Yes.", reasoning_content="hm")))),
    "the answer's weight": (Chat((ASK, ANSWER)), Chat((ASK, Message(A, "Yes.", weight=0.5)))),
    "an earlier trained answer": (
        Chat((ASK, Message(A, "x²"), ASK, ANSWER)), Chat((ASK, Message(A, "x2"), ASK, ANSWER)),
    ),
    "whether an earlier answer is trained": (
        Chat((ASK, ANSWER, ASK, ANSWER)), Chat((ASK, Message(A, "Yes.", weight=0), ASK, ANSWER)),
    ),
    "the tools": (Chat((ASK, ANSWER), tools=(TOOL,)), Chat((ASK, ANSWER), tools=(OTHER,))),
    "that there are tools": (Chat((ASK, ANSWER), tools=(TOOL,)), Chat((ASK, ANSWER))),
    "who asks": (Chat((ASK, ANSWER)), Chat((Message("system", ASK.content), ANSWER))),
    "a tool's result": (
        Chat((ASK, Message(A, "", tool_calls=(CALL,)), Message(T, "one"), ANSWER)),
        Chat((ASK, Message(A, "", tool_calls=(CALL,)), Message(T, "two"), ANSWER)),
    ),
    "the question's indentation": (
        Chat((Message(U, "if x:\n  y()"), ANSWER)), Chat((Message(U, "if x:\n    y()"), ANSWER)),
    ),
    "a text's indentation": (Text("if x:\n  y()"), Text("if x:\n    y()")),
    "a completion's case": (Text("Yes", prompt="p"), Text("yes", prompt="p")),
    "labels": (Labelled("t", ("x",)), Labelled("t", ("y",))),
    "the rejected answer": (
        Preference((ASK,), (ANSWER,), (Message(A, "no"),)), Preference((ASK,), (ANSWER,), (Message(A, "No"),)),
    ),
    "tools of a pair": (
        Preference((ASK,), (ANSWER,), (Message(A, "no"),), tools=(TOOL,)),
        Preference((ASK,), (ANSWER,), (Message(A, "no"),), tools=(OTHER,)),
    ),
    "the judgement": (Feedback((ASK,), (ANSWER,), True), Feedback((ASK,), (ANSWER,), False)),
}  # fmt: skip


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=DIFFERENT)
def test_rows_that_teach_something_else_are_no_copies(one: Any, other: Any) -> None:
    assert keys_of(one).full != keys_of(other).full


def test_rows_whose_questions_differ_in_typography_alone_and_answer_alike_are_copies() -> None:
    one = Chat((Message(U, "Is my top-up done?"), ANSWER))
    other = Chat((Message(U, "is  my TOP UP done"), Message(A, " Yes. ")))
    assert keys_of(one).full == keys_of(other).full
    assert keys_of(one).exact != keys_of(other).exact
    assert keys_of(Labelled("x² = 2", ("a",))).question == keys_of(Labelled("x2 = 2", ("a",))).question
    assert keys_of(Labelled("x² = 2", ("a",))).exact != keys_of(Labelled("x2 = 2", ("a",))).exact


def test_indentation_counts_and_other_white_space_does_not() -> None:
    assert normalise("a:\n  b  c \n\n") == normalise("A\n  b c")
    assert normalise("a\n  b") != normalise("a\n    b") != normalise("a\n\tb")
    assert normalise("a\nb") == normalise("a b")


def conversation(*words: str) -> Chat:
    return Chat(tuple(Message((U, A)[i % 2], word) for i, word in enumerate(words)))


def test_a_beginning_of_a_conversation_has_its_question_among_its_openings() -> None:
    whole = conversation("a", "b", "c", "d", "e", "f")
    keys = [keys_of(conversation(*"abcdef"[:size])) for size in (2, 4, 6)]
    assert question_keys(whole) == tuple(key.question for key in keys)
    assert keys[2].openings == (keys[0].question, keys[1].question)
    assert not set(question_keys(conversation("x", "b", "c", "d"))) & set(question_keys(whole))


def test_the_questions_inside_an_answer_of_several_turns_count_as_well() -> None:
    turns = conversation("a", "b", "c", "d").messages
    tested = keys_of(conversation("a", "b", "c", "d")).question
    pair = Preference(turns[:1], turns[1:], (Message(A, "no"),))
    judged = Feedback(turns[:1], turns[1:], True)
    assert keys_of(pair).question == keys_of(judged).question == keys_of(conversation("a", "b")).question
    assert keys_of(pair).openings == keys_of(judged).openings == (tested,)


def test_the_prefixes_of_conversations_stay_on_one_side_and_mere_openings_do_not_join_them(bench: Any) -> None:
    rows = []
    for number in range(30):
        turns = [{"role": U, "content": "Hi"}, {"role": A, "content": "Hello"}]
        for step in range(4):
            turns += [{"role": U, "content": f"topic {number} step {step}"}, {"role": A, "content": f"reply {step}"}]
            rows.append({"messages": list(turns)})
    data = bench.prepare(bench.write("a.jsonl", rows), test=0.25, validation=0.1)
    topics = [{e.messages[2].content for e in split} for split in data.splits().values()]
    assert [len(split) for split in data.splits().values()] == [80, 12, 28]  # whole conversations of four rows
    assert not any(one & other for one, other in itertools.combinations(topics, 2))
    # A row that is the shared opening belongs to all of them: they are one group, which stays in train.
    opening = {"messages": [{"role": U, "content": "Hi"}, {"role": A, "content": "Welcome"}]}
    with pytest.raises(DataError, match="no test rows can be cut"):
        bench.prepare(bench.write("b.jsonl", [*rows, opening]), test=30)


@pytest.mark.parametrize("kind", ["messages", "preference", "feedback"])
def test_what_begins_or_goes_on_from_a_given_test_row_is_taken_from_train(bench: Any, kind: str) -> None:
    def row(*words: str) -> dict[str, Any]:
        turns = [{"role": (U, A)[i % 2], "content": word} for i, word in enumerate(words)]
        if kind == "preference":
            return {"prompt": turns[:-1], "chosen": turns[-1:], "rejected": [{"role": A, "content": "no"}]}
        return {"messages": turns, "label": True} if kind == "feedback" else {"messages": turns}

    train = [row("a", "b"), row(*"abcdef"), row("x", "y"), row("z", "b", "c", "d")]
    bench.write("train.jsonl", train)
    bench.write("test.jsonl", [row("a", "b", "c", "d")])
    data = bench.prepare("train.jsonl", test="test.jsonl")
    assert len(data.train) == 2
    reasons = [json.loads(line)["reason"] for line in (data.folder / "removed.jsonl").read_text().splitlines()]
    assert reasons == ["begins a conversation of test: test.jsonl:1", "goes on from a row of test: test.jsonl:1"]


def test_joining_conversations_takes_time_in_their_number_of_answers() -> None:
    class Counting(list[int]):
        asked = 0

        def __getitem__(self, index: Any) -> Any:
            Counting.asked += 1
            return super().__getitem__(index)

    size = 3000
    openings = [tuple(range(row, row + 5)) for row in range(size)]
    inputs = Counting(range(size))
    units = units_of(
        range(size),
        inputs=inputs,
        groups=[0] * size,
        strata=[0] * size,
        orders=range(size),
        openings=openings.__getitem__,
    )
    assert len(units) == 1
    assert Counting.asked < 10 * size


def test_conflicts_are_rows_with_one_text_and_what_differs_at_all_is_kept_and_named(bench: Any) -> None:
    pairs = [("Lets eat, Tom.", "Lets eat Tom."), ("in Paris", "in paris"), ("x² = 2", "x2 = 2"), ("f(a)", "f[a]")]
    rows = [{"text": text, "label": label} for pair in pairs for text, label in zip(pair, "ab")]
    data = bench.prepare(bench.write("a.jsonl", rows), test=0)
    assert len(data.train) == 8
    assert "8 rows differ from a row with another label in case, punctuation or typography alone" in data.card.notes[0]
    assert "a.jsonl:1 and " in data.card.notes[0]
    answers = [{"question": text, "answer": label} for pair in pairs for text, label in zip(pair, "ab")]
    bench.write("train.jsonl", [{"question": "q", "answer": "a"}])
    held = bench.prepare("train.jsonl", test=str(bench.write("test.jsonl", answers)))
    assert len(held.test) == 8
    assert not any(example.references for example in held.test)


def test_where_no_training_row_is_left_the_error_says_where_they_went(bench: Any) -> None:
    rows = [{"text": f"t{i // 2}", "label": "ab"[i % 2]} for i in range(12)]
    with pytest.raises(DataError) as caught:
        bench.prepare(bench.write("a.jsonl", rows).name)
    assert caught.value.message == "no training row is left: 12 conflicts"
    assert caught.value.details[:2] == (
        "a.jsonl:1: has another label at a.jsonl:2", "a.jsonl:2: has another label at a.jsonl:1",
    )  # fmt: skip
    assert caught.value.hint == "correct the labels, or keep the rows with conflicts: keep (or first)"


def test_references_are_words_that_answer_the_same_question_with_the_same_tools(bench: Any) -> None:
    def row(answer: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {"messages": [{"role": U, "content": "q"}, {"role": A, **answer}], **more}

    call = {"content": "", "tool_calls": [CALL]}
    bench.write("train.jsonl", [{"messages": [{"role": U, "content": "p"}, {"role": A, "content": "a"}]}])
    rows = [row({"content": "x"}), row({"content": "y"}), row(call), row({**call, "tool_calls": [CALLS]}),
            row({"content": "z"}, tools=[TOOL]), row({"content": "w"}, tools=[OTHER])]  # fmt: skip
    data = bench.prepare("train.jsonl", test=str(bench.write("test.jsonl", rows)))
    found = sorted((e.messages[-1].content, e.references) for e in data.test)
    assert found == [("", ()), ("", ()), ("w", ()), ("x", ("y",)), ("z", ())]


def test_a_share_is_met_by_whole_groups_and_a_number_is_a_number(bench: Any) -> None:
    rows = [{"question": f"q{i // 2}", "answer": f"a{i}"} for i in range(10)]
    path = bench.write("a.jsonl", rows)
    assert len(bench.prepare(path, references="keep").test) == 2
    with pytest.raises(DataError, match="every group has more than 1 rows"):
        bench.prepare(path, test=1)


def test_rows_that_embeddings_take_for_one_another_are_all_kept(bench: Any) -> None:
    """all-MiniLM-L6-v2 gives the first two a cosine of 0.76, and 0.49 to a true paraphrase of the first."""
    texts = ["Add two numbers", "Multiply two numbers", "Sum a pair of integers", "Do not add two numbers"]
    rows = [{"text": text, "label": "ab"[place % 2]} for place, text in enumerate(texts)]
    data = bench.prepare(bench.write("a.jsonl", rows), test=0)
    assert sorted(example.text for example in data.train) == sorted(texts)


def test_what_removes_rows_imports_no_model_and_no_vector() -> None:
    """The room of data may read a tokenizer's files, and has nothing by which texts could be near each other."""
    banned = r"^\s*(?:from|import) +(?:dizuo\.vectors|dizuo\.models\.(?:encoders|loading)|sklearn|torch)\b"
    sources = {path.name: path.read_text("utf-8") for path in Path(dizuo_data.__file__).parent.rglob("*.py")}
    assert {name: found for name, text in sources.items() if (found := re.findall(banned, text, re.M))} == {}
