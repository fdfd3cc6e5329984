"""Every method in the folder trains with every kind of adapter: here, on two ranks, and on a GPU where there is one.

docs/reference/methods.md is written from the same two lists, and its marks from what these tests found
(`dizuo.testing.method_results`); a method that is added is in both at once.
"""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import replace
from typing import Any

import pytest
import torch
from preference_samples import feedback, preferences, texts
from test_ranks_together import assert_close, torchrun_worker
from training_samples import Rows, labelled

from dizuo.data import Dataset, Task
from dizuo.records import Labelled
from dizuo.testing import MethodSuite
from dizuo.testing.method_results import PLACES
from dizuo.testing.training.methods import ADAPTERS
from dizuo.testing.training.samples import ROWS
from dizuo.training import Run, TrainOptions, plan, train
from dizuo.training.methods import METHODS

NAMES = METHODS.names()
OPTIONS: dict[str, Any] = {
    "batch_size": 6,
    "max_steps": 3,
    "eval_every": 3,
    "rank": 4,
    "learning_rate": 3e-4,
    "dtype": "float32",
    "threads": 1,
}
HERE = [name for name in ADAPTERS if name != "QLoRA" or importlib.util.find_spec("bitsandbytes") is not None]
"""Those that can be tried on this machine."""
slow = pytest.mark.slow
gpu = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")]


def test_the_page_of_methods_has_these_columns():
    """pytest finds docs/ on its path."""
    import methods_page

    assert tuple(ADAPTERS) == methods_page.ADAPTERS
    for test in PLACES.values():
        assert test in globals() or hasattr(TestEveryMethod, test)


def numbered(count: int) -> list[Any]:
    return [replace(row, labels=(str(len(row.text)),)) for row in labelled(count) if isinstance(row, Labelled)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    """Return, for every method, rows that it takes."""
    folder = tmp_path_factory.mktemp("rows")
    numbers = numbered(18)
    labels = tuple(sorted({row.labels[0] for row in numbers}))
    classes = Rows(train=labelled(18), validation=labelled(5, start=50))
    pairs = Rows(train=preferences(18), validation=preferences(5, start=50), task=None)
    made = {
        "sft": classes,
        "classification": classes,
        "regression": Rows(train=numbers, validation=numbers[:5], task=Task("classification", "How long?", labels)),
        "kto": Rows(train=feedback(18), validation=feedback(6, start=50), task=None),
        "pretrain": Rows(train=texts([30 + n % 9 for n in range(40)]), validation=texts([9, 4, 90]), task=None),
    }
    assert set(made) < set(NAMES)
    return {method: made.get(method, pairs).write(folder / method) for method in NAMES}


def planned(spec: Any, data: dict[str, Dataset], out: Any, method: str, adapter: str, **more: Any) -> Any:
    if adapter not in HERE:
        pytest.skip("bitsandbytes is not installed")
    options = TrainOptions(**{**OPTIONS, **ADAPTERS[adapter], "method": method, **more})
    method_options = METHODS.load(method).Options(**({"window": 64} if method == "pretrain" else {}))
    return plan(spec, data[method], out=out, options=options, method_options=method_options, measure=False)


class TestEveryMethod(MethodSuite):
    ranks = 1  # all methods with all adapters are trained by two ranks below, in one group

    @pytest.fixture(params=NAMES)
    def name(self, request):
        return request.param

    @pytest.fixture
    def options(self, name):
        return {"window": 64} if name == "pretrain" else {}

    @pytest.fixture
    def rows(self, name, method):
        return {"regression": numbered, "sft": labelled}.get(name, ROWS[method.kinds[0]])(30)

    @pytest.fixture
    def task(self, name, method, rows):
        if name == "regression":
            return Task("classification", "How long?", tuple(sorted({row.labels[0] for row in rows})))
        return Rows().task if name in ("sft", "classification") else None

    @pytest.fixture(params=[name if name == "LoRA" else pytest.param(name, marks=slow) for name in ADAPTERS])
    def adapter(self, request):
        return request.param


@pytest.fixture(scope="module")
def folders(spec, data, tmp_path_factory):
    """Every method with every adapter, planned once, trained by one rank and by two."""
    root = tmp_path_factory.mktemp("ranks")
    made = {}
    for method in NAMES:
        for adapter in HERE:
            one, two = root / f"{method}-{adapter}-1", root / f"{method}-{adapter}-2"
            planned(spec, data, one, method, adapter)
            shutil.copytree(one, two)
            train(Run.open(one).plan)
            made[method, adapter] = (one, two)
    torchrun_worker(2, root / "pids", *(two for _, two in made.values()))
    return {key: tuple(Run.open(folder) for folder in pair) for key, pair in made.items()}


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("method", NAMES)
def test_two_ranks_train_every_method_as_one_does(folders, method, adapter):
    if adapter not in HERE:
        pytest.skip("bitsandbytes is not installed")
    one, two = folders[method, adapter]
    assert_close(two, one)


@pytest.mark.parametrize("adapter", [pytest.param(name, marks=gpu) for name in ADAPTERS])
@pytest.mark.parametrize("method", NAMES)
def test_a_gpu_trains_every_method_as_a_cpu_does(spec, data, tmp_path, method, adapter):
    torch.backends.cuda.matmul.allow_tf32 = False
    changes = {"dtype": "float32"}
    here = train(planned(spec, data, tmp_path / "cpu", method, adapter, device="cpu", **changes))
    there = train(planned(spec, data, tmp_path / "cuda", method, adapter, device="cuda", **changes))
    assert there.plan.use.device == "cuda"
    for mine, theirs in zip(there.metrics(), here.metrics(), strict=True):
        for name in ("loss", "validation_loss"):
            assert mine.get(name, 0.0) == pytest.approx(theirs.get(name, 0.0), abs=1e-4, rel=1e-4)
