"""What a person runs who has the archive and Python, and no network: install.sh and run.sh, and a page about them."""

from __future__ import annotations

from dizuo.packing.wheels import Lock

__all__ = ["write_scripts"]

INSTALL = """#!/bin/sh
# Makes .venv out of the wheels beside this file. No network is used.
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-}
for name in $python pythonVERSION python3 python; do
  if "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (MAJOR, MINOR))' 2>/dev/null; then
    found=$name
    break
  fi
done
if [ -z "${found:-}" ]; then
  echo "error: the wheels are for Python VERSION on PLATFORM, and no such Python with venv was found" >&2
  echo >&2
  echo "hint: install one, or name it: PYTHON=/path/to/pythonVERSION sh install.sh" >&2
  exit 1
fi
"$found" -m venv .venv
PIP_CONFIG_FILE=/dev/null PIP_CONSTRAINT= PIP_REQUIRE_VIRTUALENV= .venv/bin/python -m pip install \\
  --quiet --disable-pip-version-check --no-index --no-deps --find-links wheels -r requirements.txt
echo "installed; next: sh run.sh"
"""
NO_INSTALL = """#!/bin/sh
# The archive was packed without wheels.
echo "there are no wheels in this archive: install dizuo VERSION, then run: sh run.sh" >&2
exit 1
"""
RUN = """#!/bin/sh
# Runs the recipe with the weights and the data beside this file. No network is used.
set -eu
cd "$(dirname "$0")"
dizuo=.venv/bin/dizuo
[ -x "$dizuo" ] || dizuo=dizuo
if ! command -v "$dizuo" >/dev/null; then
  echo "error: dizuo is not installed here" >&2
  echo >&2
  echo "hint: sh install.sh" >&2
  exit 1
fi
HF_HUB_OFFLINE=1 PIP_NO_INDEX=1 exec "$dizuo" run recipe.yaml "$@"
"""
PAGE = """# NAME

Packed with dizuo DIZUO. Everything that the recipe needs is in this folder, and no network is used.

    sh install.sh     makes .venv out of the wheels (Python VERSION on PLATFORM)
    sh run.sh         runs recipe.yaml; results go to runs/NAME

weights/, data/ and encoder/ hold what the recipe names, licences/ under which terms it stands; pack.json lists every
file with its SHA-256. plan.json, where there is one, is the plan of a run of this recipe, to be read.
"""


def write_scripts(name: str, *, lock: Lock | None, dizuo: str) -> dict[str, bytes]:
    """Return the scripts and the page by their name in the archive."""
    version = lock.python if lock else ""
    major, _, minor = version.partition(".")

    def fill(text: str) -> bytes:
        for key, value in (
            ("VERSION", version or dizuo), ("MAJOR", major), ("MINOR", minor), ("DIZUO", dizuo), ("NAME", name),
            ("PLATFORM", lock.platform if lock else "any machine"),
        ):  # fmt: skip
            text = text.replace(key, value)
        return text.encode()

    page = PAGE if lock else PAGE.replace(
        "    sh install.sh     makes .venv out of the wheels (Python VERSION on PLATFORM)\n", ""
    )  # fmt: skip
    return {"install.sh": fill(INSTALL if lock else NO_INSTALL), "run.sh": fill(RUN), "README.md": fill(page)}
