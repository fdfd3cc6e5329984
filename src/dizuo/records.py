"""The examples that every step works on: frozen facts with a stable id and their origin.

An example's `id` is the digest of its content alone, so that the same row has the same id in any file,
on any line, on any machine; `origin` says where this copy came from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeAlias

__all__ = [
    "Chat",
    "Example",
    "Feedback",
    "Json",
    "Labelled",
    "Message",
    "Origin",
    "Preference",
    "Text",
    "TextPair",
    "content_id",
    "from_json",
    "kind_of",
    "to_json",
    "with_identity",
]

Json: TypeAlias = bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None
"""A value that JSON can hold."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a row came from."""

    file: str = ""
    """Path or address of the file, as the user wrote it."""
    line: int | None = None
    """1-based line of a text file, or row of a Parquet or Arrow file."""
    path: str = ""
    """Place inside a JSON document, or inside the line: `data[3].paragraphs[2].qas[1]`, counted from 0."""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.path}" if self.path else place


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    """`system`, `developer`, `user`, `assistant` or `tool`."""
    content: str
    weight: float = 1.0
    """How much an assistant turn is trained: 1 as usual, 0 not at all. Ignored on other roles."""
    name: str | None = None
    tool_calls: tuple[Mapping[str, Json], ...] = ()
    """OpenAI form: `{"id", "type": "function", "function": {"name", "arguments"}}`."""
    tool_call_id: str | None = None
    reasoning_content: str = ""
    """What an assistant thinks before its answer, where a row keeps it apart from `content`; empty for none."""

    def thoughts_and_answer(self) -> tuple[str, str]:
        """Return what an assistant thinks and what it answers; thoughts may also open the content, in `<think>`."""
        if self.reasoning_content or not self.content.lstrip().startswith("<think>"):
            return self.reasoning_content, self.content
        thoughts, mark, answer = self.content.partition("</think>")
        return (thoughts.partition("<think>")[2].strip(), answer.lstrip("\n")) if mark else ("", self.content)

    def as_template_dict(self) -> dict[str, Json]:
        """Return the mapping that a chat template reads."""
        out: dict[str, Json] = {"role": self.role, "content": self.content}
        if self.name is not None:
            out["name"] = self.name
        if self.tool_calls:
            out["tool_calls"] = [dict(call) for call in self.tool_calls]
        if self.tool_call_id is not None:
            out["tool_call_id"] = self.tool_call_id
        if self.reasoning_content:
            out["reasoning_content"] = self.reasoning_content
        return out


@dataclass(frozen=True, slots=True)
class Text:
    """Running text; `prompt` is read but not trained, and no chat template is applied."""

    text: str
    prompt: str = ""
    id: str = ""
    origin: Origin = field(default_factory=Origin)


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation; the assistant turns with weight > 0 are trained."""

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Json], ...] = ()
    references: tuple[str, ...] = ()
    """Further right answers for the last turn, used by evaluation only."""
    group: str = ""
    """Rows of one group (user, document) never straddle a split."""
    id: str = ""
    origin: Origin = field(default_factory=Origin)


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and its label, or its labels when the task is multi-label."""

    text: str
    labels: tuple[str, ...]
    group: str = ""
    id: str = ""
    origin: Origin = field(default_factory=Origin)


@dataclass(frozen=True, slots=True)
class Preference:
    """A prompt with a better and a worse answer."""

    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    tools: tuple[Mapping[str, Json], ...] = ()
    group: str = ""
    id: str = ""
    origin: Origin = field(default_factory=Origin)


@dataclass(frozen=True, slots=True)
class Feedback:
    """A prompt, an answer, and whether it was wanted."""

    prompt: tuple[Message, ...]
    completion: tuple[Message, ...]
    desirable: bool
    tools: tuple[Mapping[str, Json], ...] = ()
    group: str = ""
    id: str = ""
    origin: Origin = field(default_factory=Origin)


@dataclass(frozen=True, slots=True)
class TextPair:
    """An anchor with a matching text and, where given, texts that do not match."""

    anchor: str
    positive: str
    negatives: tuple[str, ...] = ()
    group: str = ""
    id: str = ""
    origin: Origin = field(default_factory=Origin)


Example: TypeAlias = Text | Chat | Labelled | Preference | Feedback | TextPair

_KINDS: dict[str, type[Example]] = {
    "text": Text,
    "chat": Chat,
    "labelled": Labelled,
    "preference": Preference,
    "feedback": Feedback,
    "text_pair": TextPair,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_MESSAGE_FIELDS = {"messages", "prompt", "chosen", "rejected", "completion"}


def kind_of(example: Example) -> str:
    """Return the example's kind, as in `"labelled"`."""
    return _NAMES[type(example)]


def to_json(example: Example) -> dict[str, Json]:
    """Return the example as plain JSON values with its `kind`; `from_json` is the inverse.

    Turns without thoughts do not mention them, so that ids do not change with what a turn can hold.
    """
    value: dict[str, Any] = asdict(example)
    for name in _MESSAGE_FIELDS & value.keys():
        for turn in value[name] if not isinstance(value[name], str) else ():
            if not turn["reasoning_content"]:
                del turn["reasoning_content"]
    return {"kind": kind_of(example), **value}


def from_json(value: Mapping[str, Json]) -> Example:
    """Return the example that `to_json` wrote."""
    kind = _KINDS[str(value["kind"])]
    arguments: dict[str, Any] = {}
    for item in fields(kind):
        if item.name not in value:
            continue
        raw: Any = value[item.name]
        if item.name == "origin":
            raw = Origin(**raw)
        elif item.name in _MESSAGE_FIELDS and not isinstance(raw, str):
            raw = tuple(Message(**{**m, "tool_calls": tuple(m.get("tool_calls") or ())}) for m in raw)
        elif isinstance(raw, list):
            raw = tuple(raw)
        arguments[item.name] = raw
    example: Example = kind(**arguments)
    return example


def content_id(example: Example) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of the example's content (origin and group left out)."""
    value = to_json(example)
    for name in ("id", "origin", "group"):
        value.pop(name, None)
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def with_identity(example: Example) -> Example:
    """Return the example with its content id filled in."""
    return replace(example, id=content_id(example))
