"""OpenAI chat: `messages: [{role, content, tool_calls?, …}]`, `tools?`."""

from __future__ import annotations

from collections.abc import Iterator

from dizuo.data.formats import Format
from dizuo.data.options import PrepareOptions
from dizuo.data.reading.columns import Columns
from dizuo.data.reading.files import Cells
from dizuo.data.reading.turns import check_answered, is_turn_list, messages_from, tools_from
from dizuo.records import Chat


def fits(row: Cells, columns: Columns) -> set[str] | None:
    """Return the column that holds a list of objects with roles."""
    turns = columns.get(row, "messages")
    if not is_turn_list(turns) or "role" not in turns[0]:
        return None
    return {str(columns.name(row, "messages"))}


def read(row: Cells, columns: Columns, options: PrepareOptions) -> Iterator[Chat]:
    """Yield one conversation."""
    messages = messages_from(columns.need(row, "messages"), column="messages")
    check_answered(messages, column="messages")
    yield Chat(messages, tools=tools_from(columns.get(row, "tools")))


FORMAT = Format(makes=(Chat,), needs=("messages",), fits=fits, read=read)
