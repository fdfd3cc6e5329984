"""What `import dizuo` offers, and what it costs."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib.metadata import version

import pytest

import dizuo

HEAVY = ("torch", "transformers", "peft", "numpy", "sklearn", "pyarrow", "yaml", "click", "rich", "jinja2", "uvicorn")


def loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return {name.partition(".")[0] for name in run.stdout.split()}


def test_importing_dizuo_loads_nothing_heavy() -> None:
    assert not loaded_by("import dizuo") & set(HEAVY)


@pytest.mark.parametrize(
    "module",
    [
        "dizuo.data.options",
        "dizuo.engines.options",
        "dizuo.evaluation.options",
        "dizuo.serving.options",
        "dizuo.steps.options",
        "dizuo.training.planning.options",
        "dizuo.models",
        "dizuo.artifacts",
        "dizuo.records",
        "dizuo.recipe",
    ],
)
def test_options_and_facts_load_neither_torch_nor_transformers(module: str) -> None:
    assert not loaded_by(f"import {module}") & {"torch", "transformers", "sklearn", "peft"}


def test_the_public_names_are_sorted_and_all_there() -> None:
    assert dizuo.__all__ == sorted(dizuo.__all__)
    for name in dizuo.__all__:
        assert getattr(dizuo, name) is not None
    assert set(dizuo.__all__) <= set(dir(dizuo))


def test_a_misspelt_name_gets_a_suggestion() -> None:
    with pytest.raises(AttributeError, match="no attribute 'evalute' \\(did you mean 'evaluate'\\?\\)"):
        dizuo.evalute  # noqa: B018


def test_the_version_is_the_packages() -> None:
    assert dizuo.__version__ == version("dizuo")


def signature(name: str) -> str:
    """Return parameters with their defaults, without types."""
    out, keyword = [], False
    for parameter in inspect.signature(getattr(dizuo, name)).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword:
            out.append("*")
            keyword = True
        star = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
        value = parameter.default
        shown = "" if value is parameter.empty else f"={getattr(value, '__name__', None) or repr(value)}"
        out.append(f"{star}{parameter.name}{shown}")
    return ", ".join(out)


def test_the_verbs_keep_their_signatures() -> None:
    assert {name: signature(name) for name in SIGNATURES} == SIGNATURES


# Reviewed as a diff: who changes one of these changes what everybody calls.
SIGNATURES = {
    "deploy": "run, *, name, alias='default', data=None, require=None, include_samples=False, include_base=False, "
    "out=None, force=False, watch=show",
    "evaluate": "run, data, *, against=None, out=None, force=False, watch=show, **options",
    "plan": "recipe, *, until='deploy', folder='runs', measure=True, watch=show",
    "prepare": "source, *, out=None, force=False, watch=show, **options",
    "run": "recipe, *, until='deploy', force=(), folder='runs', watch=show",
    "select": "address, *, watch=show",
    "train": "model, data, *, out=None, force=False, watch=show, **options",
}
