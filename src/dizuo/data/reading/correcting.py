"""Corrects a row that its format refuses, where the correction is clear: a misspelt key or role, a number for a text.

Every repair is tried on the format itself, alone and together with the others; only a row that the format then reads is
offered. It is shown in an error, as a line to paste. Nothing is ever corrected in silence.
"""

from __future__ import annotations

import ast
import contextlib
import csv
import difflib
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeGuard

from dizuo.data.formats import Format
from dizuo.data.options import PrepareOptions
from dizuo.data.reading.columns import ALIASES, Columns, RowError, known_column
from dizuo.data.reading.files import Cells
from dizuo.data.reading.turns import ROLES, SPEAKERS

__all__ = ["as_line", "correct", "correct_text"]

LONGEST = 4000
"""Characters of a corrected line that is still shown."""
_NEAR = 0.75
_TURN_KEYS = ("role", "content", "from", "value")
_DELIMITERS = {"tab": "\t", "comma": ",", "semicolon": ";", "bar": "|"}
_TEXTS = ("prompt", "completion", "question", "answer", "instruction", "input", "output", "context", "system", "text")
_NO_TEXTS = ("label", "desirable", "options", "answer_key")
"""Roles whose numbers mean something as they are."""
_SAID = {"ai": "assistant", "agent": "assistant", "customer": "user", "client": "user", "prompter": "user"}


def correct(row: Cells, fmt: Format, columns: Columns, options: PrepareOptions) -> dict[str, Any] | None:
    """Return a row that says what the given one means, and that the format reads, or None.

    Args:
        row: one that the format refuses.
        fmt: the format.
        columns: finds its columns.
        options: as the row was read with.
    """
    given: dict[str, Any] = json.loads(json.dumps(row, default=str))
    repairs: list[Callable[[dict[str, Any]], dict[str, Any]]] = [
        lambda value: _with_known_keys(value, fmt),
        _with_parsed_cells,
        _with_known_turns,
        lambda value: _with_texts(value, fmt, columns),
        _without_greeting,
    ]
    alone = [repair(given) for repair in repairs]
    together = [given]
    for repair in repairs:
        together.append(repair(together[-1]))
    for candidate in (*alone, *together):
        if candidate != given and _is_read(candidate, fmt, columns, options):
            return candidate
    return None


def correct_text(text: str, fmt: Format, columns: Columns, options: PrepareOptions) -> dict[str, Any] | None:
    """Return the row that a line means which is not JSON: one with a comma too many, single quotes, or a lost end."""
    for candidate in _repaired(text.strip()):
        try:
            value = json.loads(candidate)
        except ValueError:
            continue
        if isinstance(value, dict) and value and _is_read(value, fmt, columns, options):
            return value
    return None


def as_line(row: Cells, delimiter: str = "") -> str:
    """Return a row as the line that a file would hold, or an empty string where it is too long to show.

    Args:
        row: its values by column.
        delimiter: what separates the columns of a table, as the card calls it (`comma`); empty for JSON.
    """
    if delimiter and all(isinstance(value, str) for value in row.values()):
        out = io.StringIO()
        csv.writer(out, delimiter=_DELIMITERS.get(delimiter, delimiter), lineterminator="").writerow(row.values())
        line = out.getvalue()
    else:
        line = json.dumps(row, ensure_ascii=False)
    return line if len(line) <= LONGEST and "\n" not in line else ""


def _is_read(row: Cells, fmt: Format, columns: Columns, options: PrepareOptions) -> bool:
    try:
        examples = list(fmt.read(row, columns, options))
    except RowError:
        return False
    return bool(examples) and not any(isinstance(example, RowError) for example in examples)


def _with_known_keys(row: dict[str, Any], fmt: Format) -> dict[str, Any]:
    """Return the row with the usual name of a column that is nearly called so."""
    lowered = {key.lower() for key in row}
    renamed = dict(row)
    for role in fmt.needs:
        if lowered & set(ALIASES[role]):
            continue
        near = [
            (difflib.SequenceMatcher(None, key.lower(), alias).ratio(), key, alias)
            for key in row
            if not known_column(key)
            for alias in ALIASES[role]
        ]
        ratio, key, alias = max(near, default=(0.0, "", ""))
        if ratio >= _NEAR and key in renamed:
            renamed = {alias if name == key else name: value for name, value in renamed.items()}
    return renamed


def _with_parsed_cells(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row with lists and objects in the place of text that spells them, as tables have it."""
    return {key: _parsed(value) for key, value in row.items()}


def _parsed(value: Any) -> Any:
    if not isinstance(value, str) or value.strip()[:1] not in ("[", "{"):
        return value
    for parse in (json.loads, ast.literal_eval):
        try:
            parsed = parse(value)
            return json.loads(json.dumps(parsed))
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return value


def _with_known_turns(row: dict[str, Any]) -> dict[str, Any]:
    return {key: [_turn(item) for item in value] if _are_objects(value) else value for key, value in row.items()}


def _turn(turn: dict[str, Any]) -> dict[str, Any]:
    """Return a turn with the usual spelling of its keys and of its role, and with the arguments of calls as objects."""
    corrected: dict[str, Any] = {}
    for key, value in turn.items():
        near = difflib.get_close_matches(key.lower(), _TURN_KEYS, n=1, cutoff=_NEAR)
        name = near[0] if near and near[0] not in turn else key
        if name in ("role", "from") and isinstance(value, str):
            value = _speaker(value, name)
        corrected[name] = value
    calls = corrected.get("tool_calls")
    if _are_objects(calls):
        corrected["tool_calls"] = [_call(call) for call in calls]
    return corrected


def _speaker(given: str, key: str) -> str:
    known = ROLES if key == "role" else tuple(SPEAKERS)
    lowered = given.strip().lower()
    if lowered in known or lowered in SPEAKERS:
        return lowered
    if lowered in _SAID:
        return _SAID[lowered]
    near = difflib.get_close_matches(lowered, known, n=1, cutoff=_NEAR)
    return near[0] if near else given


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    if isinstance(function, dict) and isinstance(function.get("arguments"), str):
        return {**call, "function": {**function, "arguments": _parsed(function["arguments"])}}
    return call


def _with_texts(row: dict[str, Any], fmt: Format, columns: Columns) -> dict[str, Any]:
    """Return the row with numbers and truth values as the text that they are written as."""
    texts = {columns.name(row, role) for role in (*fmt.needs, *_TEXTS) if role not in _NO_TEXTS}
    return {
        key: json.dumps(value) if key in texts and isinstance(value, int | float) else value
        for key, value in row.items()
    }


def _without_greeting(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row without answers that stand before any question."""
    return {key: _asked_first(value) if _are_objects(value) else value for key, value in row.items()}


def _asked_first(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    said = [SPEAKERS.get(str(turn.get("role", turn.get("from"))), "") for turn in turns]
    if "user" not in said:
        return turns
    first = said.index("user")
    return [turn for at, turn in enumerate(turns) if at >= first or said[at] == "system"]


def _are_objects(value: Any) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _repaired(text: str) -> Iterator[str]:
    yield text.rstrip(",")
    yield re.sub(r",\s*([}\]])", r"\1", text)
    yield re.sub(r"(?<=[:\[,])\s*(NaN|-?Infinity|None)\b", " null", text)
    with contextlib.suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        yield json.dumps(ast.literal_eval(text))
    for end in ("}", '"}', "]}", '"]}', '"}]}', "}]}"):
        yield text + end
