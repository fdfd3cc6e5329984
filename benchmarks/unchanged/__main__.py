"""Proves that a change of the code changed nothing that a user sees: an older commit and this tree, bit for bit.

    python benchmarks/unchanged [--against 86f53c5] [--only training vectors …] [--keep FOLDER] [--reuse FOLDER]

Both sides run here, one after the other, since numbers from another processor would prove nothing: first the commit, in
a git worktree that is made for it in a temporary folder, then the working tree as it lies there. Each side has its own
DIZUO_HOME, the same small cuts of real data (../shared/data) and the same threads; products are float32. What is
recorded:

    surface      public names, signatures, imports that the documentation shows, every --help, the schema of recipes,
                 the messages for wrong commands, recipes, rows and filters
    vectors      what each store that runs without a server answers: searches, filters, scans, changes, exports
    knowledge    a knowledge base of English and Chinese texts: what a sync did, hits and citations
    plans        every value of the plans of all methods, with origin and reason
    training     every loss and gradient norm, token files, splits, weights and checkpoints: twenty steps of sft, a
                 head, dpo and pretraining; four of sft with dropout
    methods      the same of the other methods, two steps each
    evaluation   reports, releases, and what the released models answer
    opening      the same things made by the older commit, opened, resumed, skipped, served and searched by each side

The recorder (`record.py` and what it imports) uses public names, the command line, and files that runs write, so that
it runs on both sides whatever was moved inside. Exit status 0: all the same; 1: differences; 2: it could not be told.

--keep FOLDER    leaves records, runs and logs of both sides in FOLDER/old and FOLDER/new
--reuse FOLDER   the older side's record: made there the first time, then only the present tree runs
--only GROUP …   some of the groups; `evaluation` and `opening` train first what they need and is not there
--tree FOLDER    another tree in the place of this one, such as a mutated copy that must be found out

Left out on purpose: seconds, bytes on the disk that differ from run to run, digests of files that hold seconds (such
as a release's, since its report does), and the numbers in report.html, which are those of report.json.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import samples
from comparing import Comparison, compare, told
from sides import GROUPS, REPOSITORY, Side, end_all, fingerprint, needed, prepare_side, record, tree_of

LAUNCH = "plan.json has no launch any more, which nobody read"
TYPED = "contracts are typed, and documentation is in plain sentences; values are held by the other groups"
KEYS = "the card says what was not read, and prepare has the options that go with it"
NEW_IN_CARDS = (
    "unread",
    "ignored",
    *(f"options.{name}" for name in ("ignore", "label_separator", "missing", "spellings")),
)
OPENED = "the parts of a Report are dataclasses, and Run.finished has its keys in the order of its fields"
ALLOWED: dict[str, str] = {
    "surface: dizuo: annotations": TYPED,
    "surface: dizuo: documentation of names": TYPED,
    "surface: dizuo: parameters and defaults": "the parts of a Report are dataclasses; Run.ended is new",
    "surface: dizuo.vectors: annotations": TYPED,
    "surface: dizuo.vectors: documentation of names": TYPED,
    "surface: dizuo.vectors: parameters and defaults": "an argument of Block is called after what it holds",
    "surface: documented imports": "files have moved (docs/decisions/004-rooms.md); the old paths were not released",
    "surface: recipe schema": KEYS,
    **{
        f"{group}: {name}: data set and splits @ dataset.json.{place}": KEYS
        for group, names in (("training", samples.FULL), ("methods", samples.SHORT))
        for name in names
        for place in NEW_IN_CARDS
    },
    "plans: on the command line, JSON @ [0].training.launch": LAUNCH,
    **{f"training: {name}: plan @ plan.json.launch": LAUNCH for name in samples.FULL},
    **{
        f"opening: {name}: opened in Python": OPENED
        for name in ("questions", "papers", "pairs", "plays", "restaurants")
    },
    **{f"methods: {name}: plan @ plan.json.launch": LAUNCH for name in samples.SHORT},
}
"""Differences that are meant, and why: the name of a thing as it is printed, or `NAME @ PLACE` for one place of it."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="unchanged", description=__doc__.split("\n")[0])
    parser.add_argument("--against", default="86f53c5", help="the commit that is compared with")
    parser.add_argument("--only", nargs="+", action="extend", metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave records, runs and logs here")
    parser.add_argument("--reuse", type=Path, metavar="FOLDER", help="the older side's record, made where it is not")
    parser.add_argument("--tree", type=Path, default=REPOSITORY, help="the tree under test")
    parser.add_argument("--data", type=Path, default=REPOSITORY.parent / "shared" / "data", help="the real data")
    parser.add_argument("--threads", type=int, default=1, help="of both sides")
    parser.add_argument("--jobs", type=int, default=2, help="processes of one side beside each other")
    given = parser.parse_args()
    groups = wanted_groups(given.only, parser)
    if not (given.data / "README.md").is_file():
        stop(f"the real data is not at {given.data.absolute()}: put the shared folder beside the repository, or --data")
    signal.signal(signal.SIGTERM, terminated)
    with ExitStack() as stack:
        sys.exit(run(given, groups, stack))


def run(given: argparse.Namespace, groups: list[str], stack: ExitStack) -> int:
    """Record both sides, print what was found, and return the exit status."""
    scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="unchanged-")))
    kept = given.keep.absolute() if given.keep else scratch
    print_of_old = fingerprint(given.against, data=given.data, threads=given.threads)
    old = Side("old", given.reuse.absolute() if given.reuse else kept / "old", None, given.threads)
    fault = prepare_side(old, print_of_old, reuse=given.reuse is not None)
    if fault:
        stop(fault)
    missing = [group for group in needed(groups, older=True) if not old.has(group)]
    if missing:
        old = old.on(tree_of(given.against, scratch / "tree", stack))
        record(old, missing, data=given.data, before=old, jobs=given.jobs)
    new = Side("new", kept / "new", given.tree.absolute(), given.threads)
    prepare_side(new, {}, reuse=False)
    record(new, needed(groups, older=False), data=given.data, before=old, jobs=given.jobs)
    bad = [f"{group}: {name}" for group in groups for name in old.failures(group)]
    if bad:
        stop("the older side failed, so nothing is proved:\n  " + "\n  ".join(bad))
    comparisons = [item for group in groups for item in compare(group, old.things(group), new.things(group), ALLOWED)]
    return report(comparisons)


def report(comparisons: list[Comparison]) -> int:
    """Print one line per thing, and the sum."""
    for item in comparisons:
        print("\n".join(told(item)))
    different = sum(item.state == "DIFFERENT" for item in comparisons)
    allowed = sum(item.state == "allowed" for item in comparisons)
    meant = f", {allowed} different as meant" if allowed else ""
    print(f"\n{len(comparisons) - different - allowed} the same, {different} different{meant}")
    return 1 if different else 0


def wanted_groups(only: list[str] | None, parser: argparse.ArgumentParser) -> list[str]:
    """Return the groups asked for, in the order in which they run; commas separate, too."""
    asked = [name for item in only or GROUPS for name in item.split(",") if name]
    wrong = sorted(set(asked) - set(GROUPS))
    if wrong:
        parser.error(f"there is no group {', '.join(wrong)}; choose among {', '.join(GROUPS)}")
    return [name for name in GROUPS if name in asked]


def terminated(*_: object) -> None:
    """End what runs, so that the worktree can go away, too."""
    end_all()
    sys.exit(2)


def stop(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    began = time.monotonic()
    try:
        main()
    finally:
        print(f"{time.monotonic() - began:.0f} s in all", file=sys.stderr)
