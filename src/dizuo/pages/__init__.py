"""Self-contained HTML pages: one file, no script, nothing loaded from anywhere.

    report(value)      the page of an evaluation: scores, curves, confusions, what changed
    data_card(card)    the page of a data set: every row accounted for, labels, lengths, sources
    benchmark(value)   the page of a benchmark of vector stores: latency, recall, size, memory, and how it was measured

    report_page       the page of `report`
    card_page         the page of `data_card`
    benchmark_page    the page of `benchmark`, and the same figures as text
    page              the frame of every page: template, style, content security policy
    charts            the charts, as inline SVG
    svg               tags, ticks and scales that charts are made of
    templates/        the HTML of the pages, and their style

All take plain JSON values, as in `report.json` and `dataset.json`, and return the page as text. Whatever comes from
data, files or models is escaped; the content security policy allows the page's own style and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping

from dizuo.records import Json

__all__ = ["benchmark", "benchmark_table", "data_card", "report"]


def report(value: Mapping[str, Json]) -> str:
    """Return the page of an evaluation report, from the value of its `report.json`."""
    from dizuo.pages.report_page import draw

    return draw(value)


def data_card(card: Mapping[str, Json]) -> str:
    """Return the page of a data set, from its card, the value of `dataset.json`."""
    from dizuo.pages.card_page import draw

    return draw(card)


def benchmark(value: Mapping[str, Json]) -> str:
    """Return the page of a benchmark of vector stores, from what `Benchmark.to_json` gives."""
    from dizuo.pages.benchmark_page import draw

    return draw(value)


def benchmark_table(value: Mapping[str, Json]) -> tuple[list[str], list[tuple[str, list[tuple[str, list[str]]]]]]:
    """Return the same figures as text: names of the stores that could be measured, and the rows of every group."""
    from dizuo.pages.benchmark_page import text_table

    return text_table(value)
