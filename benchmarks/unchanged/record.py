"""Records one group of things on one side; run by `sides.py` with the tree under test on PYTHONPATH.

A recorder is a function that yields (name, function without arguments); what the function returns is recorded under the
name, as JSON. One that fails leaves its traceback among the failures and is reported as different.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import traceback
import warnings
from pathlib import Path

from scrubbing import Scrubber


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("group")
    for name in ("out", "data", "before", "tree"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--recorder", default="", help="what the record is made with, kept beside it")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    import dizuo

    if not Path(dizuo.__file__).is_relative_to(given.tree):
        sys.exit(f"dizuo comes from {dizuo.__file__}, not from {given.tree}")
    scrub = Scrubber(work=Path.cwd(), tree=given.tree, before=given.before)
    things, failures = {}, {}
    recorder = importlib.import_module(f"recording_{given.group}")
    for name, function in recorder.things(given):
        try:
            things[name] = scrub(function())
        except Exception:
            failures[name] = traceback.format_exc()
            things[name] = scrub({"failed": traceback.format_exc(limit=0)})
            print(f"{name}:\n{failures[name]}", file=sys.stderr)
    record = {"recorder": given.recorder, "failures": failures, "things": things}
    text = json.dumps(record, ensure_ascii=False, indent=1)
    given.out.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
