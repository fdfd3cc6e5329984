"""Rows of tables, for readers of every format."""

from __future__ import annotations

from dizuo.vectors.knowledge.documents.tables import Table


def test_a_cell_over_rows_and_columns_is_in_each_row_once() -> None:
    table = Table()
    table.cell("a", columns=2, rows=2)
    table.cell(" b\n c ")
    assert table.end_row() == "a\tb c"
    assert table.is_spanned
    table.cell("d")
    assert table.end_row() == "a\td"
    assert not table.is_spanned
    assert table.end_row() == ""


def test_a_cell_that_goes_on_has_the_text_above_it() -> None:
    table = Table()
    table.cell("a", columns=2)
    table.cell("b")
    table.end_row()
    table.skip(2)
    table.repeat()
    assert table.end_row() == "b"
    table.repeat(columns=2)
    table.cell("c")
    assert table.end_row() == "a\tc"


def test_a_long_text_is_not_repeated() -> None:
    table = Table()
    table.cell("x" * 201, rows=2)
    table.end_row()
    table.cell("b")
    assert table.end_row() == "\tb"
