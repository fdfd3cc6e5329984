"""What a model's template and tokenizer make of a data set, looked at as soon as there are both.

Training refuses every row that it cannot write, and so does an evaluation; but the one comes late and the other after
hours of training. Rows that carry more than texts (tools, calls, thoughts, names), that hold tokens which the model has
no embedding for, or that begin with the tokenizer's own BOS are looked at here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from dizuo.data import Dataset
from dizuo.data.rendering.calls import read_calls
from dizuo.data.rendering.conversations import render_answer
from dizuo.data.rendering.facts import facts_of
from dizuo.data.rendering.faults import ModelFault, template_name
from dizuo.errors import DataError, DizuoError
from dizuo.events import Warned, Watcher, ignore
from dizuo.models import ModelSpec
from dizuo.records import Chat, Example, Message, Text, kind_of, to_json
from dizuo.training.methods import METHODS
from dizuo.training.tokens.tokenizing import Faults, place_of

if TYPE_CHECKING:
    from dizuo.data.rendering.tokenizer import Tokenizer
    from dizuo.training.method import MethodOptions

__all__ = ["check_rows"]

LOOKED_AT = 1_000
"""Rows of a split that will be rendered anyway which are looked at before; any beginning of a split is a sample."""
FEW = 100
"""More tokens without an embedding are not looked for one by one; every row is written instead."""


def check_rows(
    model: ModelSpec,
    data: Dataset,
    *,
    method: str,
    method_options: MethodOptions,
    splits: Iterable[str] = ("train", "validation", "test"),
    scored: str = "",
    watch: Watcher = ignore,
) -> None:
    """Refuse rows that hold something which would never reach the model.

    Args:
        model: whose template and tokenizer write them.
        data: the data set.
        method: the training method, which says what is written.
        method_options: its options.
        splits: of training and validation rows, which training will write anyway, the first `LOOKED_AT` are looked at.
        scored: the split whose answers will be compared, if one will: its calls must be readable.
        watch: told of texts that bring their BOS along.

    Raises:
        DataError: naming the rows with file and line, what is lost, and what to do.
    """
    from dizuo import models

    tokenizer: Tokenizer = models.load_tokenizer(model)
    at_risk = _finder(tokenizer, model.vocab_size)
    bos = tokenizer.bos_token if facts_of(tokenizer).adds_bos else None
    contract = METHODS.load(method)
    for name in splits:
        split = data.splits()[name]
        faults, looked, brought = Faults(), 0, 0
        for number, example in enumerate(split):
            brought += bos is not None and isinstance(example, Text) and _begin(example).startswith(bos)
            if kind_of(example) not in contract.kinds or (number and not at_risk(example)):
                continue
            if looked >= LOOKED_AT and name != "test":
                continue
            looked += 1
            try:
                contract.sequences(example, data.task, tokenizer, method_options)
                if name == scored and isinstance(example, Chat):
                    _refuse_unreadable_calls(example, tokenizer)
            except DizuoError as error:
                place = place_of(example, name, number)
                faults.add(error.message.removeprefix(f"{place}: "), place, hint=error.hint)
        if brought:
            watch(
                Warned(
                    f"{name}: {brought:,} of {len(split):,} texts begin with the BOS token {bos!r}, which the "
                    f"tokenizer of {model.id} adds itself; two would stand there, and dizuo writes one"
                )
            )
        if faults:
            raise DataError(
                f"{len(faults):,} of {looked:,} {name} rows that were looked at cannot be shown to {model.id} as they "
                "are",
                details=faults.lines(),
                hint=faults.hint or "fix or remove the rows",
            )


def _refuse_unreadable_calls(chat: Chat, tokenizer: Tokenizer) -> None:
    """Refuse a conversation whose answer makes calls that cannot be read back from what the template writes of it.

    Raises:
        ModelFault: the form in which the template writes calls is not known.
    """
    last = max((number for number, turn in enumerate(chat.messages) if turn.role == "assistant"), default=0)
    turn = chat.messages[last]
    if not last or not turn.tool_calls:
        return
    answer = Message("assistant", turn.thoughts_and_answer()[1], tool_calls=turn.tool_calls)
    rendered = render_answer(tokenizer, chat.messages[:last], [answer], tools=chat.tools)
    written = tokenizer.decode([int(token) for token in rendered.ids[rendered.weights > 0]])
    _, calls = read_calls(tokenizer, written, tools=chat.tools)
    if [call["function"] for call in calls] != [call["function"] for call in turn.tool_calls]:
        raise ModelFault(
            f"{template_name(tokenizer)} writes calls in a form that cannot be read back, so no answer could be "
            f"compared: {written[:60]!r}",
            hint="choose another model; dizuo train, and dizuo plan --until train, go without a report",
        )


def _finder(tokenizer: Tokenizer, num_rows: int) -> Callable[[Example], bool]:
    """Return the function that says whether a row could lose something, without writing it."""
    found = (tokenizer.convert_ids_to_tokens(token) for token in range(num_rows, len(tokenizer)))
    beyond = [token for token in found if token]
    own = (tokenizer.bos_token_id, tokenizer.eos_token_id)
    if len(beyond) > FEW or any(token is not None and token >= num_rows for token in own):
        return lambda example: True
    bos = tokenizer.bos_token

    def at_risk(example: Example) -> bool:
        if isinstance(example, Text) and bos and _begin(example).startswith(2 * bos):
            return True
        if _carries_keys(example):
            return True
        text = json.dumps(to_json(example), ensure_ascii=False) if beyond else ""
        return any(token in text for token in beyond)

    return at_risk


def _carries_keys(example: Example) -> bool:
    if getattr(example, "tools", ()):
        return True
    turns: Sequence[Message] = [
        turn
        for field in ("messages", "prompt", "chosen", "rejected", "completion")
        for turn in getattr(example, field, ())
        if isinstance(turn, Message)
    ]
    return any(turn.tool_calls or turn.name or turn.role == "tool" or turn.thoughts_and_answer()[0] for turn in turns)


def _begin(example: Text) -> str:
    return example.prompt or example.text
