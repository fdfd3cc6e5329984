"""Files that were once read wrongly, with what is read of them now: `cases/` and `cases.txt`.

The Word files are those of ../shared/cases/documents without their styles, themes and thumbnails.
`python test_cases.py` in this folder writes `cases.txt` anew: look at the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dizuo.vectors.knowledge.documents import read_document

HERE = Path(__file__).parent
CASES = HERE / "cases"
SNAPSHOT = HERE / "cases.txt"
SHARED = Path(os.environ.get("DIZUO_SHARED_DATA", HERE.parents[4] / "shared" / "data")).parent / "cases" / "documents"


def show(path: Path) -> str:
    """Return what is read of a file, for people: headings, page and text of each block, and what is left out."""
    document = read_document(path)
    lines = [path.name]
    for block in document.blocks:
        place = " › ".join(block.headings) + (f", page {block.page}" if block.page else "")
        mark = "#" if block.is_heading else "-"
        lines.append(f"  {mark} [{place}] {document.text[block.start : block.end]!r}")
    return "\n".join([*lines, *(f"  not read: {item}" for item in document.left_out)])


def show_all(folder: Path, names: list[str]) -> str:
    return "\n\n".join(show(folder / name) for name in names) + "\n"


NAMES = sorted(path.name for path in CASES.iterdir())


def test_every_case_is_read_as_the_snapshot_says() -> None:
    assert len(NAMES) >= 10
    assert show_all(CASES, NAMES) == SNAPSHOT.read_text("utf-8")


def test_the_whole_files_are_read_like_the_shortened_ones() -> None:
    if not SHARED.is_dir():
        pytest.skip("the shared cases are not on this machine (set DIZUO_SHARED_DATA)")
    assert show_all(SHARED, NAMES) == SNAPSHOT.read_text("utf-8")


if __name__ == "__main__":
    SNAPSHOT.write_text(show_all(CASES, NAMES), "utf-8")
