"""Alpaca: `instruction`, `input?`, `output`, `system?`, `history?`; also Dolly's `context` and `response`, and
Self-Instruct's `instances`.

Instruction and input are joined by a blank line (frameworks differ here; this is ours). An empty input is normal, and
so is an empty instruction where the input holds all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from dizuo.data.formats import Format
from dizuo.data.options import PrepareOptions
from dizuo.data.reading.asking import before_of, instructed
from dizuo.data.reading.columns import Columns, RowError, describe
from dizuo.data.reading.files import Cells
from dizuo.data.reading.tool_calls import tools_of
from dizuo.records import Chat, Json, Message, Origin


def fits(row: Cells, columns: Columns) -> set[str] | None:
    """Return the columns of a row with an `instruction` and an `output`, both strings, or a list of instances."""
    if not isinstance(columns.get(row, "instruction"), str):
        return None
    if isinstance(columns.get(row, "output"), str):
        used = {columns.name(row, "instruction"), columns.name(row, "output"), columns.name(row, "input")}
        return {str(name) for name in used if name is not None}
    if isinstance(columns.get(row, "instances"), list):
        return {str(columns.name(row, "instruction")), str(columns.name(row, "instances"))}
    return None


def read(row: Cells, columns: Columns, options: PrepareOptions) -> Iterator[Chat | RowError]:
    """Yield one conversation per answer; an instance that cannot be used is one bad row."""
    instruction = columns.string(row, "instruction", empty=True)
    before = before_of(row, columns)
    tools = tools_of(row, columns)
    instances = columns.get(row, "instances")
    if instances is None:
        asked = instructed(instruction, columns.get(row, "input"))
        yield _chat(before, asked, columns.string(row, "output"), tools)
        return
    if not instances:
        raise RowError("instances is empty")
    if not isinstance(instances, Sequence | Mapping):
        raise RowError(f"instances is {describe(instances)}, not a list")
    name = columns.name(row, "instances")
    for number, instance in enumerate(instances, start=1):
        path = f"{name}[{number - 1}]"
        output = instance.get("output") if isinstance(instance, Mapping) else None
        if not isinstance(instance, Mapping) or not isinstance(output, str):
            yield RowError(f"instance {number} has no output", path=path)
            continue
        given = instance.get("input") or ""
        if not output.strip():
            yield RowError(f"the output of instance {number} is empty", path=path)
        elif not isinstance(given, str):
            yield RowError(f"the input of instance {number} is {describe(given)}, not a string", path=path)
        else:
            try:
                asked = instructed(instruction, given)
            except RowError as error:
                yield RowError(str(error), path=path)
                continue
            yield replace(_chat(before, asked, output, tools), origin=Origin(path=path))


def _chat(before: Sequence[Message], asked: str, output: str, tools: tuple[Mapping[str, Json], ...]) -> Chat:
    return Chat((*before, Message("user", asked), Message("assistant", output)), tools=tools)


FORMAT = Format(makes=(Chat,), needs=("instruction", "output"), fits=fits, read=read)
