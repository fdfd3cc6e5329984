"""Markdown: lines of every ending, front matter, and headings however they are written."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from test_readers import check_blocks, said

from dizuo.vectors.knowledge.documents import Document, read_document

PAGE = """---
title: x
---
# Guide

Intro *text*
goes on.

Set-up
------
- one

  still one
- two

```python
# no heading
```
> quoted
> more

| a | b |
|---|---|
| 1 | 2 |

[ref]: http://x

<h2 align="center">In <b>HTML</b></h2>

Last words.
"""


def read(folder: Path, text: str) -> Document:
    (folder / "a.md").write_bytes(text.encode("utf-8"))
    document = read_document(folder / "a.md")
    check_blocks(document)
    assert document.text == text
    return document


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_blocks_and_headings_are_the_same_with_every_ending_of_lines(ending: str, tmp_path: Path) -> None:
    document = read(tmp_path, PAGE.replace("\n", ending))
    assert [(text.replace(ending, "\n"), headings) for text, headings in said(document)] == [
        ("---\ntitle: x\n---", ()),
        ("# Guide", ("Guide",)),
        ("Intro *text*\ngoes on.", ("Guide",)),
        ("Set-up\n------", ("Guide", "Set-up")),
        ("- one\n\n  still one\n- two", ("Guide", "Set-up")),
        ("```python\n# no heading\n```", ("Guide", "Set-up")),
        ("> quoted\n> more", ("Guide", "Set-up")),
        ("| a | b |\n|---|---|\n| 1 | 2 |", ("Guide", "Set-up")),
        ("[ref]: http://x", ("Guide", "Set-up")),
        ('<h2 align="center">In <b>HTML</b></h2>', ("Guide", "In HTML")),
        ("Last words.", ("Guide", "In HTML")),
    ]


def test_lines_of_several_endings_in_one_file_shift_nothing(tmp_path: Path) -> None:
    document = read(tmp_path, "# One\n\na\rb\rc\r\n\r\n# Two\r\rd\n\n# Three\n\ne\n")
    assert said(document) == [
        ("# One", ("One",)),
        ("a\rb\rc", ("One",)),
        ("# Two", ("Two",)),
        ("d", ("Two",)),
        ("# Three", ("Three",)),
        ("e", ("Three",)),
    ]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_plain_text_has_the_same_paragraphs_with_every_ending_of_lines(ending: str, tmp_path: Path) -> None:
    text = "One\nstill one\n\n \t\n  Two  \n\n\nThree".replace("\n", ending)
    (tmp_path / "a.txt").write_bytes(text.encode())
    document = read_document(tmp_path / "a.txt")
    assert document.text == text
    assert [piece.replace(ending, "\n") for piece, _ in said(document)] == ["One\nstill one", "Two", "Three"]


FRONT_MATTER = {
    "YAML": ("---\na: b\n---\ntext", ["---\na: b\n---", "text"]),
    "TOML": ("+++\n# no heading\n+++\n# heading", ["+++\n# no heading\n+++", "# heading"]),
    "white space behind the marks": ("---  \na: b\n---\t\ntext", ["---  \na: b\n---", "text"]),
    "nothing in it": ("---\n---\ntext", ["---\n---", "text"]),
    "nothing behind it": ("---\na: b\n---", ["---\na: b\n---"]),
    "without an end": ("---\n\na: b", ["---", "a: b"]),
    "not at the beginning": ("text\n\n---\na: b\n---", ["text", "---", "a: b\n---"]),
}


@pytest.mark.parametrize(("text", "blocks"), FRONT_MATTER.values(), ids=FRONT_MATTER.keys())
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_front_matter_is_a_block_before_the_text(text: str, blocks: list[str], ending: str, tmp_path: Path) -> None:
    document = read(tmp_path, text.replace("\n", ending))
    assert [piece.replace(ending, "\n") for piece, _ in said(document)] == blocks


def test_front_matter_that_never_ends_takes_no_time(tmp_path: Path) -> None:
    """A pattern that could cut a CR LF in two ways took twice the time for each line more."""
    began = time.perf_counter()
    read(tmp_path, "---\r\n" + "a\r\n" * 5_000)
    assert time.perf_counter() - began < 10


TITLES = {
    "# Leave *and* `pay`": "Leave and pay",
    "# [Leave](http://x) ![pay](a.png)": "Leave pay",
    "## Leave ##": "Leave",
    "# \\#1 &amp; more": "#1 & more",
    "# a <b>bold</b> word": "a bold word",
    "Leave\nof days\n===": "Leave of days",
    "<H1 id=x>Leave\n  <em>of</em> days</H1>": "Leave of days",
    "<h1>never closed": None,
    "<h1></h1>": None,
}


@pytest.mark.parametrize(("text", "title"), TITLES.items(), ids=TITLES.keys())
def test_a_heading_is_cited_by_its_words(text: str, title: str | None, tmp_path: Path) -> None:
    document = read(tmp_path, f"{text}\n\nbody\n")
    assert document.title == title
    assert said(document)[-1] == ("body", (title,) if title else ())
