"""Reads calls back from what a model has written, in the form in which its template writes them.

No list of model families is kept: the template is asked to write two calls with known names and arguments, and where
they stand in its text shows the form. There are three:

    json     a JSON object with name and arguments, alone or in a list    Hermes, Qwen, Llama 3, Mistral
    apart    the name, then the arguments as a JSON object                DeepSeek, Mistral's later ones
    pairs    the name, then each argument's name and value                Qwen3-Coder, GLM

Evaluation and the gateway both read calls here, so a call that is served is the call that was scored.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dizuo.data.rendering.facts import facts_of
from dizuo.data.rendering.templates import tail_of, turn_text, write_prompt
from dizuo.data.rendering.tokenizer import Tokenizer
from dizuo.errors import DataError
from dizuo.records import Json, Message

__all__ = ["CallForm", "Calls", "call_form", "make_call", "read_calls"]

Calls = tuple[Mapping[str, Json], ...]

_NAMES = ("firstfunction", "secondfunction")
_KEYS = ("firstkey", "secondkey")
_VALUES = ("firstvalue", "secondvalue")
_IDS = ("abcdefgh1", "stuvwxyz2")
"""Nine letters and digits, which is what Mistral's templates want."""
_TOOLS: tuple[Mapping[str, Json], ...] = tuple(
    {
        "type": "function",
        "function": {
            "name": name,
            "description": name,
            "parameters": {"type": "object", "properties": {key: {"type": "string"} for key in _KEYS}},
        },
    }
    for name in _NAMES
)
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class CallForm:
    """How a template writes calls."""

    kind: Literal["json", "apart", "pairs"]
    lead: str
    """What stands before every call, as in `<tool_call>`; empty where a call begins the answer."""
    opening: str = ""
    """What stands before the first of them besides, as in DeepSeek's mark that calls begin."""
    name: str = ""
    """Of `json`, the key of the name."""
    arguments: str = ""
    """Of `json`, the key of the arguments."""
    behind_name: str = ""
    """What follows the name, whichever arguments and whichever id the call has."""
    before_arguments: str = ""
    """Of `apart`, what stands before the arguments, behind an id or a number where there is one."""
    first_key: str = ""
    """Of `pairs`, what then stands before the first argument's name."""
    behind_key: str = ""
    """Of `pairs`, what stands between an argument's name and its value."""
    behind_value: str = ""
    """Of `pairs`, what stands behind a value, whichever argument follows."""
    before_key: str = ""
    """Of `pairs`, what then stands before the next argument's name."""


def make_call(name: str, arguments: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return a call as `Message.tool_calls` holds it."""
    return {"type": "function", "function": {"name": name, "arguments": dict(arguments)}}


def call_form(tokenizer: Tokenizer) -> CallForm | None:
    """Return how the model's template writes calls, or None where it writes none that could be read back."""
    facts = facts_of(tokenizer)
    if not facts.asked_for_calls:
        facts.asked_for_calls = True
        for tools in (_TOOLS, ()):
            try:
                facts.call_form = facts.call_form or _find_form(tokenizer, tools)
            except DataError:  # it writes no calls, or not all of these tools
                continue
    form = facts.call_form
    assert form is None or isinstance(form, CallForm)
    return form


def read_calls(tokenizer: Tokenizer, text: str, *, tools: Sequence[Mapping[str, Json]] = ()) -> tuple[str, Calls]:
    """Return what a model has written as (text outside of calls, calls).

    Args:
        tokenizer: whose template says how calls are written.
        text: the answer, without thoughts, with special tokens.
        tools: say which arguments are strings, where the form does not.

    Returns:
        The calls without ids. Where the text holds none that can be read, the text as it is and no calls.
    """
    form = call_form(tokenizer)
    if form is None:
        return text, ()
    body = text.removesuffix(tail_of(tokenizer)[0])
    start = body.find(form.lead) if form.lead else len(body) - len(body.lstrip())
    if start < 0:
        return text, ()
    readers = {"json": _read_json, "apart": _read_apart, "pairs": _read_pairs}
    calls = tuple(readers[form.kind](form, body[start:], tools))
    return (body[:start].removesuffix(form.opening).strip(), calls) if calls else (text, ())


def _find_form(tokenizer: Tokenizer, tools: Sequence[Mapping[str, Json]]) -> CallForm | None:
    question = [Message("user", "?")]
    prompt = write_prompt(tokenizer, question, tools)

    def written(*names: str, keys: int = 1) -> str:
        arguments: dict[str, Json] = dict(zip(_KEYS[:keys], _VALUES))
        calls = tuple({**make_call(name, arguments), "id": identity} for name, identity in zip(names, _IDS))
        turn = Message("assistant", "", tool_calls=calls)
        return turn_text(tokenizer, [*question, turn], tools, prompt)

    one = written(_NAMES[0])
    two = _or_empty(lambda: written(*_NAMES))
    for start, _, value in _values_in(one):
        keys = _call_keys(value, _NAMES[0], {_KEYS[0]: _VALUES[0]})
        if keys is not None:
            return CallForm("json", one[:start].strip(), name=keys[0], arguments=keys[1])
    begin = one.find(_NAMES[0])
    if begin < 0:
        return None
    end = begin + len(_NAMES[0])
    lead = _lead(one, two, begin)
    opening = one[:begin].removesuffix(lead)
    for start, _, value in _values_in(one[end:]):
        if value == {_KEYS[0]: _VALUES[0]}:
            between = one[end : end + start]
            other = _between(two) or between.replace(_IDS[0], _IDS[1])
            behind = _shared(between, other)
            before = _shared(between[::-1], other[::-1])[::-1]
            return CallForm("apart", lead, opening, behind_name=behind, before_arguments=before)
    key, said = one.find(_KEYS[0], end), one.find(_VALUES[0], end)
    both = _or_empty(lambda: written(_NAMES[0], keys=2))
    second = both.find(_KEYS[1])
    if not 0 <= key < said or second < 0:
        return None
    between = both[both.find(_VALUES[0]) + len(_VALUES[0]) : second]
    behind = _shared(between, one[said + len(_VALUES[0]) :])
    if not behind:
        return None
    none = _or_empty(lambda: written(_NAMES[0], keys=0))
    behind_name = _shared(one[end:key], none[none.find(_NAMES[0]) + len(_NAMES[0]) :]) or one[end:key]
    return CallForm(
        "pairs",
        lead,
        opening,
        behind_name=behind_name,
        first_key=one[end + len(behind_name) : key],
        behind_key=one[key + len(_KEYS[0]) : said],
        behind_value=behind,
        before_key=between[len(behind) :],
    )


def _or_empty(write: Any) -> str:
    """Return what a template writes, or nothing where it refuses, as some do two calls at once."""
    try:
        return str(write())
    except DataError:
        return ""


def _between(two: str) -> str:
    """Return what stands between name and arguments of the second of two calls, or nothing."""
    begin = two.find(_NAMES[1])
    end = begin + len(_NAMES[1])
    starts = [start for start, _, value in _values_in(two[end:]) if value == {_KEYS[0]: _VALUES[0]}]
    return two[end : end + starts[0]] if begin >= 0 and starts else ""


def _lead(one: str, two: str, begin: int) -> str:
    """Return what stands before every call: what the text before the first and that before the second end in alike."""
    before, second = one[:begin], two.find(_NAMES[1])
    if second < 0:
        return before
    shared = _shared(before[::-1], two[:second][::-1])[::-1]
    return shared or before


def _shared(one: str, other: str) -> str:
    """Return the beginning that two texts have in common."""
    size = next((place for place, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
    return one[:size]


def _values_in(text: str) -> Iterator[tuple[int, int, Any]]:
    """Yield (start, end, value) of the JSON objects and lists in a text, the outermost ones."""
    place = 0
    while place < len(text):
        if text[place] not in "{[":
            place += 1
            continue
        try:
            value, end = _DECODER.raw_decode(text, place)
        except (ValueError, RecursionError):
            place += 1
            continue
        yield place, end, value
        place = end


def _call_keys(value: Any, name: str, arguments: Mapping[str, Json]) -> tuple[str, str] | None:
    """Return the keys under which a JSON value holds the name and the arguments of a call, or None."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("function"), dict):  # OpenAI's own form
        value = value["function"]
    name_key = next((key for key, said in value.items() if said == name), None)
    key = next((key for key, said in value.items() if _arguments(said) == arguments), None)
    return None if name_key is None or key is None else (name_key, key)


def _arguments(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value


def _read_json(form: CallForm, text: str, tools: Sequence[Mapping[str, Json]]) -> Iterator[Mapping[str, Json]]:
    begun = text[len(form.lead) :]
    if not form.lead and begun.lstrip()[:1] not in ("{", "["):
        return
    for _, _, value in _values_in(begun):
        for said in value if isinstance(value, list) else [value]:
            inner = said.get("function", said) if isinstance(said, dict) else None
            if not isinstance(inner, dict):
                continue
            name, arguments = inner.get(form.name), _arguments(inner.get(form.arguments))
            if isinstance(name, str) and isinstance(arguments, dict):
                yield make_call(name, arguments)


def _read_apart(form: CallForm, text: str, tools: Sequence[Mapping[str, Json]]) -> Iterator[Mapping[str, Json]]:
    for piece in text.split(form.lead)[1:]:
        name, mark, rest = piece.partition(form.behind_name) if form.behind_name else _at_brace(piece)
        if form.before_arguments not in ("", form.behind_name):
            rest = rest.partition(form.before_arguments)[2]
        try:
            arguments, _ = _DECODER.raw_decode(rest.lstrip()) if mark else (None, 0)
        except (ValueError, RecursionError):
            continue
        if isinstance(arguments, dict) and name.strip():
            yield make_call(name.strip(), arguments)


def _at_brace(piece: str) -> tuple[str, str, str]:
    place = piece.find("{")
    return ("", "", "") if place < 0 else (piece[:place], "{", piece[place:])


def _read_pairs(form: CallForm, text: str, tools: Sequence[Mapping[str, Json]]) -> Iterator[Mapping[str, Json]]:
    for piece in text.split(form.lead)[1:]:
        name, mark, rest = piece.partition(form.behind_name)
        if not mark:
            continue
        strings = _string_arguments(name.strip(), tools)
        arguments: dict[str, Json] = {}
        rest = rest.removeprefix(form.first_key) if rest.startswith(form.first_key) else ""
        while form.behind_key and form.behind_key in rest:
            key, _, rest = rest.partition(form.behind_key)
            value, ended, rest = rest.partition(form.behind_value)
            if not ended:
                break
            arguments[key.strip()] = value if key.strip() in strings else _value_of(value)
            rest = rest.removeprefix(form.before_key)
        yield make_call(name.strip(), arguments)


def _value_of(text: str) -> Json:
    """Return what a value says that is no string by its definition: JSON, as Python writes it, or else a string."""
    for read in (json.loads, ast.literal_eval):
        try:
            value: Json = read(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return value
    return text


def _string_arguments(name: str, tools: Sequence[Mapping[str, Json]]) -> set[str]:
    """Return the arguments of a function that its definition says are strings."""
    for tool in tools:
        function: Any = tool.get("function", tool)
        if isinstance(function, Mapping) and function.get("name") == name:
            parameters: Any = function.get("parameters") or {}
            properties: Any = parameters.get("properties") or {} if isinstance(parameters, Mapping) else {}
            return {key for key, of in properties.items() if isinstance(of, Mapping) and of.get("type") == "string"}
    return set()
