"""Running text: one string column, trained whole and without a template."""

from __future__ import annotations

from collections.abc import Iterator

from dizuo.data.formats import Format
from dizuo.data.options import PrepareOptions
from dizuo.data.reading.columns import Columns
from dizuo.data.reading.files import Cells
from dizuo.records import Text

_WEAK = (
    "title", "headline", "message", "comment", "body", "sentence1", "text1", "premise", "question1", "text_a",
    "sentence_a", "标题", "评论", "评价", "留言", "消息", "描述", "句子1", "文本1",
)  # fmt: skip


def fits(row: Cells, columns: Columns) -> set[str] | None:
    """Return the column of a string text; a title, message or comment alone is too weak a sign."""
    name = columns.name(row, "text")
    if name is None or not isinstance(row[name], str):
        return None
    return None if name.lower() in _WEAK and "text" not in columns.asked else {name}


def read(row: Cells, columns: Columns, options: PrepareOptions) -> Iterator[Text]:
    """Yield one text."""
    yield Text(columns.string(row, "text"))


FORMAT = Format(makes=(Text,), needs=("text",), fits=fits, read=read)
