"""OpenAI chat: `messages: [{role, content, tool_calls?, …}]`, `tools?`, `system?`."""

from __future__ import annotations

from collections.abc import Iterator

from dizuo.data.formats import Format
from dizuo.data.options import PrepareOptions
from dizuo.data.reading.asking import turns_of
from dizuo.data.reading.columns import Columns
from dizuo.data.reading.files import Cells
from dizuo.data.reading.tool_calls import check_parallel, tools_of
from dizuo.data.reading.turns import check_answered, is_turn_list
from dizuo.records import Chat


def fits(row: Cells, columns: Columns) -> set[str] | None:
    """Return the column that holds a list of objects with roles."""
    if not is_turn_list(columns.get(row, "messages")):
        return None
    return {str(columns.name(row, "messages"))}


def read(row: Cells, columns: Columns, options: PrepareOptions) -> Iterator[Chat]:
    """Yield one conversation; a `system` column becomes its first turn."""
    messages = turns_of(row, columns, "messages")
    check_answered(messages, column="messages")
    check_parallel(row, columns, messages)
    yield Chat(messages, tools=tools_of(row, columns))


FORMAT = Format(makes=(Chat,), needs=("messages",), fits=fits, read=read)
