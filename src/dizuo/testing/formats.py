"""What every record format is held to.

class TestMine(FormatSuite):
    name = "sms"
    rows = ({"sms": "Are you coming?"}, {"sms": "In ten minutes."})
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dizuo.data import PrepareOptions, prepare
from dizuo.data.dataset import Split, SplitWriter
from dizuo.data.formats import FORMATS, Format
from dizuo.data.reading.columns import Columns, RowError
from dizuo.data.reading.files import Cells
from dizuo.data.reading.keys import View, unread
from dizuo.errors import DataError
from dizuo.records import Example, Json, from_json, to_json, with_identity

__all__ = ["FormatSuite"]

ODD: tuple[Json, ...] = (None, 3, 0.5, True, "", " ", [], {}, [3], [[]], [{}], {"a": [None]})
"""Values that stand in the place of each column in turn."""


class FormatSuite:
    """Subclass it with the format's `name` and `rows` of it, two at least, no two alike; see the module docstring."""

    name: str
    rows: tuple[Cells, ...]
    unread: frozenset[str] = frozenset()
    """Paths of keys in `rows` that the format leaves alone on purpose, such as `answer.answer_start`."""

    @pytest.fixture
    def format(self) -> Format:
        """Return the format under test."""
        return FORMATS.load(self.name)

    def test_it_has_the_name_that_a_user_gives(self, format: Format) -> None:
        assert format.name == self.name
        assert self.name in FORMATS.names()

    def test_its_rows_fit_by_columns_that_they_have(self, format: Format) -> None:
        for row in self.rows:
            used = format.fits(row, Columns())
            assert used is not None, f"{row} does not fit"
            assert used
            assert used <= set(row)

    def test_a_row_without_its_columns_does_not_fit(self, format: Format) -> None:
        assert format.fits({}, Columns()) is None
        assert format.fits({"zzz": 1}, Columns()) is None

    def test_its_rows_become_examples_of_the_kinds_that_it_names(self, format: Format) -> None:
        for row in self.rows:
            examples = read(format, row)
            assert examples
            assert {type(example) for example in examples} <= set(format.makes)

    def test_a_row_is_read_alike_every_time_and_left_as_it_was(self, format: Format) -> None:
        for row in self.rows:
            before = copy.deepcopy(row)
            assert read(format, row) == read(format, row)
            assert row == before

    def test_every_key_of_its_rows_is_read(self, format: Format) -> None:
        left = {path for row in self.rows for path in unread_of(format, row)}
        assert left == self.unread

    def test_a_key_that_it_does_not_read_is_named_with_its_path(self, format: Format) -> None:
        for row in self.rows:
            assert "zzz" in unread_of(format, {**row, "zzz": 1})
            for column, value in row.items():
                if not isinstance(value, list) or not value or not isinstance(value[0], dict):
                    continue
                left = unread_of(format, {**row, column: [{**value[0], "zzz": 1}, *value[1:]]})
                paths = [re.sub(r"\[\w*\]", "[]", path) for path in left]
                passed_on = column in ("tools", "functions")  # as they are, with all that they hold
                assert passed_on or f"{column}[].zzz" in paths, (column, left)

    def test_what_cannot_be_read_is_a_row_error_with_a_reason(self, format: Format) -> None:
        for row in broken(self.rows):
            format.fits(row, Columns())
            try:
                results = list(format.read(row, Columns(), PrepareOptions()))
            except RowError as error:
                results = [error]
            for result in results:
                assert isinstance(result, (RowError, *format.makes)), row
                assert not isinstance(result, RowError) or str(result)

    def test_a_row_without_what_it_needs_is_refused(self, format: Format) -> None:
        with pytest.raises(RowError):
            list(format.read({"zzz": 1}, Columns(), PrepareOptions()))

    def test_its_examples_come_back_from_json_and_from_disk(self, format: Format, tmp_path: Path) -> None:
        by_kind: dict[type, list[Example]] = {}
        for row in self.rows:
            for example in map(with_identity, read(format, row)):
                assert from_json(json.loads(json.dumps(to_json(example)))) == example
                by_kind.setdefault(type(example), []).append(example)
        for kind, examples in by_kind.items():
            path = tmp_path / f"{kind.__name__}.arrow"
            with SplitWriter(path, kind=kind) as writer:
                writer.write(examples)
            assert list(Split(path, name="train")) == examples

    def test_it_is_found_from_its_rows_and_every_row_is_accounted_for(self, tmp_path: Path) -> None:
        file = tmp_path / "rows.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in self.rows), "utf-8")
        data = prepare(file, tmp_path / "out", options=PrepareOptions(test=0))
        assert data.card.format == self.name
        account = data.card.ledger
        assert account.read == account.kept + sum(account.removed.values())
        assert account.kept == len(data.train) >= len(self.rows)

    def test_a_file_of_other_rows_is_an_error_that_shows_them(self, tmp_path: Path) -> None:
        file = tmp_path / "rows.jsonl"
        file.write_text('{"zzz": 1}\n{"zzz": 2}\n', "utf-8")
        with pytest.raises(DataError, match="zzz") as raised:
            prepare(file, tmp_path / "out", options=PrepareOptions(test=0, format=self.name))
        assert raised.value.hint


def read(format: Format, row: Cells) -> list[Example]:
    """Return the examples of a good row."""
    examples = []
    for result in format.read(row, Columns(), PrepareOptions()):
        assert not isinstance(result, RowError), f"{row}: {result}"
        examples.append(result)
    return examples


def unread_of(format: Format, row: Cells) -> list[str]:
    """Return the paths of the keys of a good row that its examples do not come from."""
    view = View(json.loads(json.dumps(row)))
    for example in read(format, view):
        with_identity(example)
    return unread(view)


def broken(rows: tuple[Cells, ...]) -> Iterator[Cells]:
    """Yield each row without each of its columns, and with odd values in each, two levels deep."""
    for row in rows:
        for column, value in row.items():
            yield {name: cell for name, cell in row.items() if name != column}
            for odd in ODD:
                yield {**row, column: odd}
            if isinstance(value, list):
                for odd in ODD:
                    yield {**row, column: [odd, *value[1:]]}
                    if value and isinstance(value[0], dict):
                        for key in value[0]:
                            yield {**row, column: [{**value[0], key: odd}, *value[1:]]}
