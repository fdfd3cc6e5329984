"""Finds the column that plays a role: by the names that people use, or by what the user says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dizuo.data.reading.files import Cells
from dizuo.errors import did_you_mean
from dizuo.records import Json

__all__ = ["ALIASES", "Columns", "RowError", "describe", "known_column", "truth_of"]

ALIASES: dict[str, tuple[str, ...]] = {
    "messages": ("messages",),
    "conversations": ("conversations", "conversation"),
    "tools": ("tools", "functions"),
    "parallel": ("parallel_tool_calls",),
    "system": ("system", "system_prompt", "系统", "系统提示", "系统提示词"),
    "instruction": ("instruction", "指令"),
    "input": ("input", "context", "输入"),
    "output": ("output", "response", "输出"),
    "instances": ("instances",),
    "history": ("history", "历史", "历史对话"),
    "prompt": ("prompt", "提示", "提示词"),
    "completion": ("completion", "response", "补全", "续写"),
    "question": ("question", "query", "q", "问题", "提问", "问"),
    "answer": ("answer", "answers", "response", "a", "答案", "回答", "答", "回复"),
    "context": ("context", "passage"),
    "text": (
        "text", "sentence", "content", "document", "review", "utterance", "tweet", "message", "comment", "body",
        "title", "headline", "sentence1", "text1", "premise", "question1", "text_a", "sentence_a",
        "内容", "文本", "正文", "句子", "语料", "评论", "评价", "留言", "消息", "描述", "工单内容", "标题", "句子1",
        "文本1",
    ),
    "text_pair": (
        "text_pair", "sentence2", "text2", "hypothesis", "question2", "text_b", "sentence_b", "句子2", "文本2",
    ),
    "label": (
        "label", "labels", "category", "intent", "class", "target", "topic", "sentiment",
        "标签", "类别", "分类", "类型", "意图", "情感", "情绪", "标注",
    ),
    "options": ("options", "choices", "选项"),
    "answer_key": ("answerkey", "answer_key", "answer", "target"),
    "chosen": ("chosen", "chosen_response", "preferred_output", "chosen_messages"),
    "rejected": ("rejected", "rejected_response", "rejected_text", "non_preferred_output", "rejected_messages"),
    "chosen_score": ("chosen_score", "score_chosen", "chosen_rating", "chosen-rating"),
    "rejected_score": ("rejected_score", "score_rejected", "rejected_rating", "rejected-rating"),
    "desirable": ("label", "kto_tag", "desirable"),
    "paragraphs": ("paragraphs",),
    "qas": ("qas",),
}  # fmt: skip
"""Roles and the column names that fill them, in English and Chinese, the usual one first; case does not matter."""

_KNOWN = {alias for aliases in ALIASES.values() for alias in aliases if len(alias) > 2 or not alias.isascii()}


class RowError(Exception):
    """A row that does not say what its format needs; the message is the reason that the user reads.

    A format whose row holds several examples yields it in the place of the one that is bad, with its `path` in the row.
    """

    def __init__(self, reason: str, *, path: str = "") -> None:
        super().__init__(reason)
        self.path = path


def known_column(name: str) -> bool:
    """Return whether a cell is a column name that some format knows (so that its row is a header)."""
    return name.strip().strip('"').lower() in _KNOWN


@dataclass(slots=True)
class Columns:
    """Finds the column of a role in a row."""

    asked: Mapping[str, str] = field(default_factory=dict)
    """Role to column, as the user said."""
    _seen: dict[tuple[tuple[str, ...], str], str | None] = field(default_factory=dict)

    def name(self, row: Cells, role: str) -> str | None:
        """Return the name of the column that fills a role in this row, or None."""
        keys = tuple(row)
        if (keys, role) not in self._seen:
            self._seen[keys, role] = self._find(keys, role)
        return self._seen[keys, role]

    def get(self, row: Cells, role: str) -> Json:
        """Return the value of a role, or None."""
        name = self.name(row, role)
        return None if name is None else row[name]

    def need(self, row: Cells, role: str) -> Json:
        """Return the value of a role.

        Raises:
            RowError: the row has no such column, or it is null.
        """
        name = self.name(row, role)
        if name is None:
            wanted = self.asked.get(role, ALIASES[role][0])
            near = did_you_mean(wanted, row)
            keys = ", ".join(map(str, list(row)[:8])) or "none"
            raise RowError(f"has no {wanted!r}{near}; its keys: {keys}")
        if row[name] is None:
            raise RowError(f"{name} is null")
        return row[name]

    def string(self, row: Cells, role: str, *, empty: bool = False) -> str:
        """Return the value of a role as text.

        Raises:
            RowError: it is missing, not a string, or empty where it must not be.
        """
        value = self.need(row, role)
        name = self.name(row, role)
        if not isinstance(value, str):
            raise RowError(f"{name} is {describe(value)}, not a string")
        if not empty and not value.strip():
            raise RowError(f"{name} is empty")
        return value

    def _find(self, keys: tuple[str, ...], role: str) -> str | None:
        if role in self.asked:
            wanted = self.asked[role]
            if wanted in keys:
                return wanted
            if wanted.isdigit() and 1 <= int(wanted) <= len(keys):
                return keys[int(wanted) - 1]
            return None
        lowered = {str(key).strip().lower(): key for key in reversed(keys)}
        return next((lowered[alias] for alias in ALIASES.get(role, ()) if alias in lowered), None)


def truth_of(value: Json) -> bool | None:
    """Return whether a value says yes or no, in any of the forms that files have, or None where it says neither.

    >>> truth_of("True"), truth_of(0), truth_of("no"), truth_of("maybe")
    (True, False, False, None)
    """
    if isinstance(value, bool | int | float | str):
        return _TRUTH.get(str(value).strip().lower())
    return None


_TRUTH = {
    **dict.fromkeys(("true", "1", "1.0", "yes", "y", "t"), True),
    **dict.fromkeys(("false", "0", "0.0", "no", "n", "f"), False),
}


def describe(value: Json) -> str:
    """Return what a value is, in words: `a list`, `the number 3`, `null`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list | tuple) else "an object"
