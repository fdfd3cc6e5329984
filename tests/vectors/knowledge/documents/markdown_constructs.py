"""The ways in which Markdown can hold a sentence (CommonMark 0.31; GitHub's and other dialects)."""

from __future__ import annotations

from dizuo.testing.vectors.document_reader import BEFORE, BEHIND, Construct


def markdown(inside: str, **other: object) -> Construct:
    """Return a construct that stands among paragraphs; § is its sentence."""
    page = f"{BEFORE}\n\n{inside}\n\n{BEHIND}\n"
    return Construct(lambda sentence: page.replace("§", sentence), **other)  # type: ignore[arg-type]


MARKDOWN = {
    "a paragraph": markdown("§"),
    "lines of a paragraph": markdown("Notice is\nthree months."),
    "hard breaks": markdown("Notice is  \nthree months."),
    "a heading": markdown("## § ##"),
    "a heading by underline": markdown("§\n---"),
    "a heading of HTML": markdown('<h2 align="center">§</h2>'),
    "emphasis": markdown("*x* **§** __y__"),
    "a code span": markdown("`§`"),
    "fenced code": markdown("```python\n§\n```"),
    "fenced code with tildes": markdown("~~~\n§\n~~~"),
    "fenced code that never ends": Construct(lambda sentence: f"{BEFORE}\n\n{BEHIND}\n\n```\n{sentence}\n"),
    "the language of fenced code": markdown("``` §\nx\n```"),
    "indented code": markdown("    §"),
    "a block of HTML": markdown("<div>\n§\n</div>"),
    "a comment": markdown("<!-- § -->"),
    "a processing instruction": markdown("<?php § ?>"),
    "a declaration": markdown("<!DOCTYPE §>"),
    "CDATA": markdown("<![CDATA[§]]>"),
    "inline HTML": markdown("x <b>§</b> y"),
    "a quotation": markdown("> §"),
    "a quotation in a quotation": markdown("> x\n>> §"),
    "a heading in a quotation": markdown("> # §"),
    "an alert": markdown("> [!NOTE]\n> §"),
    "a bullet": markdown("- x\n- §\n* y"),
    "a number": markdown("1. x\n2) §"),
    "a bullet in a bullet": markdown("- x\n  - y\n    - §"),
    "a paragraph of a bullet": markdown("- x\n\n  §"),
    "a task": markdown("- [ ] x\n- [x] §"),
    "deep nesting": markdown("> " * 30 + "§"),
    "a cell": markdown("| a | b |\n|---|---|\n| x | § |"),
    "a head of a table": markdown("| § | b |\n|---|---|\n| x | y |"),
    "a cell too many": markdown("| a | b |\n|---|---|\n| x | y | § |"),
    "a link's text": markdown("[§](http://x)"),
    "a link's title": markdown('[x](http://x "§")'),
    "a picture's text": markdown("![§](a.png)"),
    "a definition of a reference": markdown("[x]: http://x '§'"),
    "a definition that is used": markdown("[x]\n\n[x]: http://x '§'"),
    "a footnote": markdown("x[^1]\n\n[^1]: §"),
    "a definition list": markdown("Term\n: §"),
    "an abbreviation": markdown("*[HR]: §"),
    "a formula": markdown("$$\n§\n$$"),
    "a container": markdown("::: warning\n§\n:::"),
    "attributes": markdown("# x {#id}\n\n§ {.class}"),
    "struck through": markdown("~~§~~"),
    "escapes": markdown("x\\\n§"),
    "front matter": Construct(lambda sentence: f"---\ntitle: {sentence}\n---\n{BEFORE}\n\n{BEHIND}\n"),
    "front matter of TOML": Construct(lambda sentence: f"+++\ntitle = '{sentence}'\n+++\n{BEFORE}\n\n{BEHIND}\n"),
    "front matter that never ends": Construct(lambda sentence: f"---\ntitle: {sentence}\n\n{BEFORE}\n\n{BEHIND}\n"),
    "a rule": markdown("---\n§\n***"),
    "a null character": markdown("\0 §"),
}
MARKDOWN |= {
    f"{name}, lines that end in {ending!r}": Construct(
        lambda sentence, write=construct.write, ending=ending: str(write(sentence)).replace("\n", ending).encode(),
        construct.left_out, construct.also, construct.times,
    )
    for name, construct in list(MARKDOWN.items())
    for ending in ("\r\n", "\r")
}  # fmt: skip
