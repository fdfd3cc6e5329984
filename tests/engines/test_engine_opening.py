"""Opening an engine by name, its options, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from dizuo import engines
from dizuo.engines import EngineOptions
from dizuo.engines.kinds import ENGINES
from dizuo.errors import RecipeError, ServingError


def test_an_unknown_engine_is_named_with_what_exists() -> None:
    spec: Any = None
    with pytest.raises(ServingError) as caught:
        engines.open(spec, engine="embeded")
    assert caught.value.message == "no engine is called 'embeded' (did you mean 'embedded'?)"
    assert caught.value.hint == f"choose one of: {', '.join(ENGINES.names())}"


def test_importing_the_protocol_loads_neither_torch_nor_transformers() -> None:
    code = "import sys, dizuo.engines; print(sorted({'torch', 'transformers', 'peft'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_all_wrong_options_are_reported_together() -> None:
    with pytest.raises(RecipeError) as caught:
        EngineOptions(max_running=0, max_waiting=0, dtype="float8")
    assert str(caught.value).splitlines() == [
        "3 engine settings are wrong",
        "  engine.max_running: must be at least 1, not 0",
        "  engine.max_waiting: must be at least 1, not 0",
        "  engine.dtype: must be float32, bfloat16 or float16, not 'float8'",
    ]


def test_the_public_names_are_sorted() -> None:
    assert list(engines.__all__) == sorted(engines.__all__)
