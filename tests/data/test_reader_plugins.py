"""Every reader of ours, held to the suite that a third party's is held to."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dizuo.data.readers import READERS
from dizuo.testing import ReaderSuite

ROWS = ({"text": "Größe", "label": "a"}, {"text": "two\nlines", "label": "b"}, {"text": "三", "label": "a"})


class TestArrow(ReaderSuite):
    name = "arrow"
    rows = ROWS

    def write(self, folder: Path) -> Path:
        table = pa.Table.from_pylist(list(ROWS))
        with pa.ipc.new_file(str(folder / "rows.arrow"), table.schema) as writer:
            writer.write_table(table)
        return folder / "rows.arrow"


class TestDelimited(ReaderSuite):
    name = "delimited"
    rows = ROWS

    def write(self, folder: Path) -> Path:
        path = folder / "rows.csv"
        path.write_text('text,label\nGröße,a\n"two\nlines",b\n三,a\n', "utf-8")
        return path


class TestFolder(ReaderSuite):
    name = "folder"
    rows = ({"text": "eins", "label": "a"}, {"text": "zwei", "label": "a"}, {"text": "drei", "label": "b"})

    def write(self, folder: Path) -> Path:
        for name, text in (("a/1.txt", "eins"), ("a/2.txt", "zwei"), ("b/1.txt", "drei")):
            (folder / "classes" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "classes" / name).write_text(text, "utf-8")
        return folder / "classes"


class TestJson(ReaderSuite):
    name = "json"
    rows = ROWS

    def write(self, folder: Path) -> Path:
        path = folder / "rows.json"
        path.write_text(json.dumps(list(ROWS), ensure_ascii=False, indent=1), "utf-8")
        return path


class TestJsonLines(ReaderSuite):
    name = "jsonl"
    rows = ROWS

    def write(self, folder: Path) -> Path:
        path = folder / "rows.jsonl"
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), "utf-8")
        return path


class TestParquet(ReaderSuite):
    name = "parquet"
    rows = ROWS

    def write(self, folder: Path) -> Path:
        pq.write_table(pa.Table.from_pylist(list(ROWS)), folder / "rows.parquet")
        return folder / "rows.parquet"


class TestText(ReaderSuite):
    name = "text"
    rows = ({"text": "Größe"}, {"text": "zwei Worte"}, {"text": "三"})

    def write(self, folder: Path) -> Path:
        path = folder / "rows.txt"
        path.write_text("Größe\nzwei Worte\n三\n", "utf-8")
        return path


def test_every_reader_is_held_to_the_suite() -> None:
    held = {suite.name for suite in ReaderSuite.__subclasses__() if suite.__module__ == __name__}
    assert held == set(READERS.names())


def test_finding_the_readers_loads_no_arrow() -> None:
    code = "import sys; from dizuo.data.readers import READERS; READERS.all(); print('pyarrow' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout == "False\n"
