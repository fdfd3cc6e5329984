"""The language models of an evaluation, one in memory at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dizuo.data.rendering.tokenizer import Tokenizer
from dizuo.evaluation.answering.asking import answer_in, prompt_ids, stop_ids
from dizuo.evaluation.setting import Question, Setting
from dizuo.events import Finished, Progress, Started

if TYPE_CHECKING:
    from dizuo.engines import Engine
    from dizuo.trees import Runner

__all__ = ["TUNED", "Speaker", "open_runner", "open_speaker"]

TUNED = "tuned"


@contextmanager
def open_runner(setting: Setting, *, tuned: bool) -> Iterator[tuple[Runner, Tokenizer]]:
    """Yield a runner over the untuned or the tuned model, and its tokenizer."""
    from dizuo.models import adapters, load
    from dizuo.trees import Runner

    quantize = adapters.read_base_quantization(setting.adapter) if tuned and setting.adapter is not None else "none"
    model = load(setting.tuned_spec() if tuned else setting.spec, quantize=quantize, plain=True)
    module: Any = model.module
    if tuned and setting.adapter is not None:
        module = adapters.load(model, setting.adapter)
        module.eval()
    yield Runner(module), model.tokenizer


@dataclass(slots=True)
class Speaker:
    """An engine that answers questions with text, greedily."""

    engine: Engine
    tokenizer: Tokenizer
    adapter: str | None
    setting: Setting
    too_long: int = 0
    """Questions of the last call that, with the longest answer, are more than the model reads."""
    failed: int = 0
    """Questions of the last call that the engine gave up on."""

    def answer(
        self, questions: Sequence[Question], *, max_tokens: int, tuned: bool, work: str
    ) -> tuple[list[str], float]:
        """Return (the answers without white space around them, seconds).

        A question that is too long for the model, or whose generation failed, is answered with nothing: it is wrong,
        not missing.
        """
        from dizuo.engines import GenerateRequest, Sampling, generate_all

        watch = self.setting.watch
        began = time.perf_counter()
        watch(Started(work, len(questions), "answers"))
        answers = [""] * len(questions)
        self.too_long = self.failed = 0
        ready = []
        for index, question in enumerate(questions):
            ids = prompt_ids(self.tokenizer, question, thinking=self.setting.task.thinking)
            if len(ids) + max_tokens <= self.engine.context_length:
                sampling = Sampling(max_tokens=max_tokens, stop_ids=stop_ids(self.tokenizer, question))
                ready.append((index, GenerateRequest(ids, sampling, adapter=self.adapter if tuned else None)))
            else:
                self.too_long += 1
        for start in range(0, len(ready), 64):
            part = ready[start : start + 64]
            for (index, _), result in zip(part, generate_all(self.engine, [request for _, request in part])):
                if result.finish in ("stop", "length"):
                    answers[index] = answer_in(self.tokenizer, result.ids, questions[index])
                else:
                    self.failed += 1
            done, passed = start + len(part), time.perf_counter() - began
            rate = done / passed
            watch(Progress(work, done, len(ready), "answers", rate, (len(ready) - done) / rate))
        seconds = time.perf_counter() - began
        watch(Finished(work, seconds, f"{len(questions):,} answers"))
        return answers, seconds

    def faults(self, num_questions: int) -> list[str]:
        """Return why answers of the last call are missing, where some are."""
        reasons = []
        if self.too_long:
            reasons.append(
                f"{self.too_long:,} of {num_questions:,} questions are, with their answer, more than the "
                f"{self.engine.context_length:,} tokens that the model reads and count as wrong"
            )
        if self.failed:
            reasons.append(f"the engine failed on {self.failed:,} of {num_questions:,} questions, which count as wrong")
        return reasons


@contextmanager
def open_speaker(setting: Setting, *, tuned: bool) -> Iterator[Speaker]:
    """Yield an engine; with an adapter the same engine answers as both models, else as the one asked for."""
    from dizuo import engines
    from dizuo.models import load_tokenizer

    adapters = {TUNED: setting.adapter} if setting.adapter is not None else {}
    weights = setting.weights if tuned else None
    engine = engines.open(setting.spec, adapters=adapters, weights=weights)
    try:
        yield Speaker(engine, load_tokenizer(setting.spec), TUNED if adapters else None, setting)
    finally:
        engine.close()
