"""Finds the files that a data set is made of, and the split that each belongs to.

A folder is read as what it looks like: what `datasets` saved or a repository's README describes (`hub.py`); files or
folders called train/validation/test (a given split); one sub-folder per class; or several files of one format.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dizuo.artifacts import resolve
from dizuo.artifacts.sources import SOURCES
from dizuo.data.options import PrepareOptions
from dizuo.data.readers import READERS
from dizuo.data.reading.files import SourceFile, bare_name
from dizuo.data.reading.hub import Found, files_of_repository, saved_files, split_of
from dizuo.errors import DataError, did_you_mean
from dizuo.events import Watcher, ignore

__all__ = ["Part", "find_parts"]

_NOT_DATA = re.compile(r"(readme|license|licence|source|upstream|citation|dataset_infos?|changelog)\b.*", re.IGNORECASE)
_CLASS_LIST = re.compile(r"(class|classes|label|labels|class_names)\.txt", re.IGNORECASE)
"""A file beside a table that names its classes, a line each, as THUCNews has it."""


@dataclass(slots=True)
class Part:
    """One source of rows."""

    source: SourceFile
    split: str = ""
    """The split it was given for; empty for rows that are still to be split."""
    licence: str | None = None


def find_parts(
    source: str | Path | list[str] | list[Path] | tuple[str, ...], options: PrepareOptions, *, watch: Watcher = ignore
) -> list[Part]:
    """Return the sources of a data set in a fixed order.

    Raises:
        DataError: nothing is there, or a folder can be read in several ways.
    """
    given_sources: Sequence[str | Path] = [source] if isinstance(source, str | Path) else list(source)
    wanted: list[str | Path] = [item for item in given_sources if str(item)]
    if not wanted and options.source:
        wanted += [options.source] if isinstance(options.source, str) else options.source
    if not wanted and options.train:
        wanted.append(options.train)
    if not wanted:
        raise DataError(
            "no data is named", hint="name a file, a folder or an address, as in: dizuo prepare tickets.csv"
        )
    parts = [part for item in wanted for part in _expand(item, options, watch)]
    for split, given in (("validation", options.validation), ("test", options.test)):
        if isinstance(given, str) and given:
            parts = [part for part in parts if part.split != split]
            for part in _expand(given, options, watch):
                part.split = split
                parts.append(part)
    if not any(part.split in ("", "train") for part in parts):
        raise DataError(
            "there are no training rows: every file was given as validation or test", hint="name the source"
        )
    names = [part.source.name for part in parts]
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{name} is named {names.count(name)} times", hint="name each file once")
    return parts


def _expand(item: str | Path, options: PrepareOptions, watch: Watcher) -> list[Part]:
    name, licence = str(item), None
    scheme, colon, _ = name.partition(":")
    if colon and scheme in SOURCES.names() and scheme != "path":
        artifact = resolve(name, watch=watch)
        path, name, licence = artifact.path, artifact.address, artifact.licence
    else:
        path = Path(item).expanduser()
    if not path.exists():
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"{name} does not exist{did_you_mean(path.name, siblings)}", hint="check the path")
    files = _files_of(path, name) if path.is_dir() else [Found("", path, name)]
    return [
        Part(
            SourceFile(
                found.path,
                found.name,
                encoding_asked=options.encoding,
                header=options.header,
                delimiter={"tab": "\t", "\\t": "\t"}.get(options.delimiter, options.delimiter),
                remarks=found.remarks,
                class_names=found.class_names,
                class_list=found.class_list,
            ),
            split=found.split,
            licence=licence,
        )
        for found in files
    ]


def _files_of(path: Path, name: str) -> list[Found]:
    name = name.rstrip("/")
    if (path / "dataset.json").is_file():
        raise DataError(f"{name} is a prepared data set already", hint="open it with dizuo.data.open, or train on it")
    named = saved_files(path, name) or files_of_repository(path, name)
    if named:
        return named
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith((".", "__")))
    data = [entry for entry in entries if _is_data(entry)]
    class_list: tuple[str, ...] = ()
    if len(data) > 1 and (lists := [file for file in data if _CLASS_LIST.fullmatch(file.name)]):
        data = [file for file in data if file not in lists]
        class_list = tuple(line.strip() for _, line in SourceFile(lists[0], lists[0].name).lines() if line.strip())
    given: dict[str, list[Path]] = {split: [] for split in ("train", "validation", "test")}
    for file in data:
        if split := split_of(file.name):
            given[split].append(file)
    if given["train"]:
        several = [split for split, matches in given.items() if len({_family(file) for file in matches}) > 1]
        if several:
            raise DataError(
                f"{name} holds several files that could be its {several[0]} split",
                details=[f.name for f in given[several[0]]],
                hint="name the files: train, validation and test",
            )
        found = [
            Found(split, file, f"{name}/{file.name}", class_list=class_list)
            for split, matches in given.items()
            for file in matches
        ]
        chosen = [file for matches in given.values() for file in matches]
        return _with_left(found, [file for file in data if file not in chosen])
    if not data and (inner := _inner(entries, name)):
        return inner
    classes = [entry for entry in entries if entry.is_dir() and _holds_texts(entry)]
    if len(classes) > 1 and not data:
        return [Found("", path, name)]
    present = {Path(bare_name(file.name)).suffix.lower() for file in data}
    if len(present) > 1:
        raise DataError(
            f"{name} holds files of several formats: {', '.join(sorted(present))}",
            details=[file.name for file in data[:10]],
            hint="name the file",
        )
    if not data:
        raise DataError(
            f"{name} holds no data files and no class folders",
            details=[entry.name for entry in entries[:10]],
            hint="name the file; formats are json, jsonl, csv, tsv, parquet, arrow, txt and a folder per class",
        )
    found = [Found("", file, f"{name}/{file.name}", class_list=class_list) for file in data]
    return _with_left(found, [entry for entry in entries if entry.is_dir() and _holds_data(entry)])


def _with_left(found: list[Found], left: Sequence[Path]) -> list[Found]:
    """Return the files that are read, with a remark on those beside them that are not."""
    if left:
        shown = ", ".join(entry.name for entry in left[:8]) + (f" and {len(left) - 8:,} more" if len(left) > 8 else "")
        found[0].remarks.append(f"beside it {shown} {'is' if len(left) == 1 else 'are'} not read")
    return found


def _holds_data(folder: Path) -> bool:
    return any(_is_data(entry) for entry in folder.iterdir())


def _inner(entries: Sequence[Path], name: str) -> list[Found]:
    """Return the files of a folder that holds only folders: one per split, or `data`; empty for others."""
    folders = {entry.name: entry for entry in entries if entry.is_dir()}
    splits = {split: folder for folder in folders if (split := split_of(folder))}
    if "train" in splits:
        found = []
        for split, folder in splits.items():
            for file in _files_of(folders[folder], f"{name}/{folder}"):
                file.split = split
                found.append(file)
        left = [folder for name, folder in folders.items() if name not in splits.values() and _holds_data(folder)]
        return _with_left(found, left)
    if "data" in folders and not any(_holds_texts(folder) for other, folder in folders.items() if other != "data"):
        return _files_of(folders["data"], f"{name}/data")
    return []


def _is_data(entry: Path) -> bool:
    """Return whether a folder's entry is a file of rows; Markdown and notes beside data are about it."""
    if not entry.is_file() or _NOT_DATA.fullmatch(entry.name):
        return False
    return Path(bare_name(entry.name)).suffix.lower() in _data_suffixes()


def _data_suffixes() -> set[str]:
    """Return the suffixes of files that are data where they lie in a folder; Markdown beside data is about it."""
    return {suffix for reader in READERS.all().values() for suffix in reader.suffixes} - {".md"}


def _family(file: Path) -> str:
    """Return a file's name without shard numbers, the same for every shard of `train-00000-of-00004.parquet`."""
    return re.sub(r"\d+(-of-\d+)?", "#", file.name)


def _holds_texts(folder: Path) -> bool:
    inner = [entry for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith(".")]
    return bool(inner) and sum(entry.suffix.lower() in (".txt", ".text", ".md", "") for entry in inner) * 2 > len(inner)
