"""A conversation with a model, without a server; `dizuo chat` prints what it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator

from dizuo.data.rendering.prompts import prompt_messages
from dizuo.records import Message
from dizuo.serving.service import Classified, Piece, Service

__all__ = ["Conversation"]


class Conversation:
    """Asks a model turn by turn.

    A model that was trained for a task gets every text as it did in evaluation: with the instruction, and each on
    its own. Any other model gets the whole conversation.

    Args:
        service: from `open_named`; it stays the caller's to close.
        system: a system message to begin with; not for models with a task.
        temperature, max_tokens, seed: None is the bundle's own setting.
    """

    def __init__(
        self,
        service: Service,
        *,
        system: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        seed: int | None = None,
    ) -> None:
        self.service = service
        task = service.task
        self.task = task if task is not None and task.kind in {"classification", "generation"} else None
        self.messages: list[Message] = [] if system is None else [Message("system", system)]
        self._temperature, self._max_tokens, self._seed = temperature, max_tokens, seed

    @property
    def classifies(self) -> bool:
        """Whether the model answers with a label, so that `classify` can be called."""
        if self.service.head is not None:
            return self.service.head.facts.kind != "reward"
        return self.task is not None and bool(self.task.labels) and not self.task.multi_label

    def say(self, text: str) -> Iterator[str]:
        """Yield the answer piece by piece; leaving the iterator (or Ctrl-C) cancels it and forgets the turn."""
        turn = list(prompt_messages(text, self.task)) if self.task else [*self.messages, Message("user", text)]
        answer: list[str] = []
        with asyncio.Runner() as runner:
            pieces = self._answer(turn)
            try:
                while True:
                    piece = runner.run(anext(pieces, None))
                    if piece is None:
                        break
                    answer.append(piece.text)
                    if piece.text:
                        yield piece.text
            finally:
                runner.run(pieces.aclose())
        if not self.task:
            self.messages = [*turn, Message("assistant", "".join(answer))]

    def classify(self, text: str) -> Classified:
        """Return the label of a text, with the probabilities of all labels."""
        return asyncio.run(self.service.classify(text))

    def forget(self) -> None:
        """Forget the turns so far; a system message stays."""
        self.messages = [message for message in self.messages if message.role == "system"]

    async def _answer(self, turn: list[Message]) -> AsyncGenerator[Piece, None]:
        prompt_ids = await self.service.prompt(turn)
        sampling = self.service.sampling(
            len(prompt_ids), temperature=self._temperature, max_tokens=self._max_tokens, seed=self._seed
        )
        pieces = self.service.answer(prompt_ids, sampling)
        try:
            async for piece in pieces:
                yield piece
        finally:
            await pieces.aclose()
