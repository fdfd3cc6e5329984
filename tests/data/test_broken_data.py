"""What a user sees when their data is broken: the exact text, one row per kind of fault."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from dizuo.errors import DataError

FIX = "fix the rows, or keep going without them with --quarantine bad_rows.jsonl"
COLUMNS = "rename the columns, or name them: text_column and label_column, or columns: {prompt: …, completion: …}"
GOOD = '{"text": "one", "label": "a"}\n{"text": "two", "label": "b"}\n{"text": "three", "label": "a"}\n'
TURNS = '{"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]}\n'

# (file, content, options, message)
TABLE: list[tuple[str, str | bytes, dict[str, Any], str]] = [
    (
        "empty_label.csv",
        "text,label\none,a\ntwo,\nthree,b\n",
        {},
        f"empty_label.csv has 1 bad row of 3\n  line 3: label is empty\n\nhint: {FIX}",
    ),
    (
        "two_faults.jsonl",
        GOOD + '{"text": "", "label": "a"}\n{"text": "x"\n',
        {},
        "two_faults.jsonl has 2 bad rows of 5\n  line 4: text is empty\n"
        f"  line 5: is not JSON: expecting ',' delimiter at column 13\n\nhint: {FIX}",
    ),
    (
        "misspelt_key.jsonl",
        GOOD + '{"text": "four", "lable": "a"}\n',
        {},
        "misspelt_key.jsonl has 1 bad row of 4\n"
        "  line 4: has no 'label' (did you mean 'lable'?); its keys: text, lable\n"
        f'    corrected: {{"text": "four", "label": "a"}}\n\nhint: {FIX}',
    ),
    (
        "misspelt_everywhere.jsonl",
        '{"mesages": [{"role": "user", "content": "u"}]}\n' * 3,
        {},
        "misspelt_everywhere.jsonl fits no format\n  its keys: 'mesages' (3 rows)\n"
        "  nearest format: messages, which needs messages; there is no messages "
        f"(did you mean 'messages' for 'mesages'?)\n\nhint: {COLUMNS}",
    ),
    (
        "several.jsonl",
        '{"question": "q", "answer": "a", "label": "x", "text": "t"}\n' * 2,
        {},
        "several.jsonl fits 2 formats\n  classification: from label, text (2 rows)\n"
        "  question_answer: from answer, question (2 rows)\n\n"
        "hint: say which one: format: classification or format: question_answer",
    ),
    (
        "headless.tsv",
        "ham\tgo on, please\nspam\twin now!\n",
        {},
        "headless.tsv has 2 columns and no header row that names them\n\n"
        "hint: say which is which, counted from 1, as in: text_column: 2 and label_column: 1",
    ),
    (
        "short_row.csv",
        "text,label\none,a\ntwo\nthree,b,c\n",
        {},
        "short_row.csv has 2 bad rows of 3\n  line 3: has 1 column, the header has 2\n"
        f"  line 4: has 3 columns, the header has 2\n\nhint: {FIX}",
    ),
    (
        "open_quote.csv",
        'text,label\none,a\n"two,b\nthree,c\n',
        {},
        f"open_quote.csv has 1 bad row of 3\n  line 3: a quote opened here is never closed\n\nhint: {FIX}",
    ),
    (
        "twice.csv",
        "text,text,label\none,two,a\n",
        {},
        "twice.csv:1: the header has several columns called 'text'\n\nhint: give each column a name of its own",
    ),
    (
        "bad_byte.jsonl",
        '{"text": "größer", "label": "a"}\n'.encode() * 3 + b'{"text": "gr\xf6\xdfer", "label": "b"}\n',
        {},
        f"bad_byte.jsonl has 1 bad row of 4\n  line 4: holds the byte 0xf6, which is not UTF-8\n\nhint: {FIX}",
    ),
    (
        "half_character.jsonl",
        GOOD + '{"text": "x \\ud83d", "label": "a"}\n',
        {},
        "half_character.jsonl has 1 bad row of 4\n"
        f"  line 4: holds half a character (\\ud83d without its pair)\n\nhint: {FIX}",
    ),
    (
        "not_objects.jsonl",
        GOOD + '["a", "b"]\n',
        {},
        f"not_objects.jsonl has 1 bad row of 4\n  line 4: a row is an object with keys, this is a list\n\nhint: {FIX}",
    ),
    (
        "wrong_type.jsonl",
        GOOD + '{"text": 7, "label": "a"}\n{"text": "x", "label": 1.5}\n{"text": null, "label": "a"}\n',
        {},
        "wrong_type.jsonl has 3 bad rows of 6\n  line 4: text is the number 7, not a string\n"
        '    corrected: {"text": "7", "label": "a"}\n'
        "  line 5: label is the number 1.5, not a string or a whole number\n"
        f"  line 6: text is null\n\nhint: {FIX}",
    ),
    (
        "torn.json",
        '[\n {"text": "one"},\n {"text": "two"\n',
        {},
        "torn.json:4:1: is not JSON: expecting ',' delimiter\n\n"
        "hint: nothing behind this place can be read; repair the file",
    ),
    (
        "turns.jsonl",
        TURNS * 6
        + '{"messages": [{"role": "user", "content": "u"}]}\n'
        + '{"messages": [{"role": "user", "content": "u"}, {"role": "asistant", "content": "a"}]}\n'
        + '{"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": ""}]}\n'
        + '{"messages": [{"role": "user", "content": [{"type": "image"}]}, {"role": "assistant", "content": "a"}]}\n'
        + '{"messages": [{"role": "assistant", "content": "a"}]}\n',
        {},
        "turns.jsonl has 5 bad rows of 11\n"
        "  line 7: messages has no assistant turn\n"
        "  line 8: turn 2 of messages has the role 'asistant' (did you mean 'assistant'?); "
        "known: system, developer, user, assistant, tool\n"
        '    corrected: {"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]}\n'
        "  line 9: turn 2 of messages (assistant) is empty\n"
        "  line 10: turn 1 of messages has a part of type 'image'; dizuo reads text parts\n"
        "  line 11: messages begins with an assistant turn; there is nothing it answers\n\n"
        f"hint: {FIX}",
    ),
    (
        "calls.jsonl",
        TURNS
        + json.dumps({"messages": [{"role": "user", "content": "u"}, {
            "role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{x: 1}"}}]}]}) + "\n",
        {},
        "calls.jsonl has 1 bad row of 2\n"
        f"  line 2: turn 2 of messages calls f with arguments that are not JSON\n\nhint: {FIX}",
    ),
    (
        "pairs.jsonl",
        '{"prompt": "p", "chosen": "c", "rejected": "r"}\n{"prompt": "p", "chosen": "c", "rejected": "c"}\n'
        '{"prompt": "p", "chosen": "", "rejected": "c"}\n{"chosen": "c", "rejected": "r"}\n'
        '{"prompt": "p", "chosen": "c", "rejected": "r", "score_chosen": 1, "score_rejected": 2.5}\n',
        {"format": "preference"},
        "pairs.jsonl has 4 bad rows of 5\n  line 2: chosen and rejected are equal\n  line 3: chosen is empty\n"
        "  line 4: chosen is a string without turns, and there is no prompt\n"
        f"  line 5: score_chosen is 1 and score_rejected 2.5: chosen is the worse answer\n\nhint: {FIX}",
    ),
    (
        "weights.jsonl",
        TURNS * 2
        + TURNS.replace('"a"}]', '"a", "weight": -1}]')
        + TURNS.replace('"a"}]', '"a", "weight": 1, "train": false}]')
        + TURNS.replace('"a"}]', '"a", "loss": "perhaps"}]'),
        {},
        "weights.jsonl has 3 bad rows of 5\n"
        "  line 3: turn 2 of messages has the weight -1, not a number from 0 or true or false\n"
        "  line 4: turn 2 of messages has weight 1 and train False, which contradict each other\n"
        f"  line 5: turn 2 of messages has loss 'perhaps', not a number from 0 or true or false\n\nhint: {FIX}",
    ),
    (
        "one_at_a_time.jsonl",
        TURNS
        + json.dumps({"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "tool_calls": [
            {"function": {"name": "f"}}, {"function": {"name": "g"}}]}], "parallel_tool_calls": False}) + "\n",
        {},
        "one_at_a_time.jsonl has 1 bad row of 2\n  line 2: an answer makes several calls at once, and "
        f"parallel_tool_calls is false\n\nhint: {FIX}",
    ),
    (
        "judged.jsonl",
        '{"prompt": "p", "completion": "c", "label": true}\n{"prompt": "p", "completion": "d", "label": "maybe"}\n',
        {"format": "feedback"},
        f"judged.jsonl has 1 bad row of 2\n  line 2: label is 'maybe', not true or false\n\nhint: {FIX}",
    ),
    (
        "unnamed_label.csv",
        "text,label\none,0\ntwo,2\n",
        {"labels": {"0": "no", "1": "yes"}},
        f"unnamed_label.csv has 1 bad row of 2\n  line 3: label is '2'; the labels are 0, 1\n\nhint: {FIX}",
    ),
    ("nothing.csv", "", {}, "nothing.csv is empty\n\nhint: check that it was written to its end"),
    (
        "binary.csv",
        b"text\0\1\2label\n\0\0\xff",
        {},
        "binary.csv is not text: it holds zero bytes\n\n"
        "hint: name its format with --set prepare.reader=parquet|arrow",
    ),
    (
        "picture.csv",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        {},
        "picture.csv is not text: it is a PNG image\n\nhint: export its rows as CSV, JSONL or Parquet",
    ),
    (
        "sheet.csv",
        b"PK\x03\x04\x14\0\6\0\x08\0\0\0",
        {},
        "sheet.csv is not text: it is a ZIP archive, as Excel and Word files are\n\n"
        "hint: export its rows as CSV, JSONL or Parquet",
    ),
    (
        "hollow.json",
        '{"data": []}',
        {},
        "hollow.json holds no rows: its list 'data' is empty\n\nhint: check what wrote it",
    ),
    (
        "cut.jsonl.gz",
        gzip.compress(GOOD.encode() * 2000)[:-20],
        {},
        "cut.jsonl.gz is damaged: gzip says Compressed file ended before the end-of-stream marker was reached\n\n"
        "hint: fetch or compress the file again",
    ),
    (
        "one_label.csv",
        "text,label\none,a\ntwo,a\n",
        {},
        "every row has the label 'a'\n\nhint: a classification needs two labels",
    ),
    (
        "answers.csv",
        "text,label\n" + "".join(f"text {i},answer {i}\n" for i in range(60)),
        {"test": 0},
        "the label has 60 different values in 60 rows; these are answers, not classes\n\n"
        "hint: choose another label_column, or generate: columns: {prompt: …, completion: …}",
    ),
    (
        "group.csv",
        "text,label,user_id\none,a,1\ntwo,b,2\n",
        {"group_column": "userid"},
        "group.csv has 2 bad rows of 2\n  line 2: has no group column 'userid' (did you mean 'user_id'?)\n"
        f"  line 3: has no group column 'userid' (did you mean 'user_id'?)\n\nhint: {FIX}",
    ),
    (
        "greedy.csv",
        "text,label\none,a\ntwo,b\n",
        {"test": 5},
        "test asks for 5 rows, and there are 2 to split\n\nhint: ask for a smaller test",
    ),
    (
        "unknown_format.csv",
        "text,label\none,a\n",
        {"format": "clasification"},
        "no format is called 'clasification' (did you mean 'classification'?)\n\n"
        "hint: choose one of: alpaca, classification, feedback, messages, multiple_choice, preference, "
        "prompt_completion, question_answer, sharegpt, text",
    ),
    (
        "unknown_role.csv",
        "text,label\none,a\n",
        {"columns": {"promt": "text"}},
        "columns names unknown roles: 'promt' (did you mean 'prompt'?)\n\n"
        "hint: roles are: messages, conversations, tools, parallel, system, instruction, input, output, instances, "
        "history, prompt, completion, question, answer, context, text, text_pair, label, options, answer_key, chosen, "
        "rejected, chosen_score, rejected_score, desirable, paragraphs, qas",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "options", "message"), TABLE, ids=[row[0] for row in TABLE])
def test_a_broken_file_is_explained(
    bench: Any, name: str, content: str | bytes, options: dict[str, Any], message: str
) -> None:
    bench.write(name, content)
    from dizuo.errors import DizuoError

    with pytest.raises(DizuoError) as caught:
        bench.prepare(name, **options)
    assert str(caught.value) == message
    assert caught.value.exit_code == 1
    assert [path.name for path in bench.folder.iterdir()] == [name]


def test_a_missing_file_names_the_near_one(bench: Any) -> None:
    bench.write("tickets.csv", "text,label\na,b\n")
    with pytest.raises(DataError) as caught:
        bench.prepare("ticket.csv")
    assert str(caught.value) == "ticket.csv does not exist (did you mean 'tickets.csv'?)\n\nhint: check the path"


def test_a_torn_parquet_file_is_explained(bench: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": ["a"] * 500}), "a.parquet")
    content = (bench.folder / "a.parquet").read_bytes()
    bench.write("a.parquet", content[:-30])
    with pytest.raises(DataError, match=r"a\.parquet cannot be read as Parquet: "):
        bench.prepare("a.parquet")


def test_rows_of_parquet_are_called_rows(bench: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": ["a", "b", ""], "label": ["x", "y", "x"]}), "a.parquet")
    with pytest.raises(DataError) as caught:
        bench.prepare("a.parquet")
    assert str(caught.value) == f"a.parquet has 1 bad row of 3\n  row 3: text is empty\n\nhint: {FIX}"


def test_long_lists_of_bad_rows_are_cut_and_counted(bench: Any) -> None:
    bench.write("a.csv", "text,label\n" + "x,a\n" * 30 + "x,\n" * 25)
    with pytest.raises(DataError) as caught:
        bench.prepare("a.csv")
    assert caught.value.message == "a.csv has 25 bad rows of 55"
    assert len(caught.value.details) == 21
    assert caught.value.details[-1] == "and 5 more"


def test_a_folder_that_can_be_read_in_two_ways_is_refused(bench: Any) -> None:
    bench.write("set/a.csv", "text,label\n")
    bench.write("set/b.jsonl", "{}")
    with pytest.raises(DataError) as caught:
        bench.prepare("set")
    assert str(caught.value) == (
        "set holds files of several formats: .csv, .jsonl\n  a.csv\n  b.jsonl\n\nhint: name the file"
    )


def test_all_wrong_options_are_reported_together() -> None:
    from dizuo.data import PrepareOptions

    with pytest.raises(DataError) as caught:
        PrepareOptions(duplicates="delete", test=-1, rows=0, text_words=-5, input_template="x", source="a", train="b")
    assert caught.value.details == (
        "duplicates is 'delete'; one of: remove, keep",
        "test is -1; a share from 0 to below 1, or a whole number of rows",
        "rows is 0; 'all' or a number from 1",
        "text_words is -5; a number from 0",
        "input_template is 'x'; it must hold {text} exactly once",
        "source and train are both given; they mean the same rows",
    )


def test_a_named_column_that_no_row_has_is_refused_and_never_dropped(bench):
    file = bench.write(
        "tickets.jsonl", [{"text": "it broke", "quue": "repairs"}, {"text": "where is it", "quue": "post"}]
    )
    with pytest.raises(DataError) as caught:
        bench.prepare(file, label_column="queue")
    assert str(caught.value).replace(str(file.parent) + "/", "") == (
        "tickets.jsonl lacks a column that was named\n"
        "  label: no row has a column 'queue' (did you mean 'quue'?)\n"
        "\n"
        "hint: its columns are: text, quue"
    )
