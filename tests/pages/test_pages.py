"""Pages: self-contained, safe with hostile data, and drawn from what the report says."""

from __future__ import annotations

import base64
import copy
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from page_samples import card, report

from dizuo import pages

EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>\"'&"
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Elements(HTMLParser):
    """Collects tags and attributes, and checks that elements nest."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parsed(page: str) -> Elements:
    found = Elements()
    found.feed(page)
    found.close()
    assert found.open == []
    return found


def planted(value: Any) -> Any:
    """Return the value with hostile text in every string that is not a name the page itself goes by."""
    keep = {"family", "name", "kind", "interval", "status"}
    if isinstance(value, dict):
        out = {}
        for key, item in value.items():
            new = key if key in KEYS else f"{key}{EVIL}"
            out[new] = item if key in keep and isinstance(item, str) else planted(item)
        return out
    if isinstance(value, list):
        return [planted(item) for item in value]
    return f"{value}{EVIL}" if isinstance(value, str) and value else value


def keys_of(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for item in value.values() for key in keys_of(item)}
    return {key for item in value for key in keys_of(item)} if isinstance(value, list) else set()


FREE = {
    "business", "体育", "tech", "encoder", "torch", "untuned model", "title", "latin-1", "messages[assistant].rating",
    "images",
}  # fmt: skip
KEYS = (keys_of(report()) | keys_of(card())) - FREE | {"title"}


@pytest.mark.parametrize(("draw", "value"), [(pages.report, report()), (pages.data_card, card())])
def test_planted_markup_is_text_wherever_it_stands(draw: Any, value: dict[str, Any]) -> None:
    harmless, hostile = parsed(draw(value)), parsed(draw(planted(copy.deepcopy(value))))
    assert [tag for tag, _ in hostile.tags if tag in ("script", "img", "iframe", "object", "link", "a", "form")] == []
    assert all(not name.startswith("on") for _, attributes in hostile.tags for name in attributes)
    # Exactly the same elements, in the same order: nothing of the data became markup.
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in harmless.tags]
    assert sum(EVIL in text for text in hostile.text) > 15


@pytest.mark.parametrize("place", ["text", "label", "file name", "model name"])
def test_a_script_in_a_text_a_label_a_file_name_or_a_model_name_does_nothing(place: str) -> None:
    value = report()
    if place == "text":
        value["changes"]["fixed"][0]["text"] = EVIL
    elif place == "label":
        value["labels"][0] = EVIL
        value["slices"][0]["label"] = EVIL
    elif place == "file name":
        value["changes"]["broken"][0]["origin"] = f"{EVIL}.csv:1"
    else:
        value["model"] = EVIL
    page = pages.report(value)
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page
    parsed(page)


@pytest.mark.parametrize(("draw", "value"), [(pages.report, report()), (pages.data_card, card())])
def test_the_policy_allows_the_pages_own_style_and_nothing_else(draw: Any, value: dict[str, Any]) -> None:
    page = draw(value)
    css = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert css is not None
    digest = base64.b64encode(hashlib.sha256(css[1].encode()).digest()).decode()
    (policy,) = [
        attributes["content"]
        for tag, attributes in parsed(page).tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert page.index("Content-Security-Policy") < page.index("<style>")


@pytest.mark.parametrize(("draw", "value"), [(pages.report, report()), (pages.data_card, card())])
def test_nothing_is_loaded_and_no_style_stands_outside_the_hashed_one(draw: Any, value: dict[str, Any]) -> None:
    page = draw(value)
    for tag, attributes in parsed(page).tags:
        assert tag not in ("script", "link", "img", "iframe", "image", "use", "foreignobject")
        assert not {"src", "href", "style", "xlink:href"} & set(attributes), (tag, attributes)
    assert not re.search(r"url\(|@import|@font-face", page)
    assert set(re.findall(r"https?://[^\"'\s<]+", page)) <= {"http://www.w3.org/2000/svg"}


def test_the_page_shows_what_the_report_says() -> None:
    value = report()
    text = " ".join(" ".join(parsed(pages.report(value)).text).split())
    assert value["verdict"] in text
    for row in value["rows"]:
        assert row["title"] in text
        assert f"{100 * row['score']:.1f} %" in text
    assert "fixed 31 and broke 4" in text
    assert "is not here: no encoder is in the cache" in text
    for item in (*value["changes"]["fixed"], *value["changes"]["broken"]):
        assert item["text"] in text
        assert item["origin"] in text
    for sample in value["samples"]:
        assert sample["text"] in text


def test_answers_over_time_show_where_they_changed_and_never_more_than_eight() -> None:
    text = " ".join(" ".join(parsed(pages.report(report())).text).split())
    assert "10–20 tech 30–40 体育" in text
    assert "a long story" in text
    shown = [int(step) for step in re.findall(r"answer (\d+)", text)]
    assert len(shown) == 8
    assert (shown[0], shown[-1]) == (1, 30)
    assert shown == sorted(shown)


def test_an_answer_of_nothing_is_shown_as_no_answer() -> None:
    value = report()
    value["samples"][0]["answers"]["untuned"] = ""
    assert "<em>no answer</em>" in pages.report(value)
    assert "<em>no answer</em>" not in pages.report(report())


@pytest.mark.parametrize(
    "missing", ["losses", "curve", "changes", "samples", "confusion", "reliability", "slices", "absent"]
)
def test_a_report_without_a_part_has_a_page_without_it(missing: str) -> None:
    value = report()
    value[missing] = type(value[missing])()
    parsed(pages.report(value))


def test_a_report_of_written_answers_has_a_page() -> None:
    value = report()
    value.update(kind="generation", metric="chrF", labels=[], confusion={}, reliability={}, slices=[], curve={})
    assert "What it takes for what" not in pages.report(value)


def test_many_labels_show_the_most_frequent_confusions_instead_of_numbers() -> None:
    value = report()
    labels = [f"label {number}" for number in range(60)]
    value["labels"] = labels
    for one in value["confusion"].values():
        one.pop("matrix")
        one["pairs"] = [["label 1", "label 2", 7]]
    value["slices"] = [{"label": label, "n": 5, "right": {"untuned": 0.1, "tuned": 0.8}} for label in labels]
    text = " ".join(parsed(pages.report(value)).text)
    assert "label 1 → label 2" in text
    assert "lowest of 60 labels" in text


def test_bars_end_where_the_interval_ends() -> None:
    value = report()
    (row,) = [row for row in value["rows"] if row["name"] == "tuned"]
    page = pages.report(value)
    drawn = re.search(
        r'<line x1="([\d.]+)%" x2="([\d.]+)%"[^>]*class="range tuned"[^>]*></line><circle cx="([\d.]+)%"', page
    )
    assert drawn is not None
    low, high, middle = (float(part) for part in drawn.groups())
    assert low == pytest.approx(1.5 + 97 * row["low"], abs=0.01)
    assert high == pytest.approx(1.5 + 97 * row["high"], abs=0.01)
    assert middle == pytest.approx(1.5 + 97 * row["score"], abs=0.01)


def test_the_data_card_accounts_for_every_row() -> None:
    value = card()
    text = " ".join(" ".join(parsed(pages.data_card(value)).text).split())
    assert "2,225 rows were read; 2,103 are in the splits" in text
    for name in ("duplicates", "set aside", "体育", "tickets.csv"):
        assert name in text


def test_the_data_card_says_what_was_not_read() -> None:
    text = " ".join(" ".join(parsed(pages.data_card(card())).text).split())
    assert "messages[assistant].rating 1,234 the format does not know it" in text
    assert "images 7 the recipe ignores it" in text


@pytest.mark.parametrize(
    "missing", ["ledger", "splits", "sources", "examples", "task", "notes", "options", "unread", "ignored"]
)
def test_a_card_without_a_part_has_a_page_without_it(missing: str) -> None:
    value = card()
    del value[missing]
    parsed(pages.data_card(value))


def test_an_empty_card_is_still_a_page() -> None:
    parsed(pages.data_card({}))


def test_both_colour_schemes_and_narrow_screens_are_styled() -> None:
    page = pages.report(report())
    assert "prefers-color-scheme: dark" in page
    assert "max-width: 640px" in page
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    for font in ("PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC"):
        assert font in page
