"""What every reader of a container format is held to.

class TestMine(ReaderSuite):
    name = "yaml"
    rows = ({"text": "a"}, {"text": "b"})

    def write(self, folder):
        path = folder / "rows.yaml"
        path.write_text("- text: a\\n- text: b\\n")
        return path
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from dizuo.data import readers
from dizuo.data.readers import READERS, Reader
from dizuo.data.reading.files import Cells, Fault, Row, SourceFile
from dizuo.errors import DataError

__all__ = ["ReaderSuite"]


class ReaderSuite:
    """Subclass it with the reader's `name`, `rows`, and a method that writes them; see the module docstring."""

    name: str
    rows: tuple[Cells, ...]

    def write(self, folder: Path) -> Path:
        """Write a file, or a folder, that holds the rows, and return it."""
        raise NotImplementedError

    @pytest.fixture
    def reader(self) -> Reader:
        """Return the reader under test."""
        return READERS.load(self.name)

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        """Return the written file or folder."""
        return self.write(tmp_path)

    @pytest.fixture
    def file(self, path: Path) -> Path:
        """Return the written file."""
        if path.is_dir():
            pytest.skip("the format is a folder")
        return path

    def test_it_has_the_name_that_a_user_gives(self, reader: Reader) -> None:
        assert reader.name == self.name
        assert self.name in READERS.names()
        assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in reader.suffixes)

    def test_it_is_chosen_by_suffix(self, path: Path) -> None:
        assert readers.choose(source_of(path)) == self.name

    def test_it_is_chosen_by_content(self, reader: Reader, file: Path) -> None:
        assert reader.looks(file.read_bytes()[: 1 << 16])
        assert readers.choose(source_of(file.rename(file.with_name("data")))) == self.name

    def test_its_rows_come_in_file_order_every_time(self, reader: Reader, path: Path) -> None:
        rows = list(reader.read(source_of(path)))
        assert [row.value for row in rows if isinstance(row, Row)] == list(self.rows)
        assert len(rows) == len(self.rows)
        assert rows == list(reader.read(source_of(path)))

    def test_every_row_says_where_it_stands(self, reader: Reader, path: Path) -> None:
        places = [(row.file, row.line, row.path) for row in reader.read(source_of(path))]
        assert len(set(places)) == len(places)
        assert all(line is None or line >= 1 for _, line, _ in places)
        assert all(line is not None or path for _, line, path in places)

    def test_a_compressed_file_has_the_same_rows(self, reader: Reader, file: Path) -> None:
        packed = file.with_name(f"{file.name}.gz")
        packed.write_bytes(gzip.compress(file.read_bytes()))
        assert readers.choose(source_of(packed)) == self.name
        assert list(reader.read(source_of(packed))) == list(reader.read(source_of(file)))

    def test_a_text_file_in_another_encoding_has_the_same_rows(self, reader: Reader, file: Path) -> None:
        if not reader.is_text:
            pytest.skip("the format is not text")
        before = list(reader.read(source_of(file)))
        file.write_bytes(file.read_text("utf-8").encode("utf-16"))
        assert list(reader.read(source_of(file))) == before

    def test_an_empty_file_is_an_error(self, file: Path) -> None:
        file.write_bytes(b"")
        with pytest.raises(DataError, match="is empty"):
            readers.choose(source_of(file))

    def test_a_damaged_file_gives_rows_faults_or_one_error(self, reader: Reader, file: Path) -> None:
        for content in damaged(file.read_bytes()):
            file.write_bytes(content)
            try:
                rows = list(reader.read(source_of(file)))
            except DataError as error:
                refusal: DataError | None = error
            else:
                refusal = None
                assert all(isinstance(row, Row) or (isinstance(row, Fault) and row.reason) for row in rows)
            assert refusal is None or (file.name in refusal.message and refusal.hint)


def source_of(path: Path) -> SourceFile:
    """Return a file as a source that a message calls by its name."""
    return SourceFile(path, path.name)


def damaged(content: bytes) -> Iterator[bytes]:
    """Yield the content cut short at several places, and with bytes that belong to no text in it."""
    for parts in (2, 3, 5, 7):
        yield content[: len(content) // parts] or b"?"
    yield content[: len(content) // 2] + b"\xff\xfe\xfd" + content[len(content) // 2 :]
    yield content[::-1]
    yield bytes(range(256))
