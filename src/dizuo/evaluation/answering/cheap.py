"""The answers of the cheap baselines that an evaluation asks for."""

from __future__ import annotations

from collections.abc import Sequence

from dizuo.errors import EvaluationError
from dizuo.evaluation.answering.answers import Absent, Answers
from dizuo.evaluation.baselines import BASELINES, Baseline, CheapModel
from dizuo.evaluation.setting import Setting

__all__ = ["cheap_answers", "choose_baselines"]


def choose_baselines(asked: Sequence[str], *, answers: str) -> list[Baseline]:
    """Return the cheap models that were asked for; `auto` is all that give such answers.

    Args:
        asked: names, or `auto` alone.
        answers: the kind of answers: see `TaskKind.answers`.

    Raises:
        EvaluationError: there is no such baseline, it is no model of its own, or it gives other answers.
    """
    cheap = {name: baseline for name, baseline in BASELINES.all().items() if isinstance(baseline.how, CheapModel)}
    if list(asked) == ["auto"]:
        return [baseline for baseline in cheap.values() if answers in baseline.answers]
    for name in asked:
        BASELINES.check(name)
        if name not in cheap:
            raise EvaluationError(
                f"the baseline {name!r} is a prompt of the untuned model, which is asked anyway",
                hint=f"evaluate.baselines names cheap models: {', '.join(cheap)}",
            )
        if answers not in cheap[name].answers:
            fitting = [other for other, baseline in cheap.items() if answers in baseline.answers]
            raise EvaluationError(
                f"the baseline {name!r} answers with {' or '.join(cheap[name].answers)}, but this task wants {answers}",
                hint=f"baselines for this task: {', '.join(fitting) or 'none'}",
            )
    return [cheap[name] for name in asked]


def cheap_answers(
    setting: Setting, baselines: Sequence[Baseline], absent: dict[str, str], *, labels: Sequence[str] = ()
) -> list[tuple[Baseline, Answers]]:
    """Return what each baseline, fitted on the training rows, answers to the items.

    Args:
        setting: its training rows, items and options.
        baselines: from `choose_baselines`.
        absent: gets the title of each that cannot be made here, with the reason.
        labels: the answers to choose from; empty where answers are no labels.
    """
    texts = [item.text for item in setting.items]
    rows = []
    for baseline in baselines:
        assert isinstance(baseline.how, CheapModel)
        try:
            answer = baseline.how.fit(
                setting.training_rows, labels=labels, options=setting.options, watch=setting.watch
            )
            rows.append((baseline, answer(texts)))
        except Absent as reason:
            absent[baseline.title] = str(reason)
    return rows
