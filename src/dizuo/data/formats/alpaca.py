"""Alpaca: `instruction`, `input?`, `output`, `system?`, `history?`; also Self-Instruct's `instances`.

Instruction and input are joined by a blank line (frameworks differ here; this is ours). An empty input is normal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from dizuo.data.options import PrepareOptions
from dizuo.data.reading.columns import Columns, RowError, describe
from dizuo.records import Chat, Message, Origin

KIND = Chat
NEEDS = ("instruction", "output")


def fits(row: Mapping[str, Any], columns: Columns) -> set[str] | None:
    """A string `instruction` with a string `output` or a list of instances."""
    if not isinstance(columns.get(row, "instruction"), str):
        return None
    if isinstance(columns.get(row, "output"), str):
        used = {columns.name(row, "instruction"), columns.name(row, "output"), columns.name(row, "input")}
        return {str(name) for name in used if name is not None}
    if isinstance(columns.get(row, "instances"), list):
        return {str(columns.name(row, "instruction")), str(columns.name(row, "instances"))}
    return None


def read(row: Mapping[str, Any], columns: Columns, options: PrepareOptions) -> Iterator[Chat | RowError]:
    """One conversation per answer; an instance that cannot be used is one bad row."""
    instruction = columns.string(row, "instruction")
    before: list[Message] = []
    system = columns.get(row, "system")
    if isinstance(system, str) and system.strip():
        before.append(Message("system", system))
    for number, turn in enumerate(columns.get(row, "history") or (), start=1):
        if not isinstance(turn, list | tuple) or len(turn) != 2 or not all(isinstance(said, str) for said in turn):
            raise RowError(f"turn {number} of history is not a pair of strings")
        before += [Message("user", turn[0]), Message("assistant", turn[1])]
    instances = columns.get(row, "instances")
    if instances is None:
        given = columns.get(row, "input")
        if given is not None and not isinstance(given, str):
            raise RowError(f"input is {describe(given)}, not a string")
        yield _chat(before, instruction, given or "", columns.string(row, "output"))
        return
    if not instances:
        raise RowError("instances is empty")
    name = columns.name(row, "instances")
    for number, instance in enumerate(instances, start=1):
        place = f"{name}[{number - 1}]"
        if not isinstance(instance, Mapping) or not isinstance(instance.get("output"), str):
            yield RowError(f"instance {number} has no output", path=place)
        elif not instance["output"].strip():
            yield RowError(f"the output of instance {number} is empty", path=place)
        else:
            chat = _chat(before, instruction, instance.get("input") or "", instance["output"])
            yield replace(chat, origin=Origin(path=place))


def _chat(before: list[Message], instruction: str, given: str, output: str) -> Chat:
    asked = f"{instruction}\n\n{given}" if given.strip() else instruction
    return Chat((*before, Message("user", asked), Message("assistant", output)))
