"""Finds the rows in what `datasets` saves and in repositories of the Hugging Face hub, and the names of their classes.

    dataset_dict.json              `DatasetDict.save_to_disk`: a folder per split
    state.json                     `Dataset.save_to_disk`: Arrow files, named in it
    README.md with `configs`       a repository that says which file is of which split

Numbers of classes have names in the schema of Arrow and Parquet files, in `dataset_info.json`, or in the README.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dizuo.errors import DataError

__all__ = ["Found", "class_names_in_schema", "files_of_repository", "saved_files", "split_of"]

_SPLIT_NAMES = {
    "train": re.compile(r"(.*[._-])?(train|training)([._-].*)?", re.IGNORECASE),
    "validation": re.compile(r"(.*[._-])?(valid|validation|val|dev)([._-].*)?", re.IGNORECASE),
    "test": re.compile(r"(.*[._-])?test([._-].*)?", re.IGNORECASE),
}


@dataclass(slots=True)
class Found:
    """One file, or one folder of class folders, of a data set."""

    split: str
    """The split that it is given for; empty where its rows are still to be split."""
    path: Path
    name: str
    """How messages call it."""
    class_names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By column, names of classes that are written beside the rows."""
    class_list: tuple[str, ...] = ()
    """Names of classes whose column is not known."""
    remarks: list[str] = field(default_factory=list)


def split_of(name: str) -> str:
    """Return the split that a name stands for: `train`, `validation`, `test`, or an empty string.

    >>> split_of("dev.csv"), split_of("train_sft"), split_of("notes")
    ('validation', 'train', '')
    """
    return next((split for split, pattern in _SPLIT_NAMES.items() if pattern.fullmatch(name)), "")


def saved_files(path: Path, name: str) -> list[Found] | None:
    """Return the files of a folder that `datasets` saved, or None for any other folder.

    Raises:
        DataError: its index cannot be read, or names several splits that could be the training rows.
    """
    if (path / "dataset_dict.json").is_file():
        splits = _read(path / "dataset_dict.json", name).get("splits")
        if not isinstance(splits, list) or not all(isinstance(split, str) and split for split in splits):
            raise DataError(f"{name}/dataset_dict.json names no splits", hint="save the data set again")
        return _by_split({split: _saved(path / split, f"{name}/{split}") for split in splits}, name)
    if (path / "state.json").is_file() and (path / "dataset_info.json").is_file():
        return _saved(path, name)
    return None


def files_of_repository(path: Path, name: str) -> list[Found] | None:
    """Return the files that a repository's README names, or None where it names none.

    Raises:
        DataError: it has several configurations and none is the default, or names files that are not there.
    """
    facts = _front_matter(path / "README.md")
    configs = facts.get("configs")
    if not isinstance(configs, list) or not configs:
        return None
    named = [config for config in configs if isinstance(config, Mapping) and config.get("data_files")]
    if not named:
        return None
    chosen = [config for config in named if config.get("default") or config.get("config_name") == "default"] or named
    if len(chosen) > 1:
        raise DataError(
            f"{name} holds {len(chosen)} data sets: {', '.join(str(c.get('config_name')) for c in chosen)}",
            details=[f"{config.get('config_name')}: {config.get('data_files')}" for config in chosen[:12]],
            hint="name the files of one of them as train, validation and test",
        )
    class_names = _names_in_readme(facts.get("dataset_info"), chosen[0].get("config_name"))
    by_split: dict[str, list[Found]] = {}
    for split, pattern in _patterns(chosen[0]["data_files"]):
        files = sorted(file for file in path.glob(pattern) if file.is_file() and _is_inside(file, path))
        if not files:
            raise DataError(
                f"{name} holds no file {pattern}, which its README names", hint="fetch it again, or name the files"
            )
        by_split.setdefault(split, []).extend(
            Found("", file, f"{name}/{file.relative_to(path).as_posix()}", dict(class_names)) for file in files
        )
    return _by_split(by_split, name)


def class_names_in_schema(metadata: Mapping[bytes, bytes] | None) -> dict[str, tuple[str, ...]]:
    """Return the names of classes by column that `datasets` writes into the schema of Arrow and Parquet files."""
    try:
        info = json.loads((metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return _names_in_features(info)


def _by_split(found: Mapping[str, Sequence[Found]], name: str) -> list[Found]:
    """Return the files with the splits they are given for; a single split is still to be split."""
    if len(found) == 1:
        (files,) = found.values()
        return list(files)
    ours: dict[str, list[str]] = {}
    for split in found:
        ours.setdefault(split_of(split), []).append(split)
    unknown = ours.pop("", [])
    several = next((splits for splits in ours.values() if len(splits) > 1), None)
    if several or "train" not in ours:
        raise DataError(
            f"{name} holds the splits {', '.join(found)}; "
            + (f"{' and '.join(several)} could be one" if several else "none is called train"),
            hint="name its folders or files as train, validation and test",
        )
    out = []
    for split, (theirs,) in ours.items():
        for file in found[theirs]:
            file.split = split
            out.append(file)
    for split in unknown:
        out[0].remarks.append(f"the split {split!r} beside it is not read")
    return out


def _saved(path: Path, name: str) -> list[Found]:
    state, info = _read(path / "state.json", name), _read(path / "dataset_info.json", name)
    if state.get("_indices_data_files") or state.get("_indices_files"):
        raise DataError(
            f"{name} was saved with an index over its rows, which dizuo does not follow",
            hint="save it again: dataset.flatten_indices().save_to_disk(…)",
        )
    entries = state.get("_data_files")
    names = [entry.get("filename") for entry in entries if isinstance(entry, Mapping)] if entries else []
    files = [path / file for file in names if isinstance(file, str) and _is_inside(path / file, path)]
    if not files or not all(file.is_file() for file in files):
        missing = next((file.name for file in files if not file.is_file()), "its Arrow files")
        raise DataError(f"{name} lacks {missing}, which state.json names", hint="save the data set again")
    class_names = _names_in_features(info.get("features"))
    return [Found("", file, f"{name}/{file.name}", dict(class_names)) for file in files]


def _read(path: Path, name: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{name}/{path.name} cannot be read: {error}", hint="save the data set again") from None
    return value if isinstance(value, dict) else {}


def _is_inside(file: Path, folder: Path) -> bool:
    """Return whether a file that an index names lies in its folder (the hub's cache holds links, which may)."""
    return ".." not in file.relative_to(folder).parts


def _front_matter(readme: Path) -> dict[str, Any]:
    """Return the YAML block with which a repository's README begins."""
    import yaml

    if not readme.is_file():
        return {}
    text = readme.read_text("utf-8", errors="replace")
    block = re.match(r"---\s*\n(.*?)\n---\s*(\n|$)", text, re.DOTALL)
    if block is None:
        return {}
    try:
        value = yaml.safe_load(block[1])
    except yaml.YAMLError:
        return {}
    return value if isinstance(value, dict) else {}


def _patterns(data_files: Any) -> list[tuple[str, str]]:
    """Return (split as the README calls it, pattern of its files)."""
    if isinstance(data_files, str):
        return [("train", data_files)]
    if isinstance(data_files, Mapping):
        return [(str(split), pattern) for split, paths in data_files.items() for pattern in _paths(paths)]
    pairs = []
    for entry in data_files if isinstance(data_files, list) else ():
        if isinstance(entry, Mapping):
            pairs += [(str(entry.get("split", "train")), pattern) for pattern in _paths(entry.get("path"))]
        else:
            pairs += [("train", pattern) for pattern in _paths(entry)]
    return pairs


def _paths(value: Any) -> list[str]:
    paths = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return [path.removeprefix("./") for path in paths if isinstance(path, str) and path and not path.startswith("/")]


def _names_in_features(features: Any) -> dict[str, tuple[str, ...]]:
    """Return the names of classes in features as `datasets` writes them to JSON."""
    names = {}
    for column, feature in features.items() if isinstance(features, Mapping) else ():
        if isinstance(feature, list) and len(feature) == 1:
            feature = feature[0]
        if isinstance(feature, Mapping) and "feature" in feature:
            feature = feature["feature"]
        if isinstance(feature, Mapping) and feature.get("_type") == "ClassLabel" and feature.get("names"):
            names[str(column)] = tuple(map(str, feature["names"]))
    return names


def _names_in_readme(info: Any, config: Any) -> dict[str, tuple[str, ...]]:
    """Return the names of classes in the `dataset_info` of a README."""
    if isinstance(info, list):
        info = next((item for item in info if isinstance(item, Mapping) and item.get("config_name") == config), None)
    names = {}
    features = info.get("features") if isinstance(info, Mapping) else None
    for feature in features if isinstance(features, list) else ():
        kind = feature.get("dtype") or feature.get("sequence") or feature.get("list")
        given = kind.get("class_label", {}).get("names") if isinstance(kind, Mapping) else None
        if isinstance(given, Mapping):
            names[str(feature.get("name"))] = tuple(str(given[key]) for key in sorted(given, key=int))
        elif isinstance(given, list):
            names[str(feature.get("name"))] = tuple(map(str, given))
    return names
