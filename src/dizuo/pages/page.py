"""The frame of every page: template, style, content security policy."""

from __future__ import annotations

import base64
import functools
import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dizuo import progress
from dizuo.languages import language, say_on_page
from dizuo.redaction import redact_values

if TYPE_CHECKING:
    import jinja2

__all__ = ["duration", "render"]

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: Any) -> str:
    """Return a page from one of our templates; every value is escaped unless it is one of our own drawings.

    Passwords and keys that this process knows are left out of it.
    """
    css = (TEMPLATES / "style.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode("utf-8")).digest()).decode("ascii")
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    page = _environment(language()).get_template(template).render(css=css, policy=policy, lang=_lang(), **values)
    return str(redact_values(page))


@functools.cache
def _environment(spoken: str) -> jinja2.Environment:
    """Return the templates in a language; their own texts are replaced when they are read."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source) if spoken != "en" else jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        percent=_percent,
        points=_points,
        p=_p,
        duration=duration,
        figure=figure,
        count=lambda value: f"{value:,}",
        say=say_on_page,
    )
    return environment


def _source(name: str) -> str:
    from dizuo.languages.catalogue import read_catalogue
    from dizuo.languages.page_source import replace_texts

    return replace_texts((TEMPLATES / name).read_text("utf-8"), read_catalogue().templates.get)


def _lang() -> str:
    """Return what the page says of its language."""
    return "zh-CN" if language() == "zh" else language()


def duration(seconds: float | None) -> str:
    """Return seconds as people say them."""
    if seconds is None:
        return "–"
    if seconds < 0.095:
        return f"{1000 * seconds:.0f} ms" if seconds else say_on_page("none")
    return progress.duration(seconds)


def figure(value: float | None) -> str:
    """Return a number with as many digits as a person reads."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.01 else "< 0.01"


def _percent(share: float | None, digits: int = 1) -> str:
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def _points(share: float | None) -> str:
    if share is None:
        return "–"
    return f"{100 * share:+.1f}".replace("-", "−")


def _p(p: float | None) -> str:
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
