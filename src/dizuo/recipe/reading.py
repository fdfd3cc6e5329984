"""Reads YAML with line numbers, and puts the command line's `--set` on top of it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from dizuo.errors import RecipeError, did_you_mean
from dizuo.recipe.values import NAME, SECTIONS, Block, Recipe, Value, lift, raise_faults, shown
from dizuo.redaction import redact_values

__all__ = ["from_yaml", "override", "read", "write"]

MAX_BYTES = 1_000_000
MAX_DEPTH = 12


def read(path: str | Path, *, overrides: Sequence[str] = (), strict: bool = True) -> Recipe:
    """Return the recipe in a file.

    Args:
        path: a YAML file.
        overrides: `section.field=value` texts, as `--set` takes them; they win over the file.
        strict: raise for wrong top-level keys at once; otherwise keep them in `faults` for `bind_all`.

    Raises:
        RecipeError: the file cannot be read, is not YAML, or has wrong keys.
    """
    file = Path(path)
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        raise RecipeError(f"there is no recipe at {path}", hint=_near_recipes(file)) from None
    except IsADirectoryError:
        raise RecipeError(f"{path} is a folder, not a recipe", hint="name a YAML file in it") from None
    except OSError as error:
        raise RecipeError(
            f"{path} cannot be read: {error.strerror}", hint="check the file and its permissions"
        ) from None
    if len(raw) > MAX_BYTES:
        raise RecipeError(
            f"{path} has {len(raw):,} bytes, a recipe has at most {MAX_BYTES:,}",
            hint="a recipe holds settings; name data files in it by path",
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise RecipeError(f"{path}:{line}: not UTF-8 text", hint="save the recipe as UTF-8") from None
    return from_yaml(text, file=str(path), overrides=overrides, strict=strict)


def from_yaml(text: str, *, file: str = "recipe", overrides: Sequence[str] = (), strict: bool = True) -> Recipe:
    """Return the recipe in a text; `file` names it in errors. See `read`."""
    faults: list[str] = []
    whole = _compose(text, file, faults)
    if whole is None or whole.data is None:
        raise RecipeError(f"{file} is empty", hint="a recipe needs a name and a select section; see recipes/")
    if not isinstance(whole.data, dict):
        raise RecipeError(
            f"{file}: a recipe is a mapping of sections, this is {shown(whole)}",
            hint="start with `name: my-run`; see recipes/",
        )
    top: dict[str, Value] = dict(whole.data)
    for item in overrides:
        _apply(top, item, faults)
    sections: dict[str, Block] = {}
    for key, value in top.items():
        if key in ("name", "seed"):
            continue
        if key not in SECTIONS:
            known = ("name", "seed", *SECTIONS)
            faults.append(f"{value.place}: {key!r} is not a section{did_you_mean(key, known)}")
        elif value.data is None:
            sections[key] = Block(key, {}, file, value.place)
        elif not isinstance(value.data, dict):
            faults.append(f"{value.place}: {key} is a section of fields, this is {shown(value)}")
        else:
            sections[key] = Block(key, value.data, file, value.place)
    name = _name(top.get("name"), faults)
    seed = _seed(top.get("seed"), faults)
    recipe = Recipe(name, seed, {key: sections[key] for key in SECTIONS if key in sections}, file, tuple(faults))
    if strict and faults:
        raise_faults(file, faults)
    return recipe


def override(recipe: Recipe, field_path: str, data: object, *, place: str) -> Recipe:
    """Return the recipe with one field replaced, as `--model` replaces `select.model`; `place` names the flag."""
    section, _, key = field_path.partition(".")
    old = recipe.section(section)
    new = replace(old, values={**old.values, key: lift(data, place, "command line")})
    return replace(recipe, sections={**recipe.sections, section: new})


def write(recipe: Recipe, path: str | Path) -> None:
    """Write the recipe as YAML; reading it gives the same values."""
    values = {name: Value(dict(section.values)) for name, section in recipe.sections.items()}
    node = _node(Value({"name": Value(recipe.name), "seed": Value(recipe.seed), **values}))
    text = yaml.serialize(node, Dumper=yaml.SafeDumper, allow_unicode=True, width=100)
    Path(path).write_text(str(redact_values(text)), encoding="utf-8")


def _node(value: Value) -> yaml.Node:
    """Return YAML for a value; unquoted scalars stay as they were written, since their type is decided later."""
    if isinstance(value.data, dict):
        items = [(_node(Value(key)), _node(item)) for key, item in value.data.items()]
        return yaml.MappingNode("tag:yaml.org,2002:map", items, flow_style=not items)
    if isinstance(value.data, tuple):
        return yaml.SequenceNode("tag:yaml.org,2002:seq", [_node(item) for item in value.data], flow_style=True)
    dumper = yaml.SafeDumper(io.StringIO())
    if value.text is None:
        return dumper.represent_data(value.data)
    return yaml.ScalarNode(dumper.resolve(yaml.ScalarNode, value.text, (True, False)), value.text)  # type: ignore[no-untyped-call]


def _name(value: Value | None, faults: list[str]) -> str:
    if value is None:
        faults.append("line 1: a recipe needs a name, such as `name: my-run`")
        return ""
    text = value.text if value.text is not None else value.data
    if not isinstance(text, str) or not NAME.fullmatch(text):
        faults.append(f"{value.place}: name: expected lower-case letters, digits, '.', '_' and '-', got {shown(value)}")
        return ""
    return text


def _seed(value: Value | None, faults: list[str]) -> int:
    if value is None:
        return 0
    seed = value.data
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        faults.append(f"{value.place}: seed: expected a whole number from 0 to 4294967295, got {shown(value)}")
        return 0
    return seed


def _near_recipes(file: Path) -> str:
    folder = file.parent
    known = [path.name for path in folder.glob("*.y*ml")] if folder.is_dir() else []
    near = did_you_mean(file.name, known)
    if near:
        return f"there is{near.removeprefix(' (did you mean ').removesuffix('?)')} beside it".replace("is'", "is '")
    return "name a YAML file, such as recipes/quickstart.yaml"


# ---- YAML with line numbers


def _compose(text: str, file: str, faults: list[str], *, place: str = "", origin: str = "recipe") -> Value | None:
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            line = event.start_mark.line + 1 if event.start_mark else 1
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise RecipeError(
                    f"{file}:{line}: anchors and aliases are not read in a recipe", hint="write the value out"
                )
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise RecipeError(f"{file}:{line}: nested too deeply", hint="a recipe is two or three levels deep")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise RecipeError(f"{file}:{line}: {_problem(error, text, line)}", hint=_yaml_hint(error)) from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise RecipeError(
            f"{file}:{line}: a character that YAML does not allow (U+{ord(text[error.position]):04X})",
            hint="delete that character",
        ) from None
    if node is None:
        return None
    return _value(node, file, faults, place, origin)


def _value(node: yaml.Node, file: str, faults: list[str], place: str, origin: str) -> Value:
    here = place or f"line {node.start_mark.line + 1}"
    if not node.tag.startswith("tag:yaml.org,2002:") or "python" in node.tag or node.tag.endswith(":binary"):
        raise RecipeError(
            f"{file}:{node.start_mark.line + 1}: tags are not read in a recipe ({node.tag})",
            hint="write a plain value",
        )
    if isinstance(node, yaml.MappingNode):
        out: dict[str, Value] = {}
        for key_node, value_node in node.value:
            line = place or f"line {key_node.start_mark.line + 1}"
            if not isinstance(key_node, yaml.ScalarNode):
                faults.append(f"{line}: a key must be one word")
                continue
            key = key_node.value
            value = _value(value_node, file, faults, place, origin)
            if key in out:
                faults.append(f"{line}: {key!r} stands twice, first on {out[key].place}")
            else:
                out[key] = replace(value, place=line)
        return Value(out, here, origin)
    if isinstance(node, yaml.SequenceNode):
        return Value(tuple(_value(item, file, faults, place, origin) for item in node.value), here, origin)
    try:
        data = yaml.SafeLoader("").construct_object(node)
    except (ValueError, yaml.YAMLError):  # such as the date 2026-13-45: plain text then
        data = node.value
    return Value(data, here, origin, node.value if getattr(node, "style", None) is None else None)


def _problem(error: yaml.MarkedYAMLError, text: str, line: int) -> str:
    problem = error.problem or "not YAML"
    lines = text.split("\n")
    if "'\\t'" in problem or (line <= len(lines) and "\t" in lines[line - 1]):
        return "a tab; YAML indents with spaces"
    if "mapping values are not allowed" in problem:
        return "a ':' that YAML cannot read here"
    if "end of stream" in problem and "quoted" in str(error.context or ""):
        return "a quote that is never closed"
    if "could not find expected ':'" in problem:
        return "a line without ':'"
    if "expected a single document" in str(error.context or "") or "another document" in problem:
        return "a second document ('---'); a recipe is one"
    return f"not YAML ({problem})"


def _yaml_hint(error: yaml.MarkedYAMLError) -> str:
    if "mapping values" in (error.problem or ""):
        return "put text that contains ': ' in quotes, and check the indentation"
    if "'\\t'" in (error.problem or ""):
        return "replace the tab by two spaces"
    return "check this line and the one above it"


def _apply(top: dict[str, Value], item: str, faults: list[str]) -> None:
    path, equals, text = item.partition("=")
    keys = path.strip().split(".")
    named = f"--set {path.strip()}"
    if not equals or not all(keys):
        faults.append(f"--set {item}: expected section.field=value")
        return
    try:
        value = _compose(text, named, faults, place="--set", origin="command line")
        value = value or Value(None, "--set", "command line")
        if isinstance(value.data, dict | tuple) and text.lstrip()[:1] not in ("{", "["):
            value = Value(text, "--set", "command line")  # text such as `Answer: yes or no`
    except RecipeError as error:
        if any(mark in text for mark in "{[\"'"):
            faults.append(f"{named}: {error.message.partition(': ')[2]}")
            return
        value = Value(text, "--set", "command line")
    inner = top
    for key in keys[:-1]:
        old = inner.get(key)
        if old is not None and old.data is not None and not isinstance(old.data, dict):
            faults.append(f"{named}: {key} is not a section")
            return
        new = dict(old.data) if old is not None and isinstance(old.data, dict) else {}
        inner[key] = Value(new, old.place if old is not None else "--set", "command line")
        inner = new
    inner[keys[-1]] = value
