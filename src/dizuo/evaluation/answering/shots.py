"""The examples in the untuned model's prompt: how many there really are, and whether they fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dizuo.data.rendering.tokenizer import Tokenizer
from dizuo.evaluation.answering.answers import Absent
from dizuo.evaluation.answering.asking import prompt_ids
from dizuo.evaluation.baselines import five_shot
from dizuo.evaluation.setting import Question, Setting

__all__ = ["Shots"]


class Shots:
    """Answered training questions for a prompt.

    Args:
        setting: its training rows, and the options `shots` and `seed`.
        labels: examples are drawn in turn from these; empty for tasks without labels.
    """

    def __init__(self, setting: Setting, labels: Sequence[str]) -> None:
        answers = [item.answer for item in setting.train]
        self.num_shots = len(five_shot.choose(answers, labels=labels, options=setting.options))
        self._setting = setting
        self._labels = labels

    @property
    def title(self) -> str:
        """What the report calls the row; it names the examples that there are, or the ones asked for if none."""
        count = self.num_shots or self._setting.options.shots
        return five_shot.BASELINE.title.format(shots=f"{count} example{'s' if count != 1 else ''}")

    def prompts(
        self, tokenizer: Tokenizer, questions: Sequence[Question], *, room: int, context_length: int
    ) -> Callable[[Question], Question]:
        """Return the function that puts the examples before a question.

        Args:
            tokenizer: the model's, with a chat template.
            questions: all that will be asked.
            room: tokens that an answer may take.
            context_length: tokens that the model reads.

        Raises:
            Absent: there are no examples, or with them a question is more than the model reads that is not without.
        """
        if not self.num_shots:
            raise Absent("there are no training rows to take examples from")
        rows = [(item.question, item.turn or item.answer) for item in self._setting.train]
        ask = five_shot.prompts(rows, labels=self._labels, options=self._setting.options)
        longest = max(
            (
                length
                for question in questions
                if (length := len(prompt_ids(tokenizer, ask(question)))) + room > context_length
                and len(prompt_ids(tokenizer, question)) + room <= context_length
            ),
            default=0,
        )
        if longest:
            raise Absent(
                f"the prompt has {longest:,} tokens and the answer up to {room:,}, the model reads {context_length:,}"
            )
        return ask
