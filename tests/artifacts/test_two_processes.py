"""Two processes that want the same package, and one that is killed while it fetches."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from wheelhouse import write_wheel

from dizuo.artifacts import resolve

CODE = (
    "import sys\nfrom dizuo.artifacts import resolve\nfrom dizuo.events import Started\n"
    "heard = []\nartifact = resolve('pypi:corpus', watch=heard.append)\n"
    "print(artifact.digest, sum(isinstance(event, Started) for event in heard))\n"
)


def start() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", CODE], stdout=subprocess.PIPE, text=True, start_new_session=True)


def big_wheel(shop: Path) -> None:
    content = b"".join(os.urandom(2**20) for _ in range(24))
    write_wheel(shop, "corpus", "1.0", {f"corpus/{number}.bin": content for number in range(3)})


@pytest.mark.slow
def test_two_processes_fetch_once(shop: Path) -> None:
    big_wheel(shop)
    running = [start() for _ in range(3)]
    results = [process.communicate(timeout=120)[0].split() for process in running]
    assert len({digest for digest, _ in results}) == 1
    assert sorted(int(fetched) for _, fetched in results) == [0, 0, 1]


@pytest.mark.slow
def test_a_fetch_killed_at_any_moment_leaves_no_broken_entry(shop: Path, tmp_path: Path) -> None:
    big_wheel(shop)
    began = time.monotonic()
    whole = start()
    expected = whole.communicate(timeout=120)[0].split()[0]
    seconds = time.monotonic() - began
    objects = tmp_path / "home" / "cache" / "artifacts" / "objects"
    for round_ in range(8):
        os.environ["DIZUO_HOME"] = str(tmp_path / f"home{round_}")  # the fixture restores it
        objects = tmp_path / f"home{round_}" / "cache" / "artifacts" / "objects"
        process = start()
        time.sleep(seconds * (round_ + 1) / 9)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        whole_entries = [path for path in objects.glob("*") if not path.name.startswith(".")]
        assert [path.name for path in whole_entries] in ([], [expected.removeprefix("sha256:")])
        assert resolve("pypi:corpus").digest == expected
        scratch = tmp_path / f"home{round_}" / "cache" / "artifacts" / "scratch"
        assert list(scratch.iterdir()) == []
        assert [path.name for path in objects.iterdir()] == [expected.removeprefix("sha256:")]
