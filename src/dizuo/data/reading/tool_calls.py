"""Reads what a turn calls, and the tools that a conversation may call, as OpenAI writes them today.

Older and other forms are read too: a single `function_call`, calls as JSON in a string (ShareGPT's `function_call`
turns), definitions under `functions` without their wrapping.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from dizuo.data.reading.columns import Columns, RowError, describe, truth_of
from dizuo.data.reading.files import Cells
from dizuo.records import Json, Message

__all__ = ["calls_of", "check_parallel", "parse_calls", "tools_from", "tools_of"]


def tools_of(row: Cells, columns: Columns) -> tuple[Mapping[str, Json], ...]:
    """Return the tools of a row; definitions under OpenAI's older name `functions` are wrapped as today's are.

    Raises:
        RowError: they are no tools.
    """
    name = columns.name(row, "tools")
    tools = tools_from(columns.get(row, "tools"))
    if name is not None and str(name).lower() == "functions":
        return tuple(tool if "function" in tool else {"type": "function", "function": dict(tool)} for tool in tools)
    return tools


def check_parallel(row: Cells, columns: Columns, messages: Sequence[Message]) -> None:
    """Refuse a row that says `parallel_tool_calls: false` and has an answer that makes several calls at once.

    Where the two agree the key says nothing more: the answers are what is learnt.

    Raises:
        RowError: they contradict each other.
    """
    value = columns.get(row, "parallel")
    if value is None:
        return
    allowed = truth_of(value)
    if allowed is None:
        raise RowError(f"parallel_tool_calls is {describe(value)}, not true or false")
    if not allowed and any(len(message.tool_calls) > 1 for message in messages):
        raise RowError("an answer makes several calls at once, and parallel_tool_calls is false")


def tools_from(value: Json) -> tuple[Mapping[str, Json], ...]:
    """Return tool definitions, given as a list, or as JSON in a string.

    Raises:
        RowError: they are neither.
    """
    if value is None or value == "" or value == []:
        return ()
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise RowError("tools is a string that is not JSON") from None
    if not isinstance(value, list) or not all(isinstance(tool, dict) for tool in value):
        raise RowError(f"tools is {describe(value)}, not a list of objects")
    return tuple(value)


def calls_of(turn: Mapping[str, Json], place: str) -> tuple[Mapping[str, Json], ...]:
    """Return the calls of a turn, from `tool_calls` or from OpenAI's older `function_call`.

    Raises:
        RowError: a call cannot be read, or the turn has both.
    """
    calls = _tool_calls(turn.get("tool_calls"), place)
    older = turn.get("function_call")
    if not older:
        return calls
    if calls:
        raise RowError(f"{place} has tool_calls and a function_call")
    return _tool_calls(older if isinstance(older, list) else [older], place)


def parse_calls(value: Json, place: str) -> tuple[Mapping[str, Json], ...]:
    """Return the calls that a ShareGPT turn writes as its text: an object or a list of them, or JSON of either."""
    try:
        call = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise RowError(f"{place} is a function call that is not JSON") from None
    calls = _tool_calls(call if isinstance(call, list) else [call], place)
    if not calls:
        raise RowError(f"{place} is a function call without a call")
    return calls


def _tool_calls(value: Json, place: str) -> tuple[Mapping[str, Json], ...]:
    if value and not isinstance(value, Sequence | Mapping):
        raise RowError(f"{place} has tool calls that are {describe(value)}, not a list")
    calls: list[Mapping[str, Json]] = []
    for call in value if isinstance(value, Sequence | Mapping) else ():
        if isinstance(call, Mapping) and call.get("type", "function") not in ("function", None):
            raise RowError(f"{place} has a tool call of type {call['type']!r}; dizuo reads functions")
        function = call.get("function", call) if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise RowError(f"{place} has a tool call without a function name")
        arguments = function.get("arguments", {})
        if isinstance(arguments, str):
            # Templates write arguments with `tojson`: a string would be quoted twice.
            try:
                arguments = json.loads(arguments or "{}")
            except ValueError:
                raise RowError(f"{place} calls {function['name']} with arguments that are not JSON") from None
        if not isinstance(arguments, Mapping):
            raise RowError(f"{place} calls {function['name']} with arguments that are {describe(arguments)}")
        entry: dict[str, Json] = {
            "type": "function",
            "function": {"name": function["name"], "arguments": dict(arguments)},
        }
        if isinstance(call, Mapping) and call.get("id"):
            entry["id"] = call["id"]
        calls.append(entry)
    return tuple(calls)
