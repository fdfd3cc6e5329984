"""Runs commands in a process in which torch and what comes with it cannot be imported; prints what became of them.

`python without_torch.py FOLDER` reads lists of arguments as JSON from stdin, and writes [status, text] of each.
"""

from __future__ import annotations

import importlib.abc
import json
import os
import sys
from collections.abc import Sequence
from types import ModuleType

ABSENT = ("torch", "transformers", "peft", "gguf", "sklearn", "scipy", "starlette", "uvicorn", "lancedb")


class Absent(importlib.abc.MetaPathFinder):
    """Says of some packages what Python says where they are not installed."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def main() -> None:
    sys.meta_path.insert(0, Absent())
    from click.testing import CliRunner

    from dizuo.cli import dizuo

    os.chdir(sys.argv[1])
    done = []
    for arguments in json.load(sys.stdin):
        result = CliRunner().invoke(dizuo, arguments, prog_name="dizuo")
        done.append([result.exit_code, result.output])
    loaded = sorted({name.partition(".")[0] for name in sys.modules} & {*ABSENT})
    json.dump({"done": done, "loaded": loaded}, sys.stdout)


if __name__ == "__main__":
    main()
