"""Every kind of plugin: what a third party writes is found, and what is wrong with it is one error naming its file.

A kind stands in `KINDS` with the source of a plugin that is as small as the contract allows. It is written into real
folders, broken in each way that people break it, and installed from a real wheel.
"""

from __future__ import annotations

import ast
import base64
import dataclasses
import hashlib
import importlib
import os
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import pytest

from dizuo import plugins
from dizuo.errors import DizuoError, EvaluationError, MissingPackage, PluginError
from dizuo.plugins import Kind, check_fields
from dizuo.plugins import _a as a

# ---- the table of kinds


class Reader(Protocol):
    """A kind of function that is named by a protocol."""

    def __call__(self, path: str, *, strict: bool) -> list[str]: ...


class Counter:
    """A class of the contract's own file."""


Scorer = Callable[[str], float]


@dataclass(frozen=True, slots=True)
class Sample:
    """A contract that has a field of every type that contracts have."""

    title: str
    score: Callable[[str, str], float]
    name: str = ""
    kinds: tuple[str, ...] = ()
    higher_is_better: bool = True
    size: int = 1
    weight: float = 1.0
    shape: Literal["line", "block"] = "line"
    options: type[Counter] | None = None
    check: Callable[[str], None] | None = None
    read: Reader | None = None
    scorer: Scorer | None = None
    counter: Counter | None = None
    names: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_fields(self)


SAMPLES = Kind("sample", "sample_plugins", "SAMPLE", Sample, error=EvaluationError)
"""The plugin folder `sample_plugins` is written by the tests."""

KINDS: dict[str, str] = {
    "test_plugins:SAMPLES": """
        from test_plugins import Sample
        def score(answer, wanted):
            return float(answer == wanted)
        SAMPLE = Sample(title="equal", score=score)
        """,
    "dizuo.artifacts.sources:SOURCES": """
        from dizuo.artifacts.sources import Source
        def parse(rest):
            raise NotImplementedError
        def fetch(address, watch):
            raise NotImplementedError
        SOURCE = Source(form="s3:bucket/path", parse=parse, fetch=fetch)
        """,
    "dizuo.data.readers:READERS": """
        from dizuo.data.readers import Reader
        def looks(head):
            return head.startswith(b"%YAML")
        def read(source):
            yield from ()
        READER = Reader(suffixes=(".yaml",), looks=looks, read=read)
        """,
    "dizuo.data.formats:FORMATS": """
        from dizuo.data.formats import Format
        from dizuo.records import Text
        def fits(row, columns):
            return None
        def read(row, columns, options):
            yield from ()
        FORMAT = Format(makes=(Text,), needs=("text",), fits=fits, read=read)
        """,
    "dizuo.engines.kinds:ENGINES": """
        from dizuo.engines.kinds import EngineKind
        def open_mine(model, adapters, head, options):
            raise NotImplementedError
        ENGINE = EngineKind(open=open_mine, serves_adapters=True, reads_states=False)
        """,
    "dizuo.vectors.stores:STORES": """
        from dataclasses import dataclass
        from dizuo.vectors.protocol.database import Database
        @dataclass(frozen=True)
        class Options:
            timeout: float = 60.0
        def open_store(url, request, options):
            raise NotImplementedError
        STORE = Database(options=Options, open=open_store)
        """,
    "dizuo.vectors.embedders:EMBEDDERS": """
        from dataclasses import dataclass
        from dizuo.vectors.embedders import EmbedderKind
        @dataclass(frozen=True)
        class Options:
            max_tokens: int = 512
        def open_mine(address, options, watch):
            raise NotImplementedError
        EMBEDDER = EmbedderKind(options=Options, open=open_mine)
        """,
    "dizuo.vectors.rerankers:RERANKERS": """
        from dataclasses import dataclass
        from dizuo.vectors.rerankers import RerankerKind
        @dataclass(frozen=True)
        class Options:
            max_tokens: int = 512
        def open_mine(address, options, watch):
            raise NotImplementedError
        RERANKER = RerankerKind(options=Options, open=open_mine)
        """,
    "dizuo.vectors.knowledge.documents.readers:READERS": """
        from dizuo.vectors.knowledge.documents.readers import DocumentReader
        def read(path, watch):
            raise NotImplementedError
        READER = DocumentReader(suffixes=(".tex",), read=read)
        """,
    "dizuo.vectors.benchmarking.raw:RAW": """
        from dizuo.vectors.benchmarking.raw import RawClient
        def open_raw(url, dim, table):
            raise NotImplementedError
        RAW = RawClient(open=open_raw)
        """,
    "dizuo.training.methods:METHODS": """
        from dataclasses import dataclass
        from dizuo.training.method import Loss, Method
        @dataclass(frozen=True)
        class Options:
            beta: float = 0.1
        def sequences(example, task, tokenizer, options):
            return []
        def loss(outputs, batch, options):
            return Loss(outputs.logprobs.sum(), 1.0)
        METHOD = Method(Options=Options, kinds=("chat",), sequences=sequences, loss=loss)
        """,
    "dizuo.training.trackers:TRACKERS": """
        from dizuo.training.trackers import Tracker
        class Journal:
            def __init__(self, plan, folder, start):
                self.place = str(folder)
            def log(self, step, values, time):
                pass
            def close(self, *, failed):
                pass
        TRACKER = Tracker(package="json", extra="dizuo", open=Journal)
        """,
    "dizuo.training.launchers:LAUNCHERS": """
        from dizuo.training.launchers import Launcher
        def launch(plan, *, ranks, worker=(), watch=print):
            raise NotImplementedError
        LAUNCHER = Launcher(launch=launch)
        """,
    "dizuo.evaluation.metrics:METRICS": """
        import numpy as np
        from dizuo.evaluation.metrics import Metric
        def bleu(answers, references):
            return np.zeros(len(answers))
        METRIC = Metric(title="BLEU", items=bleu)
        """,
    "dizuo.evaluation.figures:FIGURES": """
        from dizuo.evaluation.figures import Figure
        def kappa(answered):
            return 0.0
        FIGURE = Figure(title="Cohen's kappa", value=kappa, answers=("label",))
        """,
    "dizuo.evaluation.baselines:BASELINES": """
        from dizuo.evaluation.answering.answers import Answers
        from dizuo.evaluation.baselines import Baseline, CheapModel
        def fit(rows, *, labels, options, watch=print):
            return lambda texts: Answers([rows[0][1]] * len(texts))
        BASELINE = Baseline(title="the first label", answers=("label",), how=CheapModel(fit))
        """,
    "dizuo.evaluation.kinds:KINDS": """
        from dizuo.evaluation.kinds import TaskKind
        def applies(task, head):
            return False
        def items(rows, task, limit):
            return []
        def entries(setting, score, absent):
            return []
        KIND = TaskKind(
            title="ranking", answers="ranking", applies=applies, items=items, entries=entries, own_score="NDCG"
        )
        """,
    "dizuo.training.doctor.checks:CHECKS": """
        from dizuo.training.doctor import Check, green
        def check(subject):
            return green("nothing was looked at")
        CHECK = Check(title="all is well", trap=1, check=check)
        """,
}
"""Each kind, as `module:NAME` of its `Kind`, with the smallest plugin of it: its module ends in the contract's call,
with every argument given by name."""


def kind_at(address: str) -> Kind[Any]:
    module, _, name = address.partition(":")
    found: Kind[Any] = getattr(importlib.import_module(module), name)
    return found


@pytest.fixture(params=list(KINDS), ids=lambda address: address.partition(":")[2])
def address(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def source(address: str) -> str:
    return textwrap.dedent(KINDS[address])


# ---- folders and installed packages


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty plugin folder on the path: the package `sample_plugins`."""
    home = tmp_path / "home" / "sample_plugins"
    home.mkdir(parents=True)
    (home / "__init__.py").write_text('"""Plugins of the tests."""\n')
    monkeypatch.syspath_prepend(home.parent)
    before = set(sys.modules)
    plugins._entry_points.cache_clear()
    yield home
    plugins._entry_points.cache_clear()
    for name in set(sys.modules) - before:
        if name.startswith(("sample_plugins", "third_party")):
            del sys.modules[name]


@pytest.fixture
def kind(address: str, folder: Path) -> Kind[Any]:
    """The kind, reading the folder of the tests."""
    return dataclasses.replace(kind_at(address), package="sample_plugins", group="sample_plugins")


def install(folder: Path, package: str, points: dict[str, str], **modules: str) -> None:
    """Put modules and a distribution with entry points on the path, as an installed package has them."""
    facts = folder.parent / f"{package.replace('-', '_')}-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (facts / "entry_points.txt").write_text("\n".join(["[sample_plugins]", *lines, ""]))
    for module, text in modules.items():
        (folder.parent / f"{module}.py").write_text(textwrap.dedent(text))
    plugins._entry_points.cache_clear()


def refused(kind: Kind[Any], name: str = "mine") -> PluginError:
    with pytest.raises(PluginError) as caught:
        kind.load(name)
    return caught.value


def changed(source: str, change: Callable[[ast.Call], None]) -> str:
    """Return the source with the call of the contract, in which it ends, changed."""
    tree = ast.parse(source)
    assign = tree.body[-1]
    assert isinstance(assign, ast.Assign | ast.AnnAssign)
    assert isinstance(assign.value, ast.Call)
    change(assign.value)
    return ast.unparse(tree)


def form_of(source: str) -> str:
    """Return the name of the class that the source makes its plugin of: the contract, or one of its forms."""
    names: list[str] = []
    changed(source, lambda call: names.append(ast.unparse(call.func)))
    return names[0]


def function_of(source: str) -> str:
    """Return the name of a field that must be given and holds a function; empty where the plugin has none."""
    functions = {node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)}
    given: list[str] = []

    def look(call: ast.Call) -> None:
        given.extend(str(k.arg) for k in call.keywords if isinstance(k.value, ast.Name) and k.value.id in functions)

    changed(source, look)
    return given[0] if given else ""


# ---- every kind


def test_a_plugin_is_found_and_gets_its_name(kind: Kind[Any], folder: Path, source: str) -> None:
    (folder / "mine.py").write_text(source)
    assert kind.names() == ("mine",)
    plugin = kind.load("mine")
    assert isinstance(plugin, kind.contract)
    if any(field.name == "name" for field in dataclasses.fields(kind.contract)):
        assert plugin.name == "mine"
    assert kind.all() == {"mine": plugin}


def test_a_contract_is_a_frozen_dataclass_whose_fields_are_explained(address: str) -> None:
    contract = kind_at(address).contract
    assert dataclasses.is_dataclass(contract)
    assert contract.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert "__slots__" in vars(contract)
    assert contract.__doc__
    if contract is Sample:
        return
    tree = ast.parse(Path(str(sys.modules[contract.__module__].__file__)).read_text("utf-8"))
    body = next(n.body for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == contract.__name__)
    for field, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(field, ast.AnnAssign) and ast.unparse(field.target) != "name":
            explained = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            assert explained, f"{contract.__name__}.{ast.unparse(field.target)} has no docstring"


def test_a_module_that_does_not_end_in_the_attribute_is_refused(kind: Kind[Any], folder: Path, source: str) -> None:
    (folder / "mine.py").write_text(source.replace(f"\n{kind.attribute} ", f"\n{kind.attribute}E "))
    error = refused(kind)
    assert error.message.startswith(f"{folder / 'mine.py'} is not {a(kind.noun)}: it has no {kind.attribute} (did you")
    assert f"ends in {kind.attribute} = {form_of(source)}(…)" in str(error.hint)


def test_a_misspelt_field_is_refused_with_the_near_name(kind: Kind[Any], folder: Path, source: str) -> None:
    def misspell(call: ast.Call) -> None:
        call.keywords[0].arg = str(call.keywords[0].arg) + "s_"

    (folder / "mine.py").write_text(changed(source, misspell))
    error = refused(kind)
    assert error.message.startswith(f"{folder / 'mine.py'} is not {a(kind.noun)}: {form_of(source)} has no field")
    assert "did you mean" in error.message


def test_a_missing_function_is_refused_by_name(kind: Kind[Any], folder: Path, source: str) -> None:
    name = function_of(source)
    if not name:
        pytest.skip("its contract asks for no function")

    def remove(call: ast.Call) -> None:
        call.keywords = [keyword for keyword in call.keywords if keyword.arg != name]

    (folder / "mine.py").write_text(changed(source, remove))
    error = refused(kind)
    assert error.message.endswith(f"is not {a(kind.noun)}: {form_of(source)} also needs {name!r}")
    assert str(folder / "mine.py") in error.message


def test_a_field_of_the_wrong_type_is_refused(kind: Kind[Any], folder: Path, source: str) -> None:
    name = function_of(source)

    def replace(call: ast.Call) -> None:
        for keyword in call.keywords:
            if keyword.arg == name or not name:
                keyword.value = ast.Constant(5)

    (folder / "mine.py").write_text(changed(source, replace))
    error = refused(kind)
    assert error.message.startswith(f"{folder / 'mine.py'} is not {a(kind.noun)}: ")
    assert " is 5, not " in str(error)


def test_a_function_that_cannot_be_called_so_is_refused(kind: Kind[Any], folder: Path, source: str) -> None:
    name = function_of(source)
    declared = {field.name: str(field.type) for field in dataclasses.fields(kind.contract)}
    if not declared.get(name, "").startswith("Callable[["):
        pytest.skip("its contract says of no function what it is called with")

    def replace(call: ast.Call) -> None:
        for keyword in call.keywords:
            if keyword.arg == name:
                keyword.value = ast.parse("lambda a, b, c, d, e, f, g, h, i: None", mode="eval").body

    (folder / "mine.py").write_text(changed(source, replace))
    error = refused(kind)
    assert f"{name} is <lambda>(a, b, c, d, e, f, g, h, i), which is called with " in error.message


def test_another_value_under_the_attribute_is_refused(kind: Kind[Any], folder: Path, source: str) -> None:
    (folder / "mine.py").write_text(f"{source}\n{kind.attribute} = {{'title': 'a'}}\n")
    assert refused(kind).message == f"{folder / 'mine.py'} is not {a(kind.noun)}: {kind.attribute} is a dict"


def test_the_class_instead_of_its_value_is_refused(kind: Kind[Any], folder: Path, source: str) -> None:
    (folder / "mine.py").write_text(f"{source}\n{kind.attribute} = type({kind.attribute})\n")
    name = form_of(source)
    assert refused(kind).message == f"{folder / 'mine.py'} is not {a(kind.noun)}: {kind.attribute} is the class {name}"


def test_a_module_that_raises_is_named(kind: Kind[Any], folder: Path, source: str) -> None:
    (folder / "mine.py").write_text(f"raise RuntimeError('no licence\\nsecond line')\n{source}")
    error = refused(kind)
    assert error.message == (
        f"{folder / 'mine.py'} is not {a(kind.noun)}: importing it raises RuntimeError: no licence (mine.py, line 1)"
    )


def test_a_name_that_no_plugin_has_is_refused_with_the_near_one(kind: Kind[Any], folder: Path, source: str) -> None:
    (folder / "mine.py").write_text(source)
    with pytest.raises(
        kind.error, match=rf"^no {kind.noun} is called 'mime' \(did you mean 'mine'\?\)\n\nhint: choose"
    ):
        kind.load("mime")


def test_a_third_party_may_not_take_a_name_of_ours(kind: Kind[Any], folder: Path, source: str) -> None:
    (folder / "mine.py").write_text(source)
    install(folder, "third-party", {"mine": "third_party"}, third_party=source)
    error = refused(kind)
    assert error.message == f"there are 2 plugins for the {kind.noun} 'mine'"
    assert error.details == (
        str(folder / "mine.py"),
        f"{folder.parent / 'third_party.py'} (of the package third-party)",
    )
    assert "another name" in str(error.hint)


def test_two_third_parties_may_not_have_one_name(kind: Kind[Any], folder: Path, source: str) -> None:
    install(folder, "third-party", {"mine": "third_party"}, third_party=source)
    install(folder, "third-party-too", {"mine": "third_party_too:ANY"}, third_party_too=source)
    error = refused(kind)
    assert error.message == f"there are 2 plugins for the {kind.noun} 'mine'"
    assert sorted(error.details) == [
        f"{folder.parent / 'third_party.py'} (of the package third-party)",
        f"{folder.parent / 'third_party_too.py'} (of the package third-party-too)",
    ]


def test_an_entry_point_is_a_module_or_the_value_itself(kind: Kind[Any], folder: Path, source: str) -> None:
    points = {"one": "third_party", "two": f"third_party:{kind.attribute}"}
    install(folder, "third-party", points, third_party=source)
    assert kind.names() == ("one", "two")
    one, two = kind.all().values()
    if any(field.name == "name" for field in dataclasses.fields(kind.contract)):
        assert (one.name, two.name) == ("one", "two")
    else:
        assert one == two


@pytest.mark.parametrize("point", ["third_party:ATTRIBUTED", "third_party.missing", "third_party_missing"])
def test_an_entry_point_to_nothing_is_refused(kind: Kind[Any], folder: Path, source: str, point: str) -> None:
    install(folder, "third-party", {"mine": point}, third_party=source)
    error = refused(kind)
    place = point if "missing" in point else str(folder.parent / "third_party.py")
    assert error.message.startswith(f"{place} is not {a(kind.noun)}: ")
    assert kind.contract.__name__ in str(error.hint)


def test_a_wheel_of_every_kind_is_found_by_another_process(tmp_path: Path) -> None:
    """pip installs it into a folder of its own, and a new interpreter that has this folder on its path reads it."""
    real = {address: source for address, source in KINDS.items() if not address.startswith("test_plugins:")}
    if not real:
        pytest.skip("no kind is typed yet")
    groups, files = [], {}
    for number, (address, source) in enumerate(real.items()):
        kind = kind_at(address)
        files[f"third_party/plugin_{number}.py"] = textwrap.dedent(source)
        groups += [f"[{kind.group or kind.package}]", f"of_wheel = third_party.plugin_{number}", ""]
    files |= {"third_party/__init__.py": "", "third_party-1.0.dist-info/entry_points.txt": "\n".join(groups)}
    wheel = write_wheel(tmp_path, files)
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps", "--no-index", "--quiet"]
    subprocess.run([*pip, "--target", target, wheel], check=True, timeout=120)
    code = (
        "import importlib, sys\n"
        "for address in sys.argv[1:]:\n"
        "    module, _, name = address.partition(':')\n"
        "    kind = getattr(importlib.import_module(module), name)\n"
        "    assert 'of_wheel' in kind.names(), address\n"
        "    plugin = kind.load('of_wheel')\n"
        "    assert isinstance(plugin, kind.contract)\n"
        "    print(sys.modules[f'third_party.plugin_{sys.argv[1:].index(address)}'].__file__)\n"
    )
    path = os.pathsep.join([str(target), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, "-c", code, *real], capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert [Path(line).parent.parent for line in run.stdout.split()] == [target] * len(real)


def write_wheel(folder: Path, files: dict[str, str]) -> Path:
    """Write a wheel by hand, as PEP 427 has it."""
    facts = "third_party-1.0.dist-info"
    files = {
        **files,
        f"{facts}/METADATA": "Metadata-Version: 2.1\nName: third-party\nVersion: 1.0\n",
        f"{facts}/WHEEL": "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(text.encode())}")
    wheel = folder / "third_party-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(f"{facts}/RECORD", "\n".join([*lines, f"{facts}/RECORD,,", ""]))
    return wheel


THIRD_PARTY = {
    "third_party/method.py": """
        '''Answers alone, worth one over their tokens.

            loss = − Σ w_t log p(token_t) / Σ w_t
        '''
        from dataclasses import dataclass
        from dizuo.training.method import Loss, Method
        @dataclass(frozen=True, slots=True)
        class Options:
            scale: float = 1.0
        def sequences(example, task, tokenizer, options):
            from dizuo.data.rendering import conversations
            return conversations.render(tokenizer, example, task)
        def loss(outputs, batch, options):
            return Loss(-options.scale * (outputs.weights * outputs.logprobs).sum(), batch.sequences.total_weight)
        METHOD = Method(Options=Options, kinds=("chat", "labelled"), sequences=sequences, loss=loss)
        """,
    "third_party/tracker.py": """
        '''A journal: one line per step in a text file.'''
        import json
        from dizuo.training.trackers import Tracker
        class Journal:
            def __init__(self, plan, folder, start):
                self.place = str(folder / "journal.jsonl")
            def log(self, step, values, time):
                with open(self.place, "a") as file:
                    file.write(json.dumps({"step": step, **values}) + chr(10))
            def close(self, *, failed):
                pass
        TRACKER = Tracker(open=Journal)
        """,
    "third_party/check.py": """
        '''No text is longer than twenty words.'''
        from dizuo.training.doctor import Check, green, red
        def check(subject):
            wrong = [row.place for row in subject.rows if len(getattr(row.example, "text", "").split()) > 20]
            if not wrong:
                return green(f"{len(subject.rows)} rows")
            return red(f"{len(wrong)} rows", meaning="They are long.", hint="shorten them", lines=wrong)
        CHECK = Check(title="every text is short", trap=10, check=check)
        """,
    "third_party-1.0.dist-info/entry_points.txt": """
        [dizuo.training.methods]
        answers = third_party.method
        [dizuo.training.trackers]
        journal = third_party.tracker
        [dizuo.training.doctor.checks]
        short_texts = third_party.check:CHECK
        """,
    "third_party/__init__.py": "",
}
SUITES = """
    import dataclasses, json
    import pytest
    from dizuo.testing import CheckSuite, MethodSuite, Sick, TrackerSuite
    from dizuo.testing.training.samples import Rows, labelled

    class TestAnswers(MethodSuite):
        ranks = 1
        @pytest.fixture
        def name(self):
            return "answers"
        @pytest.fixture
        def adapter(self):
            return "LoRA"

    class TestJournal(TrackerSuite):
        @pytest.fixture
        def name(self):
            return "journal"
        def read(self, run):
            lines = map(json.loads, (run.folder / "tracking" / "journal" / "journal.jsonl").open())
            return {line["step"]: line["loss"] for line in lines if "loss" in line}

    class TestShortTexts(CheckSuite):
        @pytest.fixture
        def name(self):
            return "short_texts"
        @pytest.fixture
        def sick(self, model, tmp_path):
            long = [dataclasses.replace(row, text=row.text * 5) for row in labelled(9)]
            return Sick(model, Rows(train=long).write(tmp_path / "long"))
    """


@pytest.mark.slow
def test_a_third_partys_plugins_run_through_the_suites_from_a_wheel(tmp_path: Path) -> None:
    files = {name: textwrap.dedent(text).lstrip() for name, text in THIRD_PARTY.items()}
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps", "--no-index", "--quiet"]
    subprocess.run([*pip, "--target", target, write_wheel(tmp_path, files)], check=True, timeout=120)
    (tmp_path / "test_third_party.py").write_text(textwrap.dedent(SUITES))
    path = os.pathsep.join([str(target), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_third_party.py"], cwd=tmp_path,
        capture_output=True, text=True, timeout=280, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert run.returncode == 0, run.stdout
    assert "12 passed, 1 skipped" in run.stdout, run.stdout


# ---- what the sample alone can show


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"title": 5}, "title is 5, not str"),
        ({"kinds": "chat"}, "kinds is 'chat', not tuple[str, ...]"),
        ({"kinds": ["chat"]}, "kinds is ['chat'], not tuple[str, ...]"),
        ({"kinds": ("chat", 5)}, "kinds is ('chat', 5), not tuple[str, ...]"),
        ({"names": "chat"}, "names is 'chat', not Sequence[str]"),
        ({"higher_is_better": 1}, "higher_is_better is 1, not bool"),
        ({"size": True}, "size is True, not int"),
        ({"size": 1.5}, "size is 1.5, not int"),
        ({"weight": "1"}, "weight is '1', not float"),
        ({"shape": "circle"}, "shape is 'circle', not one of 'line', 'block'"),
        ({"options": 5}, "options is 5, not a class or None"),
        ({"check": "no"}, "check is 'no', not a function or None"),
        ({"check": lambda: None}, "check is <lambda>(), which is called with 1 arguments: str"),
        ({"score": max}, ""),
        ({"read": "no"}, "read is 'no', not a function or None"),
        ({"scorer": 5}, "scorer is 5, not a function or None"),
        ({"counter": "no"}, "counter is 'no', not a Counter or None"),
        ({"counter": Counter(), "options": Counter, "weight": 2, "names": ["a"], "read": print}, ""),
        ({"title": "t" * 200, "size": "t" * 200}, f"size is '{'t' * 78}…, not int"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)  # fmt: skip
def test_what_a_field_may_hold(changes: dict[str, Any], told: str) -> None:
    given = {"title": "equal", "score": lambda answer, wanted: 1.0, **changes}
    if not told:
        Sample(**given)
        return
    with pytest.raises(PluginError) as caught:
        Sample(**given)
    assert caught.value.message == told


def test_all_wrong_fields_are_told_at_once(folder: Path) -> None:
    (folder / "mine.py").write_text(
        "from test_plugins import Sample\nSAMPLE = Sample(title=5, score=None, size='large')\n"
    )
    assert str(refused(SAMPLES)).splitlines() == [
        f"{folder / 'mine.py'} is not a sample: 3 fields are wrong",
        "  title is 5, not str",
        "  score is None, not a function",
        "  size is 'large', not int",
        "",
        "hint: the file of the sample 'mine' ends in SAMPLE = Sample(…) with title, score (and, where it needs them, "
        "kinds, higher_is_better, size, weight, shape, options, check, read, scorer, counter, names)",
    ]


def test_a_fault_of_another_function_is_not_called_one_of_the_contract(folder: Path) -> None:
    (folder / "mine.py").write_text("def wrap(a): ...\nwrap(colour=1)\n")
    assert refused(SAMPLES).message.endswith(
        "importing it raises TypeError: wrap() got an unexpected keyword argument 'colour' (mine.py, line 2)"
    )


def test_an_attribute_in_the_wrong_case_is_found(folder: Path) -> None:
    (folder / "mine.py").write_text("from test_plugins import Sample\nsample = 5\n")
    assert refused(SAMPLES).message.endswith("it has no SAMPLE (did you mean 'sample'?)")


def test_a_package_that_is_not_installed_is_told_as_it_is(folder: Path) -> None:
    (folder / "mine.py").write_text(
        "from dizuo.errors import MissingPackage\n"
        "raise MissingPackage('colours', purpose='the sample mine', install='dizuo[colours]')\n"
    )
    with pytest.raises(MissingPackage):
        SAMPLES.load("mine")


@pytest.mark.parametrize(
    ("source", "point", "told"),
    [
        (
            "raise SystemExit('usage: mine')",
            "third_party",
            "importing it raises SystemExit: usage: mine (third_party.py, line 1)",
        ),
        (
            "def __getattr__(name): raise RuntimeError('no licence')",
            "third_party:ANY",
            "reading ANY raises RuntimeError: no licence (third_party.py, line 1)",
        ),
        (
            "class Slotted:\n    __slots__ = ('size',)\nslotted = Slotted()",
            "third_party:slotted.sise",
            "it has no slotted.sise (did you mean 'size'?)",
        ),
    ],
    ids=["a module that ends the process", "an attribute that raises", "a value without a __dict__"],
)
def test_whatever_a_module_does_is_told_as_its_own_fault(folder: Path, source: str, point: str, told: str) -> None:
    install(folder, "third-party", {"mine": point}, third_party=source)
    assert refused(SAMPLES).message == f"{folder.parent / 'third_party.py'} is not a sample: {told}"


def test_a_broken_method_is_no_wrong_field_of_the_recipe(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dizuo import recipe
    from dizuo.steps import settings

    (folder / "mine.py").write_text("METHODS = 5\n")
    methods = dataclasses.replace(settings.METHODS, package="sample_plugins", group="sample_plugins")
    monkeypatch.setattr(settings, "METHODS", methods)
    (folder / "r.yaml").write_text("name: r\ntrain: {method: mine}\n")
    with pytest.raises(PluginError, match="is not a method: it has no METHOD"):
        settings.bind(recipe.read(folder / "r.yaml", strict=False))


def test_files_that_begin_with_an_underscore_are_no_plugins(folder: Path) -> None:
    (folder / "_words.py").write_text("raise RuntimeError\n")
    (folder / "wide").mkdir()
    (folder / "wide" / "__init__.py").write_text(textwrap.dedent(KINDS["test_plugins:SAMPLES"]))
    assert SAMPLES.names() == ("wide",)
    assert SAMPLES.load("wide").title == "equal"


def test_a_name_is_looked_up_without_importing_a_plugin(folder: Path) -> None:
    (folder / "mine.py").write_text("raise RuntimeError\n")
    SAMPLES.check("mine")
    with pytest.raises(DizuoError, match="no sample is called 'other'"):
        SAMPLES.check("other")
    assert "sample_plugins.mine" not in sys.modules
