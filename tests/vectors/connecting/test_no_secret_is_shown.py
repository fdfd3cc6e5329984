"""Whatever stands in an address as a password: no output, error, log record, file or file name has a part of it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import pickle
import random
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from odd_addresses import NOWHERE, SHAPES, Odd, odd_addresses, random_password

from dizuo.cli import dizuo
from dizuo.vectors import Point, connect
from dizuo.vectors.asynchronous import connect_async
from dizuo.vectors.embedders import CallableEmbedder, open_embedder
from dizuo.vectors.knowledge.knowledge_base import KnowledgeBase
from dizuo.vectors.rerankers import open_reranker
from dizuo.vectors.stores import STORES
from dizuo.vectors.writing.retrying import Patience

SCHEMES = (*STORES.names(), "http", "openai:http", "cross-encoder:http")
"""What addresses begin with: of stores, embedders and rerankers."""
FAST = len(SHAPES) * len(SCHEMES)
"""Addresses of the quick test: every shape with every scheme."""
ALL = 10_000
ONCE = Patience(attempts=1)


def quick(url: str) -> dict[str, object]:
    """Return options with which a server that is not there is given up soon."""
    slow = ("milvus", "elasticsearch", "redis", "marqo", "pinecone")
    said = url.strip().lower().startswith(slow) and "timeout" not in url and "://" in url
    return {"timeout": 0.3} if said else {}


def call_connect(url: str) -> object:
    return connect(url, dim=2, patience=ONCE, **quick(url))  # type: ignore[arg-type]


def call_connect_async(url: str) -> object:
    return asyncio.run(connect_async(url, dim=2, patience=ONCE, **quick(url)))


def call_knowledge_base(url: str) -> object:
    embedder = CallableEmbedder(lambda texts: [[1.0, 0.0]] * len(texts), name="two", dim=2, digest="two")
    return KnowledgeBase.open(url, embedder, patience=ONCE, **quick(url))


def call_embedder(url: str) -> None:
    head = url.lstrip().lower().partition(":")[0]
    options = {"tries": 1} if head in ("http", "https", "openai") else {}
    open_embedder(url, **options).embed(["a text"])


def call_reranker(url: str) -> None:
    open_reranker(url)("a question", ["a text"])


def verb(*arguments: str) -> Callable[[str], object]:
    def call(url: str) -> object:
        with pytest.raises(SystemExit):
            dizuo.main([argument.replace("URL", url) for argument in arguments])
        return None

    call.room = arguments[0]  # type: ignore[attr-defined]
    return call


VERBS: dict[str, Callable[[str], object]] = {
    "connect": call_connect,
    "connect_async": call_connect_async,
    "KnowledgeBase": call_knowledge_base,
    "open_embedder": call_embedder,
    "open_reranker": call_reranker,
    "info": verb("vectors", "info", "URL"),
    "info --json": verb("vectors", "info", "URL", "--json"),
    "search": verb("vectors", "search", "URL", "a word"),
    "export": verb("vectors", "export", "URL", "out"),
    "export, the wrong way round": verb("vectors", "export", "memory://kept", "URL"),
    "import": verb("vectors", "import", "URL", "nothing.parquet"),
    "import of it": verb("vectors", "import", "memory://kept", "URL"),
    "copy": verb("vectors", "copy", "URL", "memory://kept"),
    "copy to it": verb("vectors", "copy", "memory://kept", "URL"),
    "delete": verb("vectors", "delete", "URL", "--all", "--yes"),
    "optimize": verb("vectors", "optimize", "URL"),
    "words beside it": verb("vectors", "info", "memory://kept", "--lexical", "URL"),
    "an argument too many": verb("vectors", "info", "memory://kept", "URL"),
    "no command": verb("vectors", "URL"),
    "an option": verb("vectors", "info", "--url=URL"),
    "a model": verb("select", "URL"),
    "data": verb("prepare", "URL"),
    "a recipe": verb("run", "URL"),
    "a recipe's model": verb("plan", "recipe.yaml", "--model", "URL"),
    "a recipe's data": verb("run", "recipe.yaml", "--data", "URL"),
    "a recipe's field": verb("run", "recipe.yaml", "--set", "prepare.source=URL"),
    "another field": verb("run", "recipe.yaml", "--set", "train.epochs=URL"),
    "train": verb("train", "recipe.yaml", "--model", "URL"),
    "evaluate": verb("evaluate", "URL"),
    "deploy": verb("deploy", "URL"),
    "serve": verb("serve", "URL"),
    "chat": verb("chat", "URL"),
    "runs": verb("runs", "show", "URL"),
    "doctor": verb("doctor", "URL"),
    "a folder of documents": verb("vectors", "sync", "memory://kept", "URL", "--embedder", "./nothing"),
    "an embedder": verb("vectors", "search", "memory://kept", "a word", "--embedder", "URL"),
    "a benchmark's data": verb("vectors", "bench", "memory://", "--data", "URL"),
    "a benchmark's folder": verb("vectors", "bench", "nowhere://", "--out", "URL"),
    "the quarantine": verb("prepare", "data.csv", "--quarantine", "URL"),
}
"""What an address is given to, by name."""
HEAVY = (
    "a model",
    "data",
    "a recipe's model",
    "a recipe's data",
    "a recipe's field",
    "another field",
    "the quarantine",
)
"""Verbs of models and data, which do not depend on the store: fewer of them are run."""
MODELS = ("open_embedder", "open_reranker")
"""What takes addresses of embedders and rerankers; a command would ask a server that is not there six times."""
WITH_TORCH = ("a recipe's model", "doctor", "train")
"""Verbs that load torch, which takes as long as all others together."""


class Everything(logging.Handler):
    """Collects log records as texts, tracebacks included."""

    def __init__(self, texts: list[str]) -> None:
        super().__init__(0)
        self.texts = texts

    def emit(self, record: logging.LogRecord) -> None:
        self.texts += [self.format(record), repr(record.args), str(record.msg)]


@contextlib.contextmanager
def collected() -> Iterator[list[str]]:
    """Yield a list that gets whatever is printed, logged and warned of."""
    texts: list[str] = []
    out, handler, root = io.StringIO(), Everything(texts), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with (
            contextlib.redirect_stdout(out), contextlib.redirect_stderr(out),
            warnings.catch_warnings(record=True) as warned,
        ):  # fmt: skip
            warnings.simplefilter("always")
            yield texts
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
    texts += [out.getvalue(), *(str(one.message) for one in warned)]


def tell(error: BaseException) -> list[str]:
    """Return all that an error says, its causes included where a traceback leaves them out."""
    texts, seen, waiting = ["".join(traceback.format_exception(error))], set[int](), [error]
    while waiting:
        link = waiting.pop()
        if id(link) not in seen:
            seen.add(id(link))
            texts += [str(link), repr(link), repr(link.args), *getattr(link, "__notes__", [])]
            waiting += [inner for inner in (link.__cause__, link.__context__) if inner is not None]
    texts += [repr(vars(error)), str(pickle.loads(pickle.dumps(error)))]
    return texts


def run(odd: Odd, name: str) -> list[str]:
    """Return all texts that come of giving an address to something."""
    with collected() as texts:
        try:
            opened = VERBS[name](odd.url)
        except BaseException as error:
            texts += tell(error)
        else:
            if opened is not None:
                texts += [repr(opened), str(getattr(opened, "url", ""))]
                if name == "connect":
                    texts += [str(opened.info()), repr(opened.store)]  # type: ignore[attr-defined]
                if not asyncio.iscoroutinefunction(opened.close):  # type: ignore[attr-defined]
                    opened.close()  # type: ignore[attr-defined]
    return texts


def files_below(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of every file and folder."""
    for root, folders, files in os.walk(folder):
        yield from ((name, b"") for name in folders)
        yield from ((name, (Path(root) / name).read_bytes()) for name in files)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with a recipe and a table in it, and a store that is there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIZUO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    kept = connect("memory://kept", dim=2)
    kept.upsert([Point("a", [1.0, 0.0], {}, "a word")])
    Path("data.csv").write_text("text,label\na,x\nb,y\n")
    Path("recipe.yaml").write_text("name: r\nselect:\n  model: nowhere\nprepare:\n  source: data.csv\n")
    yield tmp_path
    kept.drop()


def check(count: int, seed: int, place: Path, *, verbs: list[str]) -> None:
    """Give so many addresses to one thing each, and look for their passwords everywhere."""
    draw, leaks, given = random.Random(seed), [], []
    for odd in odd_addresses(count, SCHEMES, seed):
        name = draw.choice(verbs if odd.store in STORES.names() else MODELS)
        if name in HEAVY and draw.random() > 0.3:
            name = "connect"
        texts = run(odd, name)
        given.append(odd)
        leaks += [(name, odd.shape, odd.url, part) for text in texts if (part := odd.leaks(text))][:1]
    for path, content in files_below(place):
        text = f"{path}\n{content.decode('utf-8', 'replace')}"
        leaks += [("a file", odd.shape, path, part) for odd in given if (part := odd.leaks(text))]
    assert not leaks, f"{len(leaks)} of {len(given)}: {leaks[:12]}"


def test_no_part_of_a_password_is_shown(place: Path) -> None:
    check(FAST, 1, place, verbs=[name for name in VERBS if name not in WITH_TORCH])


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(10))
def test_no_part_of_ten_thousand_passwords_is_shown(place: Path, part: int) -> None:
    check(ALL // 10, 100 + part, place, verbs=list(VERBS))


def test_the_generator_makes_every_shape_on_every_store() -> None:
    made = {(odd.store, odd.shape) for odd in odd_addresses(FAST, SCHEMES, 1)}
    assert len(made) > 0.9 * len(SHAPES) * len(SCHEMES)


@pytest.mark.parametrize("arguments", [["vectors", "info"], ["vectors", "info", "--json"], ["--debug", "select"]])
def test_a_process_shows_none_either(place: Path, arguments: list[str]) -> None:
    draw = random.Random(7)
    odd = Odd("postgresql", "", password := random_password(draw), f"postgresql://me:{password}@{NOWHERE}/db")
    run = subprocess.run(
        [Path(sys.executable).with_name("dizuo"), *arguments, odd.url, odd.url], capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert run.returncode != 0
    assert run.stderr
    assert odd.leaks(run.stdout + run.stderr) is None
