"""ShareGPT: `conversations: [{from, value}]`, `system?`, `tools?`."""

from __future__ import annotations

from collections.abc import Iterator

from dizuo.data.formats import Format
from dizuo.data.options import PrepareOptions
from dizuo.data.reading.columns import Columns
from dizuo.data.reading.files import Cells
from dizuo.data.reading.turns import check_answered, is_turn_list, messages_from, tools_from
from dizuo.records import Chat, Message


def fits(row: Cells, columns: Columns) -> set[str] | None:
    """Return the column that holds a list of objects with speakers."""
    if not is_turn_list(columns.get(row, "conversations")):
        return None
    return {str(columns.name(row, "conversations"))}


def read(row: Cells, columns: Columns, options: PrepareOptions) -> Iterator[Chat]:
    """Yield one conversation; a `system` column becomes its first turn."""
    messages = messages_from(columns.need(row, "conversations"), column="conversations")
    system = columns.get(row, "system")
    if isinstance(system, str) and system.strip():
        messages = (Message("system", system), *messages)
    check_answered(messages, column="conversations")
    yield Chat(messages, tools=tools_from(columns.get(row, "tools")))


FORMAT = Format(makes=(Chat,), needs=("conversations",), fits=fits, read=read)
