"""`make mutants ROOM=trees`: small changes of a room's code, each of which the room's own tests must notice.

    python tests/mutation.py ROOM [--count 200] [--seed 0]

Cosmic Ray makes the changes: a comparison, an operator, a number, a condition, a decorator. From all places where it
can make one, a seed draws so many, and one change for each. A place is left out where no test could see it:
annotations, imports for type checkers, and asserts, which hold in a program that is right.

One run of the room's quick tests, under coverage, says which test reaches which line. A changed line is then tested by
those alone, the quickest first, up to the first that fails. Each change is made in a copy of the sources, and tested in
a process that was forked from one in which torch is imported and nothing of dizuo is.

Results lie in `.mutants/ROOM-SEED.jsonl`, a line each; a run that was stopped goes on there. It ends with the share
that was killed and with what lived. `mutants.toml` is another thing: rules whose mutants must die, each by a test of
its own.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import difflib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
OUT = ROOT / ".mutants"
DEAD = ("killed", "timeout")
SLOWER = 4
"""How many times longer than unchanged code a test may take before it counts as one that noticed."""
SPARE = 30.0
"""Seconds more."""


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    file: str
    """Below `src/dizuo`."""
    line: int
    statement: range
    """The lines of the statement; of one that has a body, those of its head."""
    operator: str
    text: str
    """The whole file with the change."""
    was: str
    becomes: str
    """The lines that differ."""


@dataclass
class Reach:
    """Which tests reach which lines, from one run of a room's tests under coverage."""

    seconds: dict[str, float] = field(default_factory=dict)
    """By test; those that pass."""
    fixtures: dict[str, list[str]] = field(default_factory=dict)
    """By test the names of its fixtures."""
    lines: dict[str, dict[int, list[str]]] = field(default_factory=dict)
    """By file and line the contexts: a test, `fixture NAME`, or nothing while files are imported."""

    def tests_of(self, mutant: Mutant) -> list[str]:
        """Return the tests that may notice a mutant, the quickest first."""
        lines = self.lines.get(mutant.file, {})
        contexts = {context for line in mutant.statement for context in lines.get(line, [])}
        if "" in contexts:  # run while the file is imported: whoever comes through the file may notice
            contexts |= {context for found in lines.values() for context in found}
        made = {context.removeprefix("fixture ") for context in contexts if context.startswith("fixture ")}
        chosen = {test for test in contexts if test in self.seconds}
        chosen |= {test for test, names in self.fixtures.items() if made & set(names) and test in self.seconds}
        if "" in contexts and not chosen:
            chosen = set(self.seconds)
        return sorted(chosen, key=lambda test: (self.seconds[test], test))


# ---- which changes


def draw(room: str, *, count: int, seed: int) -> list[Mutant]:
    """Return so many mutants of a room, drawn from all places that Cosmic Ray can change."""
    from cosmic_ray import plugins
    from cosmic_ray.mutating import mutate_code

    operators = {name: plugins.get_operator(name) for name in sorted(plugins.operator_names())}
    operators = {name: kind() for name, kind in operators.items() if not kind.arguments() and not name.endswith("NoOp")}
    places: dict[tuple[str, tuple[int, int], tuple[int, int]], list[tuple[str, int]]] = defaultdict(list)
    sources = {path.relative_to(ROOT / "src/dizuo").as_posix(): path.read_text("utf-8") for path in files_of(room)}
    for file, text in sources.items():
        for start, stop, name, occurrence in changes_of(text, operators):
            places[file, start, stop].append((name, occurrence))
    generator = random.Random(f"{seed} {room}")
    order = sorted(places)
    generator.shuffle(order)
    mutants = []
    for file, start, stop in order:
        name, occurrence = generator.choice(places[file, start, stop])
        try:
            changed = mutate_code(sources[file], operators[name], occurrence)
        except AttributeError:  # Cosmic Ray 8.7 cannot replace an exception with a dot in its name
            continue
        if changed is None or not differs(sources[file], changed):
            continue
        was, becomes = difference(sources[file], changed)
        statement = statement_at(ast.parse(sources[file]), start[0])
        mutants.append(Mutant(file, start[0], statement, name.removeprefix("core/"), changed, was, becomes))
        if len(mutants) == count:
            break
    return mutants


def files_of(room: str) -> list[Path]:
    """Return the source files of a room."""
    folder = ROOT / "src/dizuo" / room
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def changes_of(text: str, operators: dict[str, Any]) -> Iterator[tuple[tuple[int, int], tuple[int, int], str, int]]:
    """Yield every change that could be made of a file and seen: where it begins and ends, its operator, which one."""
    from cosmic_ray.ast import ast_nodes, get_ast

    unseen = list(unseen_parts(ast.parse(text)))
    nodes = list(ast_nodes(get_ast(text)))
    for name, operator in operators.items():
        places = (place for node in nodes for place in operator.mutation_positions(node))
        for occurrence, (start, stop) in enumerate(places):
            if not any(first <= tuple(start) and tuple(stop) <= last for first, last in unseen):
                yield tuple(start), tuple(stop), name, occurrence


def unseen_parts(tree: ast.AST) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield where the parts of a file stand that no test can see changed."""
    for node in ast.walk(tree):
        parts: list[ast.AST | None] = []
        if isinstance(node, ast.arg | ast.AnnAssign):
            parts = [node.annotation]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            parts = [node.returns]
        elif isinstance(node, ast.If):
            parts = [node] if "TYPE_CHECKING" in ast.unparse(node.test) else []
        elif isinstance(node, ast.Assert) or (
            isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        ):
            parts = [node]
        for part in parts:
            if part is not None:
                assert isinstance(part, ast.expr | ast.stmt)
                assert part.end_lineno is not None
                assert part.end_col_offset is not None
                yield (part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset)


def statement_at(tree: ast.AST, line: int) -> range:
    """Return the lines of the innermost statement at a line; of one that has a body, those of its head."""
    found = [range(line, line + 1)]
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            start = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
            body = getattr(node, "body", None)
            end = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno
            found += [range(start, end + 1)] if start <= line <= end else []
    return min(found[1:] or found, key=len)


def differs(text: str, changed: str) -> bool:
    """Return whether a change makes another program."""
    try:
        return ast.dump(ast.parse(changed)) != ast.dump(ast.parse(text))
    except SyntaxError:
        return False


def difference(text: str, changed: str) -> tuple[str, str]:
    """Return the lines that stood there, and those that stand there now."""
    lines = list(difflib.unified_diff(text.splitlines(), changed.splitlines(), n=0, lineterm=""))[3:]
    was = "\n".join(line[1:].strip() for line in lines if line.startswith("-"))
    return was, "\n".join(line[1:].strip() for line in lines if line.startswith("+"))


# ---- the process that is forked


class Forks:
    """Runs tests on a copy of the sources, each time in a fork of one process that has imported what is heavy."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        environment = {
            **os.environ, "PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1", "COVERAGE_CORE": "ctrace",
            "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis"),
        }  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve", str(folder)],
            cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, tests: Sequence[str], *, limit: float, cover: str = "") -> dict[str, Any]:
        """Return how tests ended: `status` of pytest, or None past the limit in seconds; `first` that failed.

        Args:
            tests: as pytest takes them.
            limit: seconds after which they are ended.
            cover: the room whose lines are to be watched; `lines`, `seconds` and `fixtures` are then told too.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"tests": list(tests), "limit": limit, "cover": cover}), file=self._process.stdin, flush=True)
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        return told

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def serve(folder: Path) -> None:
    """Read what to run from standard input, run it in a fork, and print how it ended; to the end of the input."""
    import peft  # noqa: F401
    import pyarrow  # noqa: F401
    import sklearn.linear_model  # noqa: F401
    import torch  # noqa: F401

    for line in sys.stdin:
        asked = json.loads(line)
        answer = folder / "answer.json"
        answer.unlink(missing_ok=True)
        child = os.fork()
        if not child:
            os.setsid()  # what a test starts is ended with it
            run_tests(folder, asked)
        ends, status = time.monotonic() + asked["limit"], None
        while time.monotonic() < ends:
            done, code = os.waitpid(child, os.WNOHANG)
            if done:
                status = os.waitstatus_to_exitcode(code)
                break
            time.sleep(0.02)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        if status is None:
            os.waitpid(child, 0)
        told = json.loads(answer.read_text("utf-8")) if answer.exists() else {}
        print(json.dumps({**told, "status": status}), flush=True)


def run_tests(folder: Path, asked: dict[str, Any]) -> None:
    """Run tests in this process, write what there is to tell, and end the process."""
    said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    watcher: Any = Watching(folder, asked["cover"]) if asked["cover"] else Failing()
    # What was imported before the fork is no test, and need not be rewritten.
    options = ["-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning", "--no-header"]
    options += [] if asked["cover"] else ["-x"]
    basetemp = f"--basetemp={folder / 'tests'}"
    status = int(pytest.main([*options, basetemp, *asked["tests"]], plugins=[watcher]))
    (folder / "answer.json").write_text(json.dumps(watcher.told()), "utf-8")
    sys.stdout.flush()
    os._exit(status)


class Failing:
    """A plugin of pytest that remembers which test failed first."""

    first = ""

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.first:
            self.first = report.nodeid

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and not self.first:
            self.first = report.nodeid

    def told(self) -> dict[str, Any]:
        return {"first": self.first}


class Watching:
    """A plugin of pytest that notes which lines a test reaches, and which the making of a shared fixture does."""

    def __init__(self, folder: Path, room: str) -> None:
        import coverage

        self.source = folder / "src/dizuo"
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()
        self.fixtures: dict[str, list[str]] = {}
        self.current = ""
        files = [f"{self.source / room}{end}" for end in ("/**/*.py", "/*.py", ".py")]
        self.coverage = coverage.Coverage(data_file=str(folder / "coverage"), config_file=False, include=files)
        self.coverage.start()

    def switch(self, context: str) -> None:
        self.current = context
        self.coverage.switch_context(context)

    def pytest_runtest_protocol(self, item: Any) -> None:
        self.fixtures[item.nodeid] = list(item.fixturenames)
        self.switch(item.nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Any:
        """What makes a fixture that tests share is run in one of them, and is reached by all that use it."""
        before = self.current
        if fixturedef.scope != "function":
            self.switch(f"fixture {fixturedef.argname}")
        try:
            return (yield)
        finally:
            self.switch(before)

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if not report.passed:
            self.failed.add(report.nodeid)

    def told(self) -> dict[str, Any]:
        self.coverage.stop()
        data = self.coverage.get_data()
        lines = {
            Path(file).relative_to(self.source).as_posix(): data.contexts_by_lineno(file)
            for file in data.measured_files()
        }
        seconds = {test: passed for test, passed in self.seconds.items() if test not in self.failed}
        return {"lines": lines, "seconds": seconds, "fixtures": self.fixtures, "failed": sorted(self.failed)}


# ---- the run


def survey(forks: Forks, room: str) -> Reach:
    """Return which tests of a room reach which lines of it."""
    tests = ROOT / "tests" / room
    told = forks.run([str(tests if tests.is_dir() else tests.with_name(f"test_{room}.py"))], limit=3600, cover=room)
    if told["status"] != 0:
        raise SystemExit(f"error: the tests of {room} do not pass as they are\n{forks.folder / 'said'}")
    lines = {file: {int(line): found for line, found in of.items()} for file, of in told["lines"].items()}
    return Reach(told["seconds"], told["fixtures"], lines)


def judge(forks: Forks, mutant: Mutant, reach: Reach) -> dict[str, Any]:
    """Return what became of a mutant: `killed`, `timeout`, `survived`, or `unreached` by any test."""
    tests = reach.tests_of(mutant)
    if not tests:
        return {"outcome": "unreached"}
    limit = SPARE + SLOWER * sum(reach.seconds[test] for test in tests)
    path, original = (source / mutant.file for source in (forks.folder / "src/dizuo", ROOT / "src/dizuo"))
    path.write_text(mutant.text, "utf-8")
    # Python takes a file for the one that it compiled when both are equally long and of the same second.
    second = random.getrandbits(30)
    os.utime(path, (second, second))
    began = time.monotonic()
    try:
        told = forks.run(tests, limit=limit)
    finally:
        shutil.copy2(original, path)
    outcome = "timeout" if told["status"] is None else "killed" if told["status"] else "survived"
    # No test failed where nothing could be imported: because of the change, or because something else broke meanwhile.
    if outcome == "killed" and not told.get("first") and forks.run(tests[:1], limit=limit)["status"] != 0:
        raise SystemExit(f"error: the tests of unchanged code do not run any more\n{forks.folder / 'said'}")
    return {
        "outcome": outcome,
        "by": told.get("first", ""),
        "tests": len(tests),
        "seconds": round(time.monotonic() - began, 1),
    }


def mutate(room: str, *, count: int, seed: int) -> int:
    """Draw, test and report; return 0."""
    OUT.mkdir(exist_ok=True)
    path = OUT / f"{room}-{seed}.jsonl"
    mutants = draw(room, count=count, seed=seed)
    done = [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
    known = {(row["file"], row["was"], row["becomes"]): row for row in done}
    folder = OUT / f"{room}-copy"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    forks = Forks(folder)
    rows = []
    try:
        reach = survey(forks, room)
        passed = sum(reach.seconds.values())
        print(f"{room}: {len(reach.seconds)} tests in {passed:.0f} s reach the code", file=sys.stderr)
        for number, mutant in enumerate(mutants, 1):
            row = known.get((mutant.file, mutant.was, mutant.becomes))
            if row is None:
                about = {name: getattr(mutant, name) for name in ("file", "line", "operator", "was", "becomes")}
                row = {**about, **judge(forks, mutant, reach)}
                with path.open("a", encoding="utf-8") as file:
                    print(json.dumps(row, ensure_ascii=False), file=file)
            rows.append(row)
            dead = sum(each["outcome"] in DEAD for each in rows)
            print(f"\r{number} of {len(mutants)}, {dead} killed", end="", file=sys.stderr, flush=True)
    finally:
        print(file=sys.stderr)
        forks.close()
        shutil.rmtree(folder, ignore_errors=True)
    report(room, rows)
    return 0


def report(room: str, rows: Sequence[dict[str, Any]]) -> None:
    """Print what lived, and the share that was killed."""
    for row in sorted(rows, key=lambda row: (row["file"], row["line"])):
        if row["outcome"] not in DEAD:
            print(f"{row['outcome']}: {row['file']}:{row['line']} {row['operator']}")
            print(f"  - {row['was']}\n  + {row['becomes']}")
    counts = Counter(row["outcome"] for row in rows)
    dead = sum(counts[outcome] for outcome in DEAD)
    parts = ", ".join(f"{counts[outcome]} {outcome}" for outcome in sorted(counts))
    print(f"{room}: {dead} of {len(rows)} killed, {100 * dead / max(1, len(rows)):.1f} % ({parts})")


def main() -> int:
    parser = argparse.ArgumentParser(description="Change a room's code in small ways, and see its tests notice.")
    parser.add_argument("room", nargs="?", default="")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--serve", metavar="FOLDER", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(Path(given.serve))
        return 0
    if not given.room or not files_of(given.room)[0].exists():
        parser.error("name a room of src/dizuo, such as trees")
    return mutate(given.room, count=given.count, seed=given.seed)


if __name__ == "__main__":
    sys.exit(main())
