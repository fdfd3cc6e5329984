"""Files go in, a data set folder comes out, and every row is accounted for.

    find the sources      reading/sources.py      split files that are given stay the splits they are
    find the format       reading/detection.py    from keys and value types of all rows
    read and check        reading/staging.py      bad rows: an error that lists them, or the quarantine file
    look at what was read reviewing.py            keys that nobody reads, labels that are no classes
    assign to splits      splitting.py            copies, leaks and conflicts go first; groups stay whole
    write                 dataset.py, card.py     Arrow, the card, and the list of what was removed

The same input and options give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from dizuo.artifacts import digest_file, digest_tree, whole_folder, write_json
from dizuo.artifacts.writing import check_place
from dizuo.data import readers
from dizuo.data.card import Card, SplitFigures
from dizuo.data.checks.ledger import Ledger
from dizuo.data.dataset import SPLITS, Dataset, Split, SplitWriter
from dizuo.data.dataset import open as open_dataset
from dizuo.data.options import PrepareOptions
from dizuo.data.reading.columns import ALIASES, Columns
from dizuo.data.reading.keys import Ignored
from dizuo.data.reading.reporting import corrected_line, report_faults
from dizuo.data.reading.sources import Part, find_parts
from dizuo.data.reading.staging import Staged, choose_readers, find_format, stage
from dizuo.data.rendering.prompts import default_instruction
from dizuo.data.rendering.tokenizer import Tokenizer
from dizuo.data.reviewing import check_keys, check_labels, remarks, tell_beginnings, tell_rows
from dizuo.data.splitting import Assignment, assign
from dizuo.data.statistics import SplitStatistics, excerpt
from dizuo.data.task import Task
from dizuo.errors import DataError, did_you_mean
from dizuo.events import Finished, Note, Started, Warned, Watcher, ignore
from dizuo.records import Chat, Example, Feedback, Json, Labelled, Message, Preference

__all__ = ["prepare"]

EXAMPLES = 6
"""Training rows that the card shows."""


def prepare(
    source: str | Path | list[str] | list[Path] | tuple[str, ...],
    out: Path,
    *,
    options: PrepareOptions | None = None,
    tokenizer: Tokenizer | None = None,
    watch: Watcher = ignore,
) -> Dataset:
    """Read, check, split and write a data set, and return it.

    Args:
        source: a file, a folder, an address, or several; empty to take them from the options.
        out: the folder to write; one that is already there is replaced when the new one is whole.
        options: see `PrepareOptions`.
        tokenizer: counts lengths in tokens for the card, as rendered with the model's template.
        watch: hears of progress, choices and warnings.

    Raises:
        DataError: the rows, files or splits cannot be used; bad rows are listed by file and line.

    >>> prepare("tickets.csv", Path("runs/tickets"), options=PrepareOptions(test=400))  # doctest: +SKIP
    """
    options = options or PrepareOptions()
    began = time.monotonic()
    watch(Started("prepare", unit="rows"))
    parts = find_parts(source, options, watch=watch)
    names = choose_readers(parts, options)
    columns = Columns(_asked_columns(options))
    format_name, why = find_format(parts, names, options, columns, Ignored(options.ignore))
    watch(Note(f"format: {format_name} ({why})"))
    ignored = Ignored(options.ignore)
    with whole_folder(Path(out), replace=True) as folder, Ledger(folder / "removed.jsonl") as ledger:
        staging = folder / "staging.arrow"
        staged = stage(parts, names, format_name, columns, options, ignored, staging, watch)
        tell_rows(staged, ignored, watch)
        if staged.faults and not options.quarantine:
            raise report_faults(parts, staged, format_name, columns, options)
        check_keys(parts, staged, ignored, format_name)
        ledger.read = len(staged) + len(staged.faults)
        ledger.shortened = staged.shortened
        _quarantine(parts, staged, format_name, columns, options, ledger)
        if not len(staged):
            raise DataError(f"{parts[0].source.name} has no good row", hint=f"see the reasons in {options.quarantine}")
        rows = Split(staging, name="staging")
        check_labels(parts, staged, rows, options)
        tell_beginnings(staged, rows, watch)
        assignment = assign(parts, staged, rows, options, ledger)
        task = _task_of(staged, rows, assignment.splits, options)
        figures, examples = _write_splits(folder, rows, staged, assignment, task, tokenizer)
        ledger.kept = sum(len(rows) for rows in assignment.splits.values())
        del rows
        staging.unlink()
        digests = {name: Split(folder / f"{name}.arrow", name=name).digest for name in SPLITS}
        card = Card(
            name=options.name or _plain_name(parts[0].source.name),
            digest=_digest({"task": task.to_json(), "splits": digests}),
            task=task.to_json(),
            format=format_name,
            evidence=why,
            splits=figures,
            ledger=ledger.account(),
            notes=(*remarks(parts), *assignment.notes),
            unread=staged.unread.by_count(),
            ignored=ignored.counts.by_count(),
            sources=tuple(_lineage(part, reader, i, staged) for i, (part, reader) in enumerate(zip(parts, names))),
            examples=tuple(examples),
            options=json.loads(json.dumps(asdict(options), default=str)),
            seed=options.seed,
        )
        write_json(folder / "task.json", task.to_json())
        write_json(folder / "dataset.json", card.to_json())
    for note in card.notes:
        watch(Warned(note))
    dataset = open_dataset(Path(out))
    sizes = ", ".join(f"{len(split):,} {name}" for name, split in dataset.splits().items())
    watch(Finished("prepare", time.monotonic() - began, sizes, {n: len(s) for n, s in dataset.splits().items()}))
    return dataset


def _asked_columns(options: PrepareOptions) -> dict[str, str]:
    asked = {role: str(name) for role, name in options.columns.items()}
    unknown = [f"{role!r}{did_you_mean(role, ALIASES)}" for role in asked if role not in ALIASES]
    if unknown:
        raise DataError(f"columns names unknown roles: {', '.join(unknown)}", hint=f"roles are: {', '.join(ALIASES)}")
    if options.text_column:
        asked["text"] = str(options.text_column)
    if options.label_column:
        asked["label"] = str(options.label_column)
    return asked


def _quarantine(
    parts: list[Part], staged: Staged, format_name: str, columns: Columns, options: PrepareOptions, ledger: Ledger
) -> None:
    if not staged.faults:
        return
    path = check_place(options.quarantine)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for number, fault in staged.faults:
            name = fault.file or parts[number].source.name
            origin = {"file": name, "line": fault.line, **({"path": fault.path} if fault.path else {})}
            entry = {**origin, "reason": fault.reason, "row": fault.raw}
            if line := corrected_line(fault, parts[number], format_name, columns, options):
                entry["corrected"] = line
            file.write(json.dumps(entry, ensure_ascii=True) + "\n")
            ledger.remove("quarantined", file=name, line=fault.line, path=fault.path, reason=fault.reason)


def _task_of(staged: Staged, rows: Split, splits: Mapping[str, Sequence[int]], options: PrepareOptions) -> Task:
    """Return the task that the rows of the splits set.

    Raises:
        DataError: the labels are no labels, or one has no training row.
    """
    instruction = options.instruction or ""
    if staged.kind is Labelled:
        by_stratum = list(staged.labels)
        train = {label for row in splits["train"] for label in by_stratum[staged.strata[row]]}
        every = {label for rows in splits.values() for row in rows for label in by_stratum[staged.strata[row]]}
        unseen = sorted(every - train)
        if unseen:
            raise DataError(
                f"{len(unseen)} label{' has' if len(unseen) == 1 else 's have'} no training row: "
                f"{', '.join(unseen[:8])}",
                hint="check the spelling of the labels, or keep more training rows: a smaller test, as in test: 0",
            )
        total = sum(len(rows) for rows in splits.values())
        if len(every) > 50 and len(every) > total / 2:
            raise DataError(
                f"the label has {len(every):,} different values in {total:,} rows; these are answers, not classes",
                hint="choose another label_column, or generate: columns: {prompt: …, completion: …}",
            )
        if len(every) < 2:
            raise DataError(f"every row has the label {next(iter(every))!r}", hint="a classification needs two labels")
        labels = tuple(sorted(every))
        if options.instruction is None:
            instruction = default_instruction(labels, multi_label=staged.multi_label)
        return Task("classification", instruction, labels, options.input_template, multi_label=staged.multi_label)
    kind = {Chat: "generation", Preference: "preference", Feedback: "feedback"}.get(staged.kind or Chat, "text")
    trained = _trained_turns(rows, splits["train"]) if staged.kind is Chat else []
    # More than half of the last answers begin with thoughts; a single call among all answers is enough.
    thinking = 2 * sum(bool(turns[-1].thoughts_and_answer()[0]) for turns in trained if turns) > len(trained)
    calls = any(turn.tool_calls for turns in trained for turn in turns)
    return Task(kind, instruction, input_template=options.input_template, thinking=thinking, calls=calls)


def _trained_turns(rows: Split, chosen: Sequence[int]) -> list[list[Message]]:
    """Return the answers to learn of the first 1,000 conversations."""
    looked = [rows[row] for row in chosen[:1000]]
    return [
        [turn for turn in chat.messages if turn.role == "assistant" and turn.weight > 0]
        for chat in looked
        if isinstance(chat, Chat)
    ]


def _write_splits(
    folder: Path,
    rows: Split,
    staged: Staged,
    assignment: Assignment,
    task: Task,
    tokenizer: Tokenizer | None,
) -> tuple[dict[str, SplitFigures], list[dict[str, str]]]:
    """Write one Arrow file per split, and return the figures of each and the first training rows, shortened."""
    assert staged.kind is not None
    figures: dict[str, SplitFigures] = {}
    examples: list[dict[str, str]] = []
    for name, chosen in assignment.splits.items():
        statistics = SplitStatistics()
        with SplitWriter(folder / f"{name}.arrow", kind=staged.kind) as writer:
            for example in _with_references(rows, chosen, assignment.references):
                statistics.add(example, tokens=_num_tokens(tokenizer, example, task))
                if name == "train" and len(examples) < EXAMPLES:
                    examples.append(excerpt(example))
                writer.write([example])
        figures[name] = statistics.figures()
    return figures, examples


def _with_references(rows: Split, chosen: Sequence[int], references: Mapping[int, Sequence[int]]) -> Iterator[Example]:
    for row in chosen:
        example = rows[row]
        if row in references and isinstance(example, Chat):
            others = [rows[other] for other in references[row]]
            answers = [text for o in others if isinstance(o, Chat) for text in (o.messages[-1].content, *o.references)]
            further = dict.fromkeys(a for a in (*example.references, *answers) if a != example.messages[-1].content)
            example = replace(example, references=tuple(further))
        yield example


def _num_tokens(tokenizer: Tokenizer | None, example: Example, task: Task) -> int | None:
    if tokenizer is None or isinstance(example, Preference | Feedback):
        return None
    from dizuo.data.rendering.conversations import render

    return max(len(sequence.ids) for sequence in render(tokenizer, example, task))


def _lineage(part: Part, reader: str, number: int, staged: Staged) -> dict[str, Json]:
    """Return what the card says of one source."""
    source = part.source
    folder = source.path.is_dir()
    entry: dict[str, Json] = {
        "file": source.name,
        "split": part.split or "train and what is cut from it",
        "format": reader,
        "digest": digest_tree(source.path) if folder else digest_file(source.path),
        "rows": sum(1 for p in staged.parts if p == number),
        "bad_rows": sum(1 for p, _ in staged.faults if p == number),
        "licence": part.licence,
        **source.notes,
    }
    if source.compression:
        entry["compression"] = source.compression
    if readers.load(reader).is_text:
        entry["encoding"] = source.encoding.name
        entry["encoding_evidence"] = source.encoding.evidence
    return entry


def _digest(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _plain_name(name: str) -> str:
    stem = name.rstrip("/").replace("\\", "/").rsplit("/", 1)[-1]
    return stem.split(".")[0] or stem
