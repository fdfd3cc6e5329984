"""Prompts with their completions: `prompt` and `completion`, strings or message lists.

Strings are trained as they stand, without the chat template, unless `as_chat` or an `instruction` asks for it; then a
`system` text, a `history` and `tools` are read as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from dizuo.data.formats import Format
from dizuo.data.options import PrepareOptions
from dizuo.data.reading.asking import before_of
from dizuo.data.reading.columns import Columns
from dizuo.data.reading.files import Cells
from dizuo.data.reading.tool_calls import check_parallel, tools_of
from dizuo.data.reading.turns import check_answered, is_turn_list, messages_from
from dizuo.data.rendering.prompts import prompt_messages
from dizuo.data.task import Task
from dizuo.records import Chat, Message, Text


def fits(row: Cells, columns: Columns) -> set[str] | None:
    """Return the columns of a prompt and a completion, each a string or a message list."""
    values = columns.get(row, "prompt"), columns.get(row, "completion")
    if not all(isinstance(value, str) or is_turn_list(value) for value in values):
        return None
    return {str(columns.name(row, "prompt")), str(columns.name(row, "completion"))}


def read(row: Cells, columns: Columns, options: PrepareOptions) -> Iterator[Text | Chat]:
    """Yield running text with its prompt, or a conversation."""
    prompt, completion = columns.need(row, "prompt"), columns.need(row, "completion")
    if isinstance(prompt, str) and isinstance(completion, str):
        prompt, completion = columns.string(row, "prompt"), columns.string(row, "completion")
        if not options.as_chat and not options.instruction:
            yield Text(completion, prompt=prompt)
            return
        task = Task("generation", options.instruction or "", input_template=options.input_template)
        asked = (*before_of(row, columns), *prompt_messages(prompt, task))
        yield Chat((*asked, Message("assistant", completion)), tools=tools_of(row, columns))
        return
    before = (Message("user", prompt),) if isinstance(prompt, str) else messages_from(prompt, column="prompt")
    if isinstance(completion, str):
        after: tuple[Message, ...] = (Message("assistant", columns.string(row, "completion")),)
    else:
        after = messages_from(completion, column="completion")
    messages = (*before_of(row, columns, before), *before, *after)
    check_answered(messages, column="completion")
    check_parallel(row, columns, messages)
    yield Chat(messages, tools=tools_of(row, columns))


FORMAT = Format(makes=(Text, Chat), needs=("prompt", "completion"), fits=fits, read=read)
