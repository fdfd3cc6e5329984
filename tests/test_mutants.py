"""Changes that break one rule each, and the quick test that must say so: see `mutants.toml`.

The slow test makes each change in a copy of the sources. Importing torch takes longer than any of these tests, so one
process imports it once and is forked for each of them; nothing of dizuo is imported before that.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MUTANTS: dict[str, dict[str, str]] = tomllib.loads((ROOT / "tests/mutants.toml").read_text("utf-8"))
Run = Callable[[list[str]], tuple[int, str]]


def changed(text: str, mutant: dict[str, str]) -> str:
    return text.replace(mutant["was"], mutant["becomes"])


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_one_change_of_the_code_and_its_test_exists(name: str) -> None:
    mutant = MUTANTS[name]
    assert sorted(mutant) == ["becomes", "file", "test", "was"]
    text = (ROOT / "src/dizuo" / mutant["file"]).read_text("utf-8")
    assert text.count(mutant["was"]) == 1, f"{mutant['file']} has changed: write the mutant anew, or take it out"
    assert ast.dump(ast.parse(changed(text, mutant))) != ast.dump(ast.parse(text))
    path, _, test = mutant["test"].partition("::")
    functions = [
        node.name for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))) if isinstance(node, ast.FunctionDef)
    ]
    assert functions.count(test.partition("[")[0]) == 1


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources."""
    folder = tmp_path_factory.mktemp("copied") / "src"
    shutil.copytree(ROOT / "src", folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def run(copied: Path) -> Iterator[Run]:
    """Run tests on the copy, each time in a process of its own; give the exit status and what pytest said."""
    environment = {
        **os.environ, "PYTHONPATH": str(copied), "OMP_NUM_THREADS": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(copied.parent / "hypothesis"),
    }  # fmt: skip
    command = [sys.executable, __file__, str(copied.parent)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def tell(tests: list[str]) -> tuple[int, str]:
            assert process.stdin is not None
            assert process.stdout is not None
            print(*tests, file=process.stdin, flush=True)
            return int(process.stdout.readline()), (copied.parent / "said").read_text("utf-8")

        yield tell
        process.stdin.close()


@pytest.mark.slow
def test_the_tests_pass_on_the_sources_as_they_are(run: Run) -> None:
    status, said = run(sorted({mutant["test"] for mutant in MUTANTS.values()}))
    assert status == 0, said


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_does_not_live(name: str, copied: Path, run: Run) -> None:
    mutant = MUTANTS[name]
    path, original = (source / "dizuo" / mutant["file"] for source in (copied, ROOT / "src"))
    path.write_text(changed(original.read_text("utf-8"), mutant), "utf-8")
    # Python takes a file for the one that it compiled when both are equally long and of the same second.
    second = 1 + list(MUTANTS).index(name)
    os.utime(path, (second, second))
    try:
        status, said = run([mutant["test"]])
    finally:
        shutil.copy2(original, path)
    assert status == 1, said
    assert f"\nFAILED {mutant['test']}" in said, said


def serve_forks(folder: Path) -> None:
    """Read one line of tests after the other, run each in a fork, and print how it ended."""
    import peft  # noqa: F401
    import torch  # noqa: F401

    for line in sys.stdin:
        child = os.fork()
        if not child:
            with (folder / "said").open("w", encoding="utf-8") as said:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
                # What was imported before the fork is no test, and need not be rewritten.
                options = ["-x", "-rf", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
                status = pytest.main([*options, f"--basetemp={folder / 'tests'}", *line.split()])
                sys.stdout.flush()
            os._exit(status)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    serve_forks(Path(sys.argv[1]))
