"""Draw the walks of docs/concepts/architecture.md: one value each, from the file where it enters to where it is used.

`make docs` writes the pictures (`concepts/pictures/*.svg`) and the numbered lists beside them. A test compares both
with what this file says, and checks that every file named here exists.

A band is a room with its sub-rooms. A box is a file. A dashed box is asked and answers: the value goes in, and what it
became comes back to the box before it. A grey band is a file on disk or a database, where the value rests.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from html import escape
from pathlib import Path

HERE = Path(__file__).parent
PICTURES = HERE / "concepts" / "pictures"
PAGE = HERE / "concepts" / "architecture.md"


@dataclass(frozen=True)
class Stop:
    """One file on the way, relative to `src/dizuo`."""

    file: str
    text: str
    asked: bool = False
    """Whether it is called and answers, so that the value goes on from the stop before."""

    @property
    def room(self) -> str:
        """The package in which the file lies; a package's own file lies in the package."""
        return self.file.rpartition("/")[0].replace("/", ".")


@dataclass(frozen=True)
class Band:
    """A room and what the value meets in it; without stops, a place where the value rests."""

    room: str
    stops: tuple[Stop, ...] = ()


@dataclass(frozen=True)
class Walk:
    """What one value goes through."""

    slug: str
    title: str
    bands: tuple[Band, ...]

    @property
    def stops(self) -> list[Stop]:
        """All files, in order."""
        return [stop for band in self.bands for stop in band.stops]

    @property
    def legs(self) -> list[list[str]]:
        """The rooms from one resting place to the next, each once, in order."""
        legs: list[list[str]] = [[]]
        for band in self.bands:
            if not band.stops:
                legs.append([])
            legs[-1] += [stop.room for stop in band.stops]
        return [list(dict.fromkeys(leg)) for leg in legs if leg]


def _stop(file: str, text: str) -> Stop:
    return Stop(file, text)


def _asked(file: str, text: str) -> Stop:
    return Stop(file, text, asked=True)


WALKS = (
    Walk(
        "row-to-batch",
        "A row to a batch",
        (
            Band(
                "data",
                (
                    _stop("data/preparing.py", "prepare: runs the stations in order"),
                    _asked("data/reading/sources.py", "finds the files and the splits that are given"),
                    _asked("data/reading/staging.py", "takes every row through the next three"),
                    _asked("data/readers/delimited.py", "makes a Row of bytes, with its line"),
                    _asked("data/formats/classification.py", "makes a Labelled record of a Row"),
                    _asked("data/checks/identity.py", "the record's keys: what makes two rows the same"),
                    _asked("data/splitting.py", "chooses the split or removes the row; tells the ledger"),
                    _asked("data/checks/duplicates.py", "finds copies, and one text with two labels"),
                    _asked("data/checks/leakage.py", "finds training rows that are also tested"),
                    _asked("data/stratifying.py", "keeps the labels' proportions, and groups whole"),
                    _stop("data/dataset.py", "writes one Arrow file per split"),
                ),
            ),
            Band("on disk: 2-prepare/train.arrow and dataset.json, the card that accounts for every row"),
            Band(
                "training",
                (
                    _stop("training/planning/planner.py", "hands each split on to be tokenized"),
                    _stop("training/tokens/tokenizing.py", "makes token sequences of records, or names a bad row"),
                    _asked("training/methods/sft.py", "says which sequences and tokens are trained"),
                    _asked("data/rendering/conversations.py", "renders the chat template, as serving does"),
                    _asked("training/tokens/cutting.py", "shortens a long prompt, never the target"),
                    _stop("training/tokens/token_store.py", "writes the arrays and their digest"),
                ),
            ),
            Band("on disk: 3-train/tokens/train/*.npy, memory-mapped by every start and resume"),
            Band(
                "training",
                (
                    _stop("training/loop.py", "takes one step after the other"),
                    _asked("training/tokens/batching.py", "cuts the examples of a step into blocks"),
                    _stop("training/stepping/stepper.py", "accumulate: goes through the blocks"),
                    _asked("training/tokens/token_store.py", "Batch: ids, weights, groups, targets"),
                ),
            ),
            Band(
                "trees",
                (
                    _stop("trees/runner.py", "runs the batch; outputs keep its order"),
                    _asked("trees/tree.py", "makes one tree: ids, depth, end, parent"),
                ),
            ),
        ),
    ),
    Walk(
        "request-to-token",
        "A request to a token",
        (
            Band(
                "serving.gateway",
                (
                    _stop("serving/gateway/access.py", "gives the request an id; checks the caller"),
                    _asked("serving/gateway/security.py", "checks key, host and origin"),
                    _stop("serving/gateway/application.py", "finds the route, sets the deadline"),
                    _asked("serving/gateway/transport.py", "reads the body, up to a limit"),
                    _asked("serving/gateway/openai_requests.py", "JSON to a checked ChatRequest"),
                ),
            ),
            Band(
                "serving",
                (
                    _stop("serving/service.py", "one served model: prompt, sampling, answer"),
                    _asked("data/rendering/conversations.py", "messages to ids, as in training"),
                ),
            ),
            Band("engines", (_stop("engines/protocol.py", "GenerateRequest: ids, sampling, adapter, deadline"),)),
            Band(
                "engines.kinds.embedded",
                (
                    _stop("engines/kinds/embedded/engine.py", "refuses what can never work, queues the rest"),
                    _stop("engines/kinds/embedded/scheduler.py", "chooses who takes part in the next step"),
                    _asked(
                        "engines/kinds/embedded/backends.py",
                        "runs requests packed, or one by one where a model needs it",
                    ),
                    _asked("engines/kinds/embedded/packed.py", "runs the ids, each over its own keys"),
                    _asked("engines/kinds/embedded/sampling.py", "draws one token from the logits"),
                ),
            ),
            Band("the answer: a stream of Delta back to the caller; service.py makes text of it (detokenizing.py)"),
        ),
    ),
    Walk(
        "point-to-postgresql",
        "A point to PostgreSQL",
        (
            Band(
                "vectors",
                (
                    _stop("vectors/vector_store.py", "upsert: points of any number"),
                    _asked("vectors/writing/sources.py", "makes blocks of points or Arrow tables"),
                    _asked("vectors/writing/checking.py", "says by id what is wrong with a row"),
                    _asked("vectors/points.py", "Block: ids, vectors, metadata, documents"),
                    _stop("vectors/writing/batching.py", "sends one block while the next is made"),
                    _stop("vectors/writing/retrying.py", "tries again while the database is busy"),
                ),
            ),
            Band("vectors.protocol", (_stop("vectors/protocol/store.py", "Store.upsert(namespace, block, wait=…)"),)),
            Band(
                "vectors.stores.postgresql",
                (
                    _stop(
                        "vectors/stores/postgresql/__init__.py", "writes records, words and counts in one transaction"
                    ),
                    _asked("vectors/lexical/word_counts.py", "counts the words of documents, as columns"),
                    _asked("vectors/stores/postgresql/filters.py", "escapes what jsonb cannot hold"),
                    _asked("vectors/stores/postgresql/words.py", "packs postings, a row for each word of a write"),
                    _asked("vectors/stores/postgresql/wire.py", "writes columns as binary COPY"),
                    _stop("vectors/stores/postgresql/pool.py", "holds connections; turns errors into dizuo's"),
                ),
            ),
            Band("PostgreSQL: the collection's four tables"),
        ),
    ),
    Walk(
        "filter-to-sql",
        "A filter to its SQL",
        (
            Band(
                "vectors",
                (
                    _stop("vectors/vector_store.py", "search(where=…): a filter or its text"),
                    _asked("vectors/filters/parsing.py", 'makes a tree of "year >= 2020"'),
                    _asked("vectors/filters/tree.py", "And, Compare, In, …; refused where the store lacks one"),
                ),
            ),
            Band("vectors.protocol", (_stop("vectors/protocol/store.py", "Store.search(…, where=Filter)"),)),
            Band(
                "vectors.stores.postgresql",
                (
                    _stop("vectors/stores/postgresql/__init__.py", "asks the index, or compares all that match"),
                    _asked("vectors/stores/postgresql/filters.py", "makes a condition and its parameters"),
                ),
            ),
            Band("PostgreSQL: WHERE namespace = %s AND …"),
        ),
    ),
    Walk(
        "option-to-use",
        "An option to its use",
        (
            Band(
                "cli",
                (
                    _stop("cli/train.py", "--set train.learning_rate=1e-4"),
                    _stop("cli/flags.py", "puts the command line over the recipe"),
                    _asked("recipe/reading.py", "makes values of YAML, with file and line"),
                ),
            ),
            Band(
                "steps",
                (
                    _stop("steps/pipeline.py", "binds everything before anything starts"),
                    _asked("steps/settings.py", "gives each section to its owner's options"),
                    _asked("recipe/binding.py", "binds by declared type; names all wrong fields"),
                    _stop("steps/train.py", "skips what is done, opens the run's folder"),
                ),
            ),
            Band(
                "training.planning",
                (
                    _stop("training/planning/planner.py", "refuses what cannot work"),
                    _stop("training/planning/resolving.py", "takes what was given, else chooses, and says why"),
                    _asked("training/planning/defaults.py", "asks the table in learning_rates.py"),
                    _stop("training/planning/settings.py", "Settings: every value with its type"),
                    _stop("training/planning/plan.py", 'use.learning_rate, why["learning_rate"]'),
                ),
            ),
            Band("on disk: 3-train/plan.json, read by every start and resume and never chosen again"),
            Band(
                "training",
                (
                    _stop("training/loop.py", "reads plan.use.learning_rate"),
                    _asked("training/stepping/schedule.py", "warm-up and decay: the rate of this step"),
                    _stop("training/stepping/stepper.py", "apply: sets it in the optimizer's groups"),
                ),
            ),
        ),
    ),
    Walk(
        "file-to-citation",
        "A file to a citation",
        (
            Band(
                "vectors.knowledge",
                (
                    _stop("vectors/knowledge/knowledge_base.py", "sync_folder: reads only what changed"),
                    _asked("vectors/knowledge/documents/reading.py", "chooses the reader by the file's suffix"),
                    _asked("vectors/knowledge/documents/readers/markdown.py", "makes blocks under headings"),
                    _asked("vectors/knowledge/documents/document.py", "Document: text, and where each block stands"),
                    _asked("vectors/knowledge/documents/chunking.py", "makes chunks with start, end, page, headings"),
                    _asked("vectors/embedders/sentence_transformers/__init__.py", "makes vectors of texts"),
                ),
            ),
            Band("vectors", (_stop("vectors/vector_store.py", "upsert: a point per chunk, positions as metadata"),)),
            Band("any of the ten databases: NAME.about and NAME.g1"),
            Band(
                "vectors.knowledge",
                (
                    _stop("vectors/knowledge/knowledge_base.py", "search: has the question embedded, too"),
                    _stop("vectors/vector_store.py", "hybrid: searches by vector and by words"),
                    _asked("vectors/lexical/fusion.py", "makes one ranking of two"),
                    _asked("vectors/rerankers/cross_encoder.py", "looks at the hits a second time, if asked"),
                ),
            ),
            Band("Passage.citation: handbook.md, Rules › Leave, characters 120–480"),
        ),
    ),
)

WIDTH, LEFT, BOX, GAP, HEIGHT = 1024, 24, 304, 18, 74
PER_ROW, ENTRY = 3, 20
INK, FAINT, PAPER, LINE = "#1b1f24", "#57606a", "#fcfcfa", "#8c959f"
TINTS = {
    "data": "#e7f0e4", "training": "#e6eefb", "trees": "#efe8f8", "serving": "#fbeee3", "engines": "#fbf4da",
    "vectors": "#e2f2f2", "cli": "#f4e6ec", "steps": "#f0ece4",
}  # fmt: skip
MONO = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
SANS = "system-ui,-apple-system,'Segoe UI',Helvetica,Arial,'DejaVu Sans',sans-serif"


def svg(walk: Walk) -> str:
    """Return a walk as a picture: its own light paper and dark ink, so that it reads on any background."""
    out: list[str] = []
    y, number = 62, 0
    last: tuple[float, float] | None = None  # where the arrow from the box before begins
    for band in walk.bands:
        if not band.stops:
            out += [_rest(band.room, y), *(_down(last, last[0], y) if last else [])]
            last = (LEFT + 14 + ENTRY, y + 34)
            y += 34 + 34
            continue
        rows = -(-len(band.stops) // PER_ROW)
        height = 34 + rows * HEIGHT + (rows - 1) * 26 + 14
        out.append(_band(band.room, y, height))
        for place, stop in enumerate(band.stops):
            number += 1
            row, column = divmod(place, PER_ROW)
            left = LEFT + 14 + column * (BOX + GAP)
            top = y + 34 + row * (HEIGHT + 26)
            if last is not None:
                out += _across(left, top) if column else _down(last, left + ENTRY, top)
            out.append(_box(stop, number, band.room, left, top))
            last = (left + BOX / 2, top + HEIGHT)
        y += height + 30
    out.append(_legend(y))
    height = y + 40
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            f'role="img" font-family="{escape(SANS)}" fill="{INK}">',
            f"<title>{escape(walk.title)}</title>",
            f"<desc>{escape(' → '.join(stop.file for stop in walk.stops))}</desc>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
            f'orient="auto"><path d="M0 0 8 4 0 8z" fill="{FAINT}"/></marker></defs>',
            f'<rect width="{WIDTH}" height="{height}" rx="10" fill="{PAPER}" stroke="{LINE}"/>',
            f'<text x="{LEFT}" y="40" font-size="22" font-weight="600">{escape(walk.title)}</text>',
            *out,
            "</svg>",
            "",
        ]
    )


def _band(room: str, y: float, height: float) -> str:
    tint = TINTS[room.partition(".")[0]]
    return (
        f'<rect x="{LEFT}" y="{y}" width="{WIDTH - 2 * LEFT}" height="{height}" rx="8" fill="{tint}"/>'
        f'<text x="{LEFT + 14 + ENTRY + 12}" y="{y + 22}" font-size="14" '
        f'font-weight="700" font-family="{escape(MONO)}">'
        f"{room.replace('.', '/')}/</text>"
    )


def _rest(text: str, y: float) -> str:
    return (
        f'<rect x="{LEFT}" y="{y}" width="{WIDTH - 2 * LEFT}" height="34" rx="17" fill="#e3e5e8"/>'
        f'<text x="{WIDTH / 2}" y="{y + 22}" font-size="13" text-anchor="middle">{escape(text)}</text>'
    )


def _box(stop: Stop, number: int, room: str, left: float, top: float) -> str:
    own = room.replace(".", "/") + "/"
    name = stop.file.removeprefix(own)
    name = name if name == "__init__.py" else name.removesuffix("__init__.py")
    dash = ' stroke-dasharray="5 4"' if stop.asked else ""
    lines = [
        f'<rect x="{left}" y="{top}" width="{BOX}" height="{HEIGHT}" rx="6" fill="#fff" stroke="{FAINT}"{dash}/>',
        f'<text x="{left + 10}" y="{top + 21}" font-size="11.5" font-weight="700" font-family="{escape(MONO)}">'
        f'<tspan fill="{FAINT}">{number}</tspan><tspan dx="6">{escape(name)}</tspan></text>',
    ]
    for row, line in enumerate(textwrap.wrap(stop.text, 40)):
        assert row < 2, f"{stop.file}: {stop.text!r} needs more than two lines"
        lines.append(f'<text x="{left + 10}" y="{top + 42 + 17 * row}" font-size="13">{escape(line)}</text>')
    assert len(name) + len(str(number)) <= 42, f"{name} is wider than its box"
    return "".join(lines)


def _across(left: float, top: float) -> list[str]:
    return [_path(f"M{left - GAP} {top + HEIGHT / 2} H{left - 1}")]


def _down(last: tuple[float, float], x: float, top: float) -> list[str]:
    """Draw from the box before down to the top of the next one, along the gap between them."""
    middle, bottom = last
    if middle == x:
        return [_path(f"M{x} {bottom} V{top - 1}")]
    return [_path(f"M{middle} {bottom} V{bottom + 12} H{x} V{top - 1}")]


def _path(d: str) -> str:
    return f'<path d="{d}" fill="none" stroke="{FAINT}" stroke-width="1.4" marker-end="url(#tip)"/>'


def _legend(y: float) -> str:
    shapes = (
        (LEFT, 'rx="4" fill="#fff" stroke="#57606a"', "a file that the value goes through"),
        (310, 'rx="4" fill="#fff" stroke="#57606a" stroke-dasharray="5 4"', "a file that is asked and answers"),
        (580, 'rx="8" fill="#e3e5e8"', "where the value rests, or what it became"),
    )
    return "".join(
        f'<rect x="{x}" y="{y - 4}" width="26" height="16" {shape}/>'
        f'<text x="{x + 34}" y="{y + 9}" font-size="12">{text}</text>'
        for x, shape, text in shapes
    )


def steps(walk: Walk) -> str:
    """Return a walk as a numbered list, so that a search for a file's name finds it."""
    lines, number = [], 0
    for band in walk.bands:
        if not band.stops:
            lines.append(f"    - *{band.room}*" if number else f"- *{band.room}*")
        for stop in band.stops:
            number += 1
            asked = " (asked)" if stop.asked else ""
            lines.append(f"{number}. `src/dizuo/{stop.file}`{asked}: {stop.text}")
    rooms = " + ".join(str(len(leg)) for leg in walk.legs)
    return "\n".join([*lines, "", f"Rooms passed: {rooms}."])


def page(text: str) -> str:
    """Return the page with the list of every walk between its two marks written anew."""
    for walk in WALKS:
        marks = f"<!-- walk: {walk.slug} -->", f"<!-- end: {walk.slug} -->"
        pattern = re.compile(f"{re.escape(marks[0])}.*?{re.escape(marks[1])}", re.DOTALL)
        assert pattern.search(text), f"{PAGE.name} has no place for the walk {walk.slug}"
        text = pattern.sub(lambda _, marks=marks, walk=walk: f"{marks[0]}\n{steps(walk)}\n{marks[1]}", text)  # type: ignore[misc]
    return text


def write() -> None:
    """Write the pictures, and their lists into the page."""
    PICTURES.mkdir(exist_ok=True)
    for walk in WALKS:
        (PICTURES / f"{walk.slug}.svg").write_text(svg(walk), "utf-8")
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    write()
