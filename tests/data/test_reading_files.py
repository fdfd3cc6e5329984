"""Containers, encodings and compressions: every row once, with its true first line."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zipfile
from pathlib import Path
from typing import Any

import pytest

from dizuo.data import readers
from dizuo.data.reading.files import Fault, Row, SourceFile
from dizuo.errors import DataError


def rows_of(path: Path, **options: Any) -> list[Row | Fault]:
    source = SourceFile(path, path.name, **options)
    return list(readers.read(source, readers.choose(source)))


def values(path: Path, **options: Any) -> list[dict[str, Any]]:
    rows = rows_of(path, **options)
    assert all(isinstance(row, Row) for row in rows), rows
    return [row.value for row in rows if isinstance(row, Row)]


def test_lines_are_cut_at_newlines_only(bench: Any) -> None:
    texts = ["a\u2028b", "c\u0085d", "e\u2029f\x0bg\x0ch\x1ci", "j"]
    path = bench.write("a.jsonl", [{"text": text} for text in texts])
    rows = rows_of(path)
    assert [(row.line, row.value["text"]) for row in rows if isinstance(row, Row)] == list(enumerate(texts, start=1))


def test_blank_lines_are_no_rows_and_do_not_shift_line_numbers(bench: Any) -> None:
    path = bench.write("a.jsonl", '\n{"text": "a"}\r\n\r\n  \n{"text": "b"}')
    assert [(row.line, row.value) for row in rows_of(path) if isinstance(row, Row)] == [
        (2, {"text": "a"}),
        (5, {"text": "b"}),
    ]


def test_a_csv_row_over_several_lines_keeps_the_line_it_starts_on(bench: Any) -> None:
    path = bench.write("a.csv", 'text,label\n"one\ntwo\nthree",a\nfour,b\n\nfive\n"six\n6",c\n')
    found = [(row.line, row.value["text"] if isinstance(row, Row) else row.reason) for row in rows_of(path)]
    assert found == [
        (2, "one\ntwo\nthree"),
        (5, "four"),
        (7, "has 1 column, the header has 2"),
        (8, "six\n6"),
    ]


def test_a_quote_that_never_closes_costs_one_row(bench: Any) -> None:
    path = bench.write("a.csv", 'text,label\none,a\n"two,b\nthree,c\nfour,d\n')
    found = [(row.line, row.value["text"] if isinstance(row, Row) else row.reason) for row in rows_of(path)]
    assert found == [(2, "one"), (3, "a quote opened here is never closed"), (4, "three"), (5, "four")]


def test_quotation_marks_in_tab_separated_text_are_plain_characters(bench: Any) -> None:
    path = bench.write("a.tsv", 'label\ttext\nham\t"Hi" she said\nham\t"open\nspam\tclose"\n')
    assert [value["text"] for value in values(path)] == ['"Hi" she said', '"open', 'close"']


def test_balanced_quotes_in_tab_separated_text_are_quoting(bench: Any) -> None:
    path = bench.write("a.tsv", 'label\ttext\nham\t"say ""hi"""\nspam\tbuy\n')
    assert [value["text"] for value in values(path)] == ['say "hi"', "buy"]


@pytest.mark.parametrize(("delimiter", "name"), [(",", "comma"), (";", "semicolon"), ("|", "bar"), ("\t", "tab")])
def test_the_separator_is_found_and_stated(bench: Any, delimiter: str, name: str) -> None:
    lines = [["text", "label"], ["a, b; c", "x"], ["d", "y"]]
    content = "\n".join(delimiter.join(f'"{cell}"' if delimiter in cell else cell for cell in line) for line in lines)
    source = SourceFile(bench.write("a.csv", content + "\n"), "a.csv")
    rows = list(readers.read(source, readers.choose(source)))
    assert [row.value for row in rows if isinstance(row, Row)] == [
        {"text": "a, b; c", "label": "x"},
        {"text": "d", "label": "y"},
    ]
    assert source.notes["delimiter"] == name


def test_a_file_without_header_has_numbered_columns(bench: Any) -> None:
    path = bench.write("a", "ham\tgo on, please\nspam\twin now!\nham\tok\n")
    assert values(path)[0] == {"1": "ham", "2": "go on, please"}
    assert values(path, header="yes")[0] == {"ham": "spam", "go on, please": "win now!"}


def test_a_json_array_streams_with_line_numbers(bench: Any) -> None:
    rows = [{"text": "x" * 70_000, "n": i} for i in range(5)]
    path = bench.write("a.json", json.dumps(rows, indent=1))
    found = [row for row in rows_of(path) if isinstance(row, Row)]
    assert [row.value for row in found] == rows
    assert [row.line for row in found] == [2, 6, 10, 14, 18]


def test_a_json_object_gives_the_rows_inside_it(bench: Any) -> None:
    assert values(bench.write("a.json", '{"version": 1, "data": [{"text": "a"}, {"text": "b"}]}')) == [
        {"text": "a"},
        {"text": "b"},
    ]
    assert values(bench.write("b.json", '{"text": ["a", "b"], "label": [0, 1]}')) == [
        {"text": "a", "label": 0},
        {"text": "b", "label": 1},
    ]


def test_json_lines_called_json_are_read_as_lines(bench: Any) -> None:
    assert len(values(bench.write("a.json", '{"text": "a"}\n{"text": "b"}\n'))) == 2


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zip"])
def test_compressed_files_are_read(bench: Any, suffix: str) -> None:
    content = '{"text": "größer"}\n'.encode() * 2
    path = bench.folder / f"a.jsonl{suffix}"
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.jsonl", content)
    else:
        path.write_bytes({".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[suffix](content))
    assert values(path) == [{"text": "größer"}] * 2


CHINESE = "今天天气很好，我们去公园散步。学习使人进步"
WESTERN = "Der Fluß fließt, naïve café"


@pytest.mark.parametrize(
    ("content", "encoding", "text"),
    [
        (f"text\n{WESTERN}\n".encode(), "utf-8", WESTERN),
        (f"text\n{WESTERN}\n".encode("utf-8-sig"), "utf-8-sig", WESTERN),
        (f"text\n{CHINESE}\n".encode("utf-16"), "utf-16", CHINESE),
        (f"text\n{WESTERN}\n".encode("utf-16-le"), "utf-16-le", WESTERN),
        (f"text\n{CHINESE}\n".encode("gb18030"), "gb18030", CHINESE),
        (f"text\n{WESTERN}\n".encode("latin-1"), "latin-1", WESTERN),
        (f"text\n“{WESTERN}” – 5 €\n".encode("cp1252"), "cp1252", f"“{WESTERN}” – 5 €"),
    ],
)
def test_the_encoding_is_found(bench: Any, content: bytes, encoding: str, text: str) -> None:
    source = SourceFile(bench.write("a.txt", content), "a.txt")
    assert source.encoding.name == encoding
    assert [row.value["text"] for row in readers.read(source, "text") if isinstance(row, Row)] == ["text", text]


def test_the_encoding_can_be_overridden(bench: Any) -> None:
    path = bench.write("a.txt", "Łódź\n".encode("iso8859-2"))
    assert values(path, encoding_asked="latin2") == [{"text": "Łódź"}]
    with pytest.raises(DataError, match="there is no encoding 'klingon'"):
        values(path, encoding_asked="klingon")


def test_one_broken_byte_does_not_change_the_encoding_of_a_file(bench: Any) -> None:
    path = bench.write("a.txt", "größer\n".encode() * 3 + b"gr\xf6\xdfer\n")
    source = SourceFile(path, "a.txt")
    assert source.encoding.name == "utf-8"
    assert source.encoding.evidence == "UTF-8 but for 1 of 4 non-ASCII lines"


def test_plain_text_is_lines_or_blocks(bench: Any) -> None:
    assert [r.value["text"] for r in rows_of(bench.write("a.txt", "one\ntwo\n"))] == ["one", "two"]  # type: ignore[union-attr]
    blocks = rows_of(bench.write("b.txt", "\n\none\ntwo\n\n\nthree\n"))
    assert [(r.line, r.value["text"]) for r in blocks if isinstance(r, Row)] == [(3, "one\ntwo"), (7, "three")]


def test_parquet_and_arrow_rows_are_numbered(bench: Any) -> None:
    import pyarrow as pa
    import pyarrow.feather as feather
    import pyarrow.parquet as pq

    table = pa.table({"text": [f"t{i}" for i in range(3000)], "label": list(range(3000))})
    pq.write_table(table, bench.folder / "a.parquet", row_group_size=700)
    feather.write_feather(table, str(bench.folder / "a.arrow"), compression="uncompressed")
    with pa.OSFile(str(bench.folder / "s.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    for name in ("a.parquet", "a.arrow", "s.arrow"):
        rows = rows_of(bench.folder / name)
        assert len(rows) == 3000
        assert rows[2999] == Row(3000, {"text": "t2999", "label": 2999})


def test_a_folder_of_classes_gives_labels_and_the_files_own_encodings(bench: Any) -> None:
    bench.write("news/sport/1.txt", "Tor für Köln\n")
    bench.write("news/sport/2.txt", "Café in Ascot\n".encode("latin-1"))
    bench.write("news/tech/1.txt", "Chip\n")
    bench.write("news/tech/notes.pdf", b"%PDF")
    source = SourceFile(bench.folder / "news", "news")
    rows = list(readers.read(source, readers.choose(source)))
    assert [(r.file, r.value) for r in rows if isinstance(r, Row)] == [
        ("news/sport/1.txt", {"text": "Tor für Köln\n", "label": "sport"}),
        ("news/sport/2.txt", {"text": "Café in Ascot\n", "label": "sport"}),
        ("news/tech/1.txt", {"text": "Chip\n", "label": "tech"}),
    ]
    assert source.notes == {"encodings": {"latin-1": 1, "utf-8": 2}, "other files, not read": 1}


def test_a_carriage_return_inside_a_text_is_part_of_it(bench: Any) -> None:
    assert values(bench.write("a.txt", "one\rtwo\r\nthree\n")) == [{"text": "one\rtwo"}, {"text": "three"}]
    path = bench.write("a.csv", 'text,label\r\n"one\rtwo\r\nthree",a\r\nfour,b\r\n')
    rows = [(row.line, row.value["text"]) for row in rows_of(path) if isinstance(row, Row)]
    assert rows == [(2, "one\rtwo\r\nthree"), (4, "four")]
