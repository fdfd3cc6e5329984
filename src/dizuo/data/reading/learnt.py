"""Says which keys change what is learnt: those that a data set may not hold unread without its user's consent.

A key that a format does not read is harmless in most cases: an id, a source, a date. One that switches a turn off,
judges an answer or adds an image to a question is not: rows that are trained without it teach something else than they
say. Such keys are an error until `prepare.ignore` names them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dizuo.data.reading.keys import KeyCounts, last_key
from dizuo.errors import DataError
from dizuo.records import Chat, Feedback, Labelled, Preference, Text

__all__ = ["Family", "family_of", "refuse_unread", "what_changes"]

Family = str
"""What rows teach: `answers` (conversations, pairs, judged answers), `labels` or `text`."""

_ALL = ("answers", "labels", "text")
_WORDS: tuple[tuple[str, tuple[Family, ...], str], ...] = (
    (
        "weight weights sample_weight loss loss_weight loss_scale loss_mask train training trainable train_detail mask",
        _ALL,
        "says how much is trained",
    ),
    ("label labels kto_tag desirable is_desirable", ("answers",), "judges the answer"),
    ("label labels", ("text",), "is what the text is to be told by"),
    (
        "score scores reward rewards margin chosen_score rejected_score score_chosen score_rejected",
        ("answers",),
        "judges the answer",
    ),
    (
        "chosen rejected chosen_response rejected_response rejected_text chosen_messages rejected_messages "
        "preferred_output non_preferred_output chosen_answer rejected_answer responses completions rejected_images "
        "refusal",
        ("answers", "text"),
        "is another answer",
    ),
    ("messages conversations conversation", ("answers",), "is a conversation beside the one that is read"),
    ("reasoning_content reasoning thinking thoughts", ("answers",), "is thought before the answer"),
    ("system system_prompt", ("answers", "labels"), "is said before the question"),
    (
        "history context passage input suffix documents",
        ("answers",),
        "is a part of the question",
    ),
    (
        "context passage system input instruction question premise "
        "text_pair sentence2 text2 hypothesis question2 text_b sentence_b",
        ("labels",),
        "is a part of the text",
    ),
    ("options choices A B C D E answerkey answer_key", ("answers", "labels"), "are the choices"),
    (
        "image images image_url audio audios video videos objects input_audio pixel_values",
        ("answers", "labels"),
        "is no text",
    ),
    ("tools functions tool_calls function_call", ("answers", "text"), "is what the model may call, or calls"),
    ("chat_template chat_template_kwargs enable_thinking", ("answers",), "changes how the conversation is written"),
)
_REASONS: dict[tuple[str, Family], str] = {
    (word, family): reason for words, families, reason in _WORDS for family in families for word in words.split()
}
_HINTS = {
    "system": "as_chat: true writes it with the chat template where prompt and completion are strings",
    "history": "as_chat: true writes it with the chat template where prompt and completion are strings",
    "tools": "as_chat: true writes them with the chat template where prompt and completion are strings",
}


def family_of(makes: Sequence[type[Any]]) -> Family:
    """Return what the examples that a format makes teach."""
    if any(issubclass(kind, Chat | Preference | Feedback) for kind in makes):
        return "answers"
    return "labels" if Labelled in makes or Text not in makes else "text"


def what_changes(path: str, family: Family) -> str:
    """Return what an unread key would have changed, as in `judges the answer`, or an empty string.

    Args:
        path: where it stands, such as `messages[assistant].weight`.
        family: what the rows teach.
    """
    key = last_key(path)
    return _REASONS.get((key if len(key) == 1 else key.lower(), family), "")


def refuse_unread(counts: KeyCounts, *, family: Family, name: str, talks_by_template: bool) -> None:
    """Refuse rows with unread keys that change what is learnt.

    Args:
        counts: the unread keys.
        family: what the rows teach.
        name: how the error calls the data.
        talks_by_template: False where prompts and completions are strings that are trained without a template.

    Raises:
        DataError: naming each such key with its count, its first place and what it means.
    """
    wrong = {path: reason for path in counts.by_count() if (reason := what_changes(path, family))}
    if not wrong:
        return
    details = []
    for path, reason in wrong.items():
        times = f"{counts.counts[path]:,} time" + ("s" if counts.counts[path] != 1 else "")
        details.append(f"{path}: {reason} ({times}, first at {counts.places[path]})")
    keys = sorted(wrong)
    further = "" if talks_by_template else next((_HINTS[key] for key in keys if key in _HINTS), "")
    names = ", ".join(map(_quoted, keys))
    raise DataError(
        f"{name} holds keys that change what is learnt, and that dizuo cannot read there",
        details=details,
        hint=f"{further + '; ' if further else ''}to train without them, say so: ignore: [{names}]",
    )


def _quoted(path: str) -> str:
    """Return a path as YAML takes it inside a list."""
    return path if path.replace("_", "").isalnum() else f'"{path}"'
