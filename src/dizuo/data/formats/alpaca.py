"""Alpaca: `instruction`, `input?`, `output`, `system?`, `history?`; also Self-Instruct's `instances`.

Instruction and input are joined by a blank line (frameworks differ here; this is ours). An empty input is normal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from dizuo.data.formats import Format
from dizuo.data.options import PrepareOptions
from dizuo.data.reading.columns import Columns, RowError, describe
from dizuo.data.reading.files import Cells
from dizuo.records import Chat, Message, Origin


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
    instruction = columns.string(row, "instruction")
    before: list[Message] = []
    system = columns.get(row, "system")
    if isinstance(system, str) and system.strip():
        before.append(Message("system", system))
    history = columns.get(row, "history") or ()
    if not isinstance(history, Sequence | Mapping):
        raise RowError(f"history is {describe(history)}, not a list of pairs")
    for number, turn in enumerate(history, start=1):
        match turn:
            case [str(asked), str(answered)]:
                before += [Message("user", asked), Message("assistant", answered)]
            case _:
                raise RowError(f"turn {number} of history is not a pair of strings")
    instances = columns.get(row, "instances")
    if instances is None:
        given = columns.get(row, "input")
        if given is not None and not isinstance(given, str):
            raise RowError(f"input is {describe(given)}, not a string")
        yield _chat(before, instruction, given or "", columns.string(row, "output"))
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
            yield replace(_chat(before, instruction, given, output), origin=Origin(path=path))


def _chat(before: list[Message], instruction: str, given: str, output: str) -> Chat:
    asked = f"{instruction}\n\n{given}" if given.strip() else instruction
    return Chat((*before, Message("user", asked), Message("assistant", output)))


FORMAT = Format(makes=(Chat,), needs=("instruction", "output"), fits=fits, read=read)
