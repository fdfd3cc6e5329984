"""`python -m dizuo.testing.vectors URL [--quick] [--option NAME=VALUE]… [PYTEST ARGUMENT]…`: a table of what holds.

It makes collections named `suite …` at that address and drops them again.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import pytest


class _Markers:
    @staticmethod
    def pytest_configure(config: pytest.Config) -> None:
        config.addinivalue_line("markers", "slow: long, multi-process or kill-loop tests; left out by --quick")


def main(arguments: list[str]) -> int:
    """Run the suite and print the table; 0 if everything passes or is declared lacking."""
    if not arguments or "://" not in arguments[0]:
        print(__doc__.partition(":")[0], file=sys.stderr)
        return 2
    url, *rest = arguments
    options: dict[str, str] = {}
    while "--option" in rest:
        place = rest.index("--option")
        name, _, value = rest[place + 1].partition("=")
        options[name] = value
        del rest[place : place + 2]
    quick = "--quick" in rest
    rest = [argument for argument in rest if argument != "--quick"]
    os.environ |= {"DIZUO_VECTORS_URL": url, "DIZUO_VECTORS_OPTIONS": json.dumps(options)}
    from dizuo.testing.vectors import table

    with tempfile.TemporaryDirectory() as folder:
        own = ["-c", os.devnull, "--rootdir", folder, "-p", "no:cacheprovider", "--import-mode=importlib", "-q"]
        only = ["-m", "not slow"] if quick else []
        file = str(Path(__file__).with_name("conformance.py"))
        return int(pytest.main([*own, *only, file, *rest], plugins=[table, _Markers()]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
