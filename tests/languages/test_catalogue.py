"""The catalogue is complete and current, and each of its templates is found again in the text that it makes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from templates import SOURCE, literals, templates

from dizuo.languages import say
from dizuo.languages.catalogue import PLACED, entries, normalise, read_catalogue

CATALOGUE = entries((SOURCE / "languages" / "zh.txt").read_text("utf-8"))
NAMES = ("tickets.csv", "93.5 %", "1,204", "'body'", "3", "run-7", "0.05", "x")
"""Values of user's making, none of which is a message."""
KEPT = {
    # looked for in messages of others, or for developers
    "mapping values are not allowed", "could not find expected ':'", "mapping values", "is '", "end of stream",
    "expected a single document", "another document", "(did you mean", "No module named pip",
    "No space left on device", "none of the wheel's tags", "No matching distribution found", "No binaries permitted",
    "No sources permitted", "double quotes", "unexpected end", "expecting ',' or ']' after a row", "carriage returns",
    "lines end in", "dict of {}", "list of {}", "float {} {}", "int {}", "str {}", "str None",
    "Split({}, {} rows of {})",
    "list[dict[str, float]]", "an evaluation runs on rank 0 alone", "needs names {}; it may name {}",
    "a kind has either a default_metric or its own_score", "a kind has both cheap and probe, or neither",
    # styles and classes of a drawing
    "bold", "bold red", "bold green", "chart interval", "chart axis", "line tuned", "line tuned faint", "line held",
    "line diagonal",
    # commands, names, units, and what is sent to servers
    "Missing argument 'RECIPE'.", "Range", "bytes=0-{}", '{"name": {}, "arguments": {}}', "{} of {}", "at {}",
    "{} serve {}", "{} chat {}", "{} run {}", 'pip install "{}"', 'pip install "{}=={}"', "--alias {}", "--set {}",
    "--set train.", "name: {}",
    "name: x", "id", "p", "chrF", "report.json", "{} ms",
    # written to files and help, which are English
    "Base model: {} ({})", "Licence: {}",
    "Try N settings of learning rate, rank and epochs on the validation rows instead, and write the best recipe.",
    # too little text to be found again
    "{} is {}", "{} holds {}", "s have",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIZUO_LANG", "zh")


def test_every_message_of_the_main_path_has_its_chinese() -> None:
    there = {normalise(english) for english, _ in CATALOGUE} | KEPT
    missing = [f"# {file}\n{text}\n  …" for text, file in templates().items() if normalise(text) not in there]
    if missing:
        pytest.fail("paste into src/dizuo/languages/zh.txt:\n" + "\n".join(missing), pytrace=False)


def test_no_entry_is_about_a_message_that_is_gone() -> None:
    there = literals()
    assert not [english for english, _ in CATALOGUE if not {english, normalise(english)} & there]
    assert not sorted(KEPT - set(templates()))


def test_an_entry_stands_once_and_puts_only_values_that_there_are() -> None:
    keys = [english for english, _ in CATALOGUE]
    assert not sorted({key for key in keys if keys.count(key) > 1})
    for english, chinese in CATALOGUE:
        values = english.count("{}")
        places = PLACED.findall(chinese)
        numbered = [int(number) for number, _ in places if number]
        assert all(number < values for number in numbered), english
        assert not numbered or len(numbered) == len(places), f"{english}: all places have numbers, or none"
        assert numbered or len(places) <= values, english


@pytest.mark.parametrize("start", range(0, len(CATALOGUE), 100))
def test_a_text_that_a_template_makes_is_said_as_the_catalogue_says_it(start: int) -> None:
    wrong = []
    for english, chinese in CATALOGUE[start : start + 100]:
        values = list(NAMES[: english.count("{}")])
        made = english.replace("{s}", "s")
        for value in values:
            made = made.replace("{}", value, 1)
        said, expected = say(made), _fill(chinese, values)
        if _plain(said) != _plain(expected):
            wrong.append((made, said, expected))
    assert not wrong


def _fill(chinese: str, values: list[str]) -> str:
    places = iter(range(len(values)))
    return PLACED.sub(lambda match: values[int(match[1]) if match[1] else next(places)], chinese)


def _plain(text: str) -> str:
    return re.sub(r"\s", "", text)


def test_chinese_is_written_with_its_own_marks_and_spaces() -> None:
    han = "[\u4e00-\u9fff]"
    fault = re.compile(rf"{han}[,;?!(]|{han}[A-Za-z0-9{{]|[A-Za-z0-9}}]{han}")
    faults = []
    for english, chinese in CATALOGUE:
        bare = re.sub(r"\{\d*\*\}", "\u4e00", chinese)  # a message of its own, Chinese as a rule
        if fault.search(bare):
            faults.append((english, chinese))
    assert not faults


def test_the_catalogue_is_read_in_a_moment() -> None:
    assert len(read_catalogue().texts) + len(read_catalogue().messages) > 1000
    assert Path(SOURCE / "languages" / "zh.txt").stat().st_size < 200_000
