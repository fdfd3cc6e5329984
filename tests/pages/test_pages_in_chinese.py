"""Pages in Chinese: every text of their own is Chinese, every value is as it was; English pages did not change."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from page_samples import card, report

from dizuo import pages
from dizuo.languages.catalogue import read_catalogue
from dizuo.languages.page_source import texts_of
from dizuo.pages.page import TEMPLATES

PAGES = [("report.html", pages.report, report), ("card.html", pages.data_card, card)]
SAME = {"p", "report.json", "split", "format"}
"""Texts of a page that stand in a Chinese one, too: symbols, a file, and two that are names of settings as well."""


def _shown(page: str) -> list[str]:
    return [" ".join(text.split()) for text in re.split(r"<style>.*?</style>|<[^>]*>", page, flags=re.DOTALL)]


@pytest.mark.parametrize(("name", "draw", "sample"), PAGES)
def test_a_page_is_chinese_and_says_so(
    name: str, draw: Callable[[Mapping[str, Any]], str], sample: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIZUO_LANG", "en")
    english = draw(sample())
    monkeypatch.setenv("DIZUO_LANG", "zh")
    chinese = draw(sample())
    assert '<html lang="en">' in english
    assert '<html lang="zh-CN">' in chinese
    own = {text for text in texts_of((TEMPLATES / name).read_text("utf-8")) if "{}" not in text} - SAME
    assert own & set(_shown(english))
    assert sorted(own & set(_shown(chinese))) == []
    assert re.sub(r"(?s)<style>.*?</style>", "", english).count("<td") == chinese.count("<td")


@pytest.mark.parametrize(("name", "draw", "sample"), PAGES)
def test_values_of_a_page_are_the_same_in_both_languages(
    name: str, draw: Callable[[Mapping[str, Any]], str], sample: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIZUO_LANG", "zh")
    chinese = draw(sample())
    for quote in re.findall(r'<p class="quote">(.*?)</p>', draw(sample())):
        assert quote in chinese
    assert not [text for text in read_catalogue().texts if f">{text}</p>" in chinese]


def test_a_verdict_and_the_names_of_rows_are_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIZUO_LANG", "zh")
    value = report()
    value["verdict"] = (
        "The tuned model reaches 93.5 % accuracy on 400 items, 49.0 points more than before tuning (p = 0.1)."
    )
    page = pages.report(value)
    assert "微调后的模型在 400 题上的准确率为 93.5 %，比微调前高 49.0 个百分点（p = 0.1）。" in page
    assert "TF-IDF + 逻辑回归" in page
    assert value["samples"][0]["text"][:10] in page
