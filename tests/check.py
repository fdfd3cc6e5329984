"""`make check`: formatting, types, layers, and the tests that tell the most in the shortest time.

    make check                  all rooms; under a minute on two cores when mypy's cache is warm
    make check ROOM=vectors     one room: its formatting, its types, its quick tests, the rules of the house (`HOUSE`);
                                under 20 seconds

`QUICK` is the one place that says which tests are quick. It names files or single tests, so nothing is chosen by
accident; `tests/test_house.py` holds that every room of `src/dizuo` has some and that all of them exist. What is not
named here runs in `make test`. Two jobs run at once, each on one thread.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent

QUICK = {
    "artifacts": ("tests/artifacts/test_hub.py", "tests/artifacts/test_writing.py"),
    "cli": ("tests/cli/test_help.py",),
    "data": (
        "tests/data/test_broken_data.py",
        "tests/data/test_datasets.py",
        "tests/data/test_keys.py",
        "tests/data/test_places.py",
        "tests/data/test_reading_files.py",
        "tests/data/test_record_formats.py",
        "tests/data/test_rendering.py",
    ),
    "engines": (
        "tests/engines/test_engine_opening.py",
        "tests/engines/test_engine_scheduling.py",
        "tests/engines/test_sampling.py",
    ),
    "evaluation": (
        "tests/evaluation/test_likelihood.py",
        "tests/evaluation/test_metrics.py",
        "tests/evaluation/test_rows.py",
    ),
    "machine": ("tests/machine/test_machine_checks.py",),
    "languages": ("tests/languages",),
    "models": (
        "tests/models/test_inspecting.py",
        "tests/models/test_listing.py",
        "tests/models/test_static_capability.py",
    ),
    "packing": ("tests/packing/test_packing.py",),
    "pages": ("tests/pages",),
    "recipe": ("tests/test_recipe.py",),
    "redaction": ("tests/redaction/test_redacting.py",),
    "serving": (
        "tests/serving/test_bad_requests.py",
        "tests/serving/test_detokenizing.py",
        "tests/serving/test_serving_security.py",
        "tests/serving/test_stop_strings.py",
    ),
    "significance": ("tests/test_significance.py",),
    "steps": ("tests/steps/test_manifest.py",),
    "testing": ("tests/vectors/stores/test_memory_store.py",),
    "training": (
        "tests/training/methods/test_preference_losses.py",
        "tests/training/test_method.py",
        "tests/training/test_options.py",
        "tests/training/test_schedule.py",
    ),
    "trees": (
        "tests/trees/test_attention.py",
        "tests/trees/test_capability.py",
        "tests/trees/test_head.py",
        "tests/trees/test_tree.py",
    ),
    "vectors": (
        "tests/vectors/connecting/test_connect.py",
        "tests/vectors/connecting/test_forms.py",
        "tests/vectors/exact/test_sort_keys.py",
        "tests/vectors/exact/test_ties.py",
        "tests/vectors/filters",
        "tests/vectors/knowledge/documents/test_chunking.py",
        "tests/vectors/knowledge/test_arguments.py",
        "tests/vectors/knowledge/test_bad_files.py",
        "tests/vectors/knowledge/test_knowledge_base.py",
        "tests/vectors/lexical/test_bm25.py",
        "tests/vectors/lexical/test_tokenizer.py",
        "tests/vectors/lexical/test_word_counts.py",
        "tests/vectors/stores/test_memory_store.py",
        "tests/vectors/test_asynchronous.py",
        "tests/vectors/test_points.py",
        "tests/vectors/test_scores.py",
        "tests/vectors/test_vector_store.py",
        "tests/vectors/writing",
    ),
}
EVERYWHERE = (
    "tests/test_docs.py",
    "tests/test_house.py",
    "tests/test_mutants.py",
    "tests/test_plugins.py",
    "tests/test_public_surface.py",
)
"""Tests of no room, run where no room is named."""
HOUSE = ("tests/test_house.py", "--deselect", "tests/test_house.py::test_the_layers_hold")
"""Front pages, circles, the number of entries: run for one room, too. Layers are a job of their own."""
LIGHT = ("artifacts", "pages", "recipe", "significance", "vectors")
"""Rooms that load no torch: with `EVERYWHERE` about half of the work, and so one of the two test jobs."""

Job = tuple[str, list[str]]


def jobs(room: str) -> list[Job]:
    """Return what is run, the longest first; no room is all of them."""
    python, source = sys.executable, f"src/dizuo/{room}" if room else "src"
    here = [source, *([f"tests/{room}"] if (ROOT / "tests" / room).is_dir() else [])] if room else ["."]
    light = [path for name in LIGHT for path in QUICK[name]]
    heavy = [path for name, paths in QUICK.items() if name not in (*LIGHT, "testing") for path in paths]
    tests = {"tests": list(QUICK[room]), "house": list(HOUSE)} if room else {
        "tests": heavy, "more tests": [*EVERYWHERE, *light]
    }  # fmt: skip
    return [
        *((name, [python, "-m", "pytest", *paths]) for name, paths in tests.items()),
        ("types", [python, "-m", "mypy", source]),
        ("lint", [python, "-m", "ruff", "check", *here]),
        ("format", [python, "-m", "ruff", "format", "--check", *here]),
        ("layers", [str(Path(python).parent / "lint-imports")]),
    ]


def run(job: Job) -> bool:
    """Run one job, print what it said when it is done, and return whether all is well."""
    name, command = job
    began = time.monotonic()
    environment = {"GOMP_SPINCOUNT": "10000", **os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    well, seconds = done.returncode == 0, time.monotonic() - began
    said = "" if well and name != "tests" and name != "more tests" else f"\n{done.stdout}{done.stderr}".rstrip()
    print(f"== {name}: {'well' if well else 'FAILED'} in {seconds:.0f} s{said}", flush=True)
    return well


def main(arguments: list[str]) -> int:
    """Check one room or all; return the exit status."""
    room = arguments[0] if arguments else ""
    if room and room not in QUICK:
        print(f"error: there is no room {room!r}\n\nhint: ROOM is one of: {', '.join(QUICK)}", file=sys.stderr)
        return 2
    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        well = list(pool.map(run, jobs(room)))
    print(f"== {room or 'all rooms'}: {'well' if all(well) else 'FAILED'} in {time.monotonic() - began:.0f} s")
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
